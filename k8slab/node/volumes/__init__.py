"""The volumes of a node's Pods."""
