"""The life of a Pod on a node."""
