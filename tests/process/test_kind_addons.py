"""What a kind cluster gets beside what kind makes: metrics-server, and a cloud that sees it alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from k8slab.cluster.components.single import Program, find_single
from k8slab.cluster.kind import cloud as kind_cloud
from k8slab.cluster.kind.backend import open_kind
from k8slab.cluster.kind.cloud import PROGRAM, source
from k8slab.cluster.kind.cluster import KindCluster
from k8slab.cluster.kind.creation import METRICS_SERVER
from k8slab.cluster.kind.journal import kind_folder
from k8slab.errors import ClusterStateError, MissingToolError
from k8slab.processes import ProcessIdentity
from k8slab.progress import CollectedProgress
from tests.process.kind_standins import DOCKER_INFO, StandIns

CLOUD = """\
#!/bin/sh
# Asks the engine what cloud-provider-kind 0.10 asks it, and logs what that logs.
if [ "$1" = --help ]; then echo "  --enable-default-ingress"; exit 0; fi
echo "$@" > {folder}/cloud-flags
clusters='{{{{.Label "io.x-k8s.kind.cluster"}}}}'
docker ps -a --filter label=io.x-k8s.kind.cluster --format "$clusters" > {folder}/seen
[ -e {folder}/cloud-fails ] && {{ echo "Failed to connect to any address"; exit 1; }}
ended() {{
    label=io.x-k8s.cloud-provider-kind.cluster
    docker ps -a --filter label=$label --format '{{{{.Names}}}}' > {folder}/ended
    exit 0
}}
trap ended TERM
echo "Starting cloud controller"
while :; do sleep 0.05; done
"""


KERNEL = """\
import time
from k8slab.cluster.kind.backend import open_kind
from k8slab.progress import SilentProgress
print(open_kind("lab", 1, False, SilentProgress()).cloud(True, SilentProgress()), flush=True)
time.sleep(60)
"""


@pytest.fixture
def cloud(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    """A played cloud-provider-kind on PATH; whatever of it is left at the end is ended and is a failure."""
    path = stand_ins.bin / PROGRAM
    path.write_text(CLOUD.format(folder=stand_ins.folder))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_ins.bin}:/usr/bin:/bin")
    yield stand_ins
    noted = kind_folder("lab") / "cloud.json"
    assert not noted.exists(), "the test left a cloud behind"


@pytest.fixture(scope="module")
def real_program() -> Path:
    """The real cloud-provider-kind, where it was fetched before."""
    found = find_single(source())
    if not isinstance(found, Program):
        pytest.skip(f"{'; '.join(found)}: `k8slab cloud on` builds it, in some minutes")
    return found.program


def opened(progress: CollectedProgress | None = None) -> KindCluster:
    """The cluster `lab` with one worker."""
    return open_kind("lab", 1, False, progress or CollectedProgress())


def killed(said: str) -> None:
    """Kill the cloud of which that was said, and wait until it is gone."""
    pid = int(said.split("process ")[1].split()[0])
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while ProcessIdentity.of(pid) is not None:
        assert time.monotonic() < deadline, f"process {pid} does not die"
        time.sleep(0.02)


def test_it_is_shown_this_cluster_alone_and_ends_with_it(cloud: StandIns) -> None:
    cloud.stranger("theirs")
    cluster = opened()
    said = cluster.cloud(True, CollectedProgress())
    assert (cloud.folder / "seen").read_text().split() == ["k8slab-lab"] * 2
    assert (cloud.folder / "cloud-flags").read_text().strip() == ""
    pid = int(said.split("process ")[1].split()[0])
    identity = ProcessIdentity.of(pid)
    assert identity is not None
    assert cluster.cloud(True, CollectedProgress()) == said, "a second call starts no second one"
    assert str(pid) in next(each.sentence for each in cluster.reality() if "Ingress" in each.part)
    assert opened().cloud(True, CollectedProgress()) == said, "another kernel finds the same one"
    cluster.delete()
    assert not identity.is_alive()
    assert (cloud.folder / "ended").exists()
    assert list(cloud.clusters()) == ["theirs"]
    asked = [words for words, _ in cloud.calls("docker") if "ps" in words]
    assert not [words for words in asked if "label=io.x-k8s.cloud-provider-kind.cluster" in words]


def test_a_killed_kernel_leaves_it_and_the_next_one_ends_it_with_the_cluster(cloud: StandIns) -> None:
    opened()
    kernel = subprocess.Popen([sys.executable, "-c", KERNEL], stdout=subprocess.PIPE, text=True)
    assert kernel.stdout is not None
    said = kernel.stdout.readline()
    kernel.kill()
    kernel.wait()
    kernel.stdout.close()
    identity = ProcessIdentity.of(int(said.split("process ")[1].split()[0]))
    assert identity is not None
    assert identity.is_alive()
    cluster = opened()
    assert cluster.cloud(True, CollectedProgress()) == said.strip()
    cluster.delete()
    assert not identity.is_alive()


def test_who_opens_the_lab_starts_again_what_was_switched_on_and_was_killed(cloud: StandIns) -> None:
    cluster = opened()
    first = cluster.cloud(True, CollectedProgress())
    killed(first)
    again = opened().cloud(True, CollectedProgress())
    assert again != first
    killed(again)
    (cloud.folder / "cloud-fails").touch()
    progress = CollectedProgress()
    cluster = opened(progress)
    assert any("does not start again" in line and "any address" in line for line in progress.lines)
    assert "<pending>" in next(each.sentence for each in cluster.reality() if "Ingress" in each.part)
    progress = CollectedProgress()
    opened(progress)
    assert not any(PROGRAM in line for line in progress.lines), "it is not tried for ever"


def test_an_address_that_the_cloud_gave_leads_to_its_balancer(cloud: StandIns) -> None:
    cluster = opened()
    spec = {"clusterIP": "10.96.0.7", "ports": [{"port": 80, "nodePort": 30306}]}
    status = {"loadBalancer": {"ingress": [{"ip": "172.18.0.9"}]}}
    cloud.change(services=[{"spec": spec, "status": status}])
    node_port = cluster.url("172.18.0.9", 80)
    assert node_port is not None
    state = cloud.state()
    for owner, address, ports in (
        ("k8slab-lab", "172.18.0.9", {"80/tcp": 32768}),
        ("theirs", "172.18.0.8", {"80/tcp": 32769}),
    ):
        labels = {"io.x-k8s.cloud-provider-kind.cluster": owner, "io.x-k8s.kind.cluster": ""}
        state["containers"][("b" if owner == "theirs" else "c") * 64] = {
            "name": f"kindccm-{owner}", "labels": labels, "ports": ports, "status": "running", "ip": address,
            "parts": {},
        }  # fmt: skip
    cloud.write(state)
    assert cluster.url("172.18.0.9", 80) == "http://127.0.0.1:32768"
    assert cluster.url("10.96.0.7", 80) == node_port
    assert cluster.url("172.18.0.8", 80) is None, "a stranger's"


def test_reality_says_what_the_api_says_of_metrics_server(cloud: StandIns) -> None:
    cluster = opened()

    def sentence() -> str:
        return next(each.sentence for each in cluster.reality() if each.part == "kubectl top")

    key = "get apiservice"
    cloud.change(refuse={key: 'Error from server (NotFound): apiservices "x" not found'})
    assert "no metrics-server" in sentence()
    cloud.change(refuse={key: "The connection to the server was refused"})
    assert "does not answer" in sentence()
    cloud.change(refuse={}, available=("False", "MissingEndpoints"))
    assert "not serving (MissingEndpoints)" in sentence()
    cloud.change(available=("True", "Passed"))
    assert sentence() == "the real metrics-server, which serves"


def test_switched_off_it_is_gone_and_can_be_switched_on_again(cloud: StandIns) -> None:
    cluster = opened()
    first = cluster.cloud(True, CollectedProgress())
    assert cluster.cloud(False, CollectedProgress()) == f"{PROGRAM} has ended."
    assert cluster.cloud(False, CollectedProgress()) == f"{PROGRAM} did not run."
    assert "<pending>" in next(each.sentence for each in cluster.reality() if "Ingress" in each.part)
    assert cluster.cloud(True, CollectedProgress()) != first
    cluster.delete()


def test_one_that_was_killed_leaves_balancers_that_are_removed(cloud: StandIns) -> None:
    cluster = opened()
    said = cluster.cloud(True, CollectedProgress())
    state = cloud.state()
    for number, owner in enumerate(("k8slab-lab", "theirs")):
        labels = {"io.x-k8s.cloud-provider-kind.cluster": owner}
        state["containers"]["bc"[number] * 64] = {
            "name": f"kindccm-{owner}", "labels": labels, "ports": {}, "status": "running", "parts": {},
        }  # fmt: skip
    cloud.write(state)
    killed(said)
    assert cluster.cloud(False, CollectedProgress()) == f"{PROGRAM} did not run."
    names = [each["name"] for each in cloud.state()["containers"].values()]
    assert "kindccm-theirs" in names
    assert "kindccm-k8slab-lab" not in names
    state = cloud.state()
    del state["containers"]["c" * 64]
    cloud.write(state)
    cluster.delete()


def test_a_process_that_took_over_its_pid_is_left_alone(cloud: StandIns) -> None:
    cluster = opened()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        identity = ProcessIdentity.of(other.pid)
        assert identity is not None
        noted = {"pid": identity.pid, "start_time": identity.start_time}
        (kind_folder("lab") / "cloud.json").write_text(json.dumps(noted))
        assert cluster.cloud(False, CollectedProgress()) == f"{PROGRAM} did not run."
        cluster.delete()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_one_that_ends_at_once_says_why(cloud: StandIns) -> None:
    (cloud.folder / "cloud-fails").touch()
    with pytest.raises(ClusterStateError, match="Failed to connect to any address"):
        opened().cloud(True, CollectedProgress())


def test_a_cluster_that_somebody_deleted_takes_its_cloud_along(cloud: StandIns) -> None:
    cluster = opened()
    pid = int(cluster.cloud(True, CollectedProgress()).split("process ")[1].split()[0])
    cloud.write({**cloud.state(), "containers": {}})
    assert opened().uuid != cluster.uuid
    assert ProcessIdentity.of(pid) is None


def test_a_rootless_engine_maps_the_balancers_ports(cloud: StandIns) -> None:
    cloud.change(info=DOCKER_INFO | {"SecurityOptions": ["name=rootless", "name=cgroupns"]})
    cluster = opened()
    cluster.cloud(True, CollectedProgress())
    assert (cloud.folder / "cloud-flags").read_text().strip() == "--enable-lb-port-mapping"
    cluster.delete()


def test_without_the_program_the_message_says_where_it_was_looked_for(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = opened()
    with pytest.raises(MissingToolError, match="cloud-provider-kind could not be had") as caught:
        cluster.cloud(True, CollectedProgress())
    assert "not on PATH" in caught.value.message
    old = stand_ins.bin / PROGRAM
    old.write_text("#!/bin/sh\necho 'cloud-provider-kind, without'\n")
    old.chmod(0o755)
    with pytest.raises(MissingToolError, match=r"is no cloud-provider-kind of 0\.9 or newer"):
        cluster.cloud(True, CollectedProgress())
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ClusterStateError, match="has to run as root"):
        cluster.cloud(True, CollectedProgress())


def test_the_real_program_asks_for_this_cluster_alone(
    real_program: Path, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand_ins.bin / PROGRAM).symlink_to(real_program)
    stand_ins.stranger("theirs")
    monkeypatch.setenv("PATH", f"{stand_ins.bin}:/usr/bin:/bin")
    monkeypatch.setattr(kind_cloud, "START_SECONDS", 4.0)
    with pytest.raises(ClusterStateError):
        opened().cloud(True, CollectedProgress())  # no API server answers here
    asked = [" ".join(words) for words, _ in stand_ins.calls("docker")]
    assert any("label=io.x-k8s.kind.cluster=k8slab-lab --format" in words for words in asked)
    assert not any("theirs" in words for words in asked)


def test_metrics_server_is_applied_and_its_absence_is_no_failure(stand_ins: StandIns) -> None:
    progress = CollectedProgress()
    opened(progress)
    applied = [words for words, _ in stand_ins.calls("kubectl") if "apply" in words]
    assert [words[-1] for words in applied] == [str(METRICS_SERVER)]
    assert any("metrics-server applied" in line for line in progress.lines)
    stand_ins.change(refuse={"apply --filename": "no route to host"})
    other = CollectedProgress()
    open_kind("other", 1, False, other)
    assert any("could not be applied" in line and "no route to host" in line for line in other.lines)


def test_metrics_server_accepts_the_certificates_of_kinds_kubelets() -> None:
    objects = list(yaml.safe_load_all(METRICS_SERVER.read_text()))
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "--kubelet-insecure-tls" in container["args"]
    assert ":v" in Path(container["image"]).name
