"""Which kubectl a cluster of kind, or of somebody else, is spoken to with."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8slab.cluster.components.programs import RefusedError
from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.single import find_single
from k8slab.cluster.kubectl_source import kubectl_source, kubectl_version


def kubectl(folder: Path, prints: str, code: int = 0) -> Path:
    """A program of that name that prints something and notes what it was asked and given."""
    program = folder / "kubectl"
    noted = f'echo "$@" >> {folder}/asked\nenv > {folder}/environment\n'
    program.write_text(f"#!/bin/sh\n{noted}echo '{prints}'\nexit {code}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("version", ["v1.30.0", "v1.32.4-dispatcher", "v1.37.0+k3s1", "v2.0.0"])
def test_it_is_asked_without_any_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    program = kubectl(tmp_path, f'{{"clientVersion": {{"gitVersion": "{version}"}}}}')
    assert kubectl_version(program) == version
    assert (tmp_path / "asked").read_text().startswith("--kubeconfig /dev/null version --client")
    assert "KUBECONFIG" not in (tmp_path / "environment").read_text()


@pytest.mark.parametrize(
    ("prints", "code", "said"),
    [
        ('{"clientVersion": {"gitVersion": "v1.29.9"}}', 0, "v1.29.9; wanted is v1.30 or newer"),
        ("Client Version: v1.36.3", 0, "does not answer as kubectl does"),
        ('{"clientVersion": {"gitVersion": "new"}}', 0, "does not answer as kubectl does"),
        ("[]", 0, "does not answer as kubectl does"),
        ("", 3, "does not run"),
    ],
)
def test_what_is_no_kubectl_or_too_old_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, code: int, said: str
) -> None:
    program = kubectl(tmp_path, prints, code)
    with pytest.raises(RefusedError, match=said):
        kubectl_version(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    found = find_single(kubectl_source())
    assert isinstance(found, list)
    assert said in found[0]


def test_the_one_that_is_fetched_is_the_control_planes_own() -> None:
    source, release = kubectl_source(), load_release()
    assert source.version == release.kubernetes
    assert source.downloads["linux-amd64"] == release.downloads["linux-amd64"]["kubectl"]
    assert source.linked["k8s.io/component-base/version.gitVersion"] == release.kubernetes
