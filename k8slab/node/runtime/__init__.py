"""Plays containerd: parent of all containers of its node. Standard library only."""
