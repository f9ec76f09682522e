"""Plays a storage provisioner."""
