"""The image catalogue, and what a node has of it."""
