"""Nodes whose Pods run nothing, for scale."""
