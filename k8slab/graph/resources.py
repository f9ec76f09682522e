"""What Pods and Services have to do with besides: the layers of the map. Pure."""

from __future__ import annotations

LAYERS: dict[str, tuple[str, ...]] = {
    "ingress": ("ingresses",),
    "volumes": ("persistentvolumeclaims", "storageclasses"),
    "configuration": ("configmaps", "secrets"),
    "limits": ("horizontalpodautoscalers", "resourcequotas"),
}
"""Each layer of the map, with the kinds it needs, by plural name."""
