"""The object that says which journal of ours a cluster belongs to; the guard reads it before a change."""

from __future__ import annotations

MARKER = "k8slab-owner"
"""Name of a ConfigMap in kube-system: `uuid` as in the cluster's journal, and `name`."""
