"""Plays a cloud's load balancers."""
