"""The manifests for kind clusters, before a real API server: it takes every object as it is."""

from __future__ import annotations

from pathlib import Path

from k8slab.cluster.kind.creation import METRICS_SERVER
from tests.embedded.conftest import RunningCluster


def test_metrics_server_is_accepted_without_a_warning(cluster: RunningCluster, tmp_path: Path) -> None:
    # Under other names: this cluster has a metrics server already, which k8slab plays.
    text = METRICS_SERVER.read_text().replace("name: metrics-server", "name: metrics-server-of-kind")
    text = text.replace("metrics-reader", "metrics-reader-of-kind").replace("v1beta1.metrics", "v2.metrics")
    renamed = tmp_path / "metrics-server.yaml"
    renamed.write_text(text.replace("version: v1beta1", "version: v2"))
    said = cluster.kubectl(f"apply --dry-run=server --warnings-as-errors --validate=strict -f {renamed}")
    assert said.count("created (server dry run)") == 9
