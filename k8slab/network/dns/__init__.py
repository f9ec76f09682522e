"""Plays CoreDNS."""
