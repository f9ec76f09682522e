"""Plays kube-proxy."""
