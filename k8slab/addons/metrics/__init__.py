"""Plays metrics-server."""
