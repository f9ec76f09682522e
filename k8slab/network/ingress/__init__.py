"""Plays an ingress controller."""
