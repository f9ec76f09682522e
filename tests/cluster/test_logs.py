"""`kubectl logs` with every option, of every sort of container, and what a node's kubelet serves by itself.

Texts: `validateContainerLogStatus` in the kubelet's pkg/kubelet/kubelet_pods.go lines 1530 to 1590 (1.36).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, python, run_ready, shell
from tests.cluster.pod_states import logged

DATA: dict[str, Any] = {"workingDir": "/data", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
VOLUMES = [{"name": "data", "emptyDir": {}}]


@contextmanager
def following(cluster: ClusterUnderTest, line: str) -> Iterator[IO[str]]:
    """What `kubectl logs -f ...` prints, as it comes; kubectl is killed at the end."""
    process = subprocess.Popen(cluster.argv(line), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_every_option(cluster: ClusterUnderTest, namespace: str) -> None:
    lines = "for i in 1 2 3 4 5; do echo line $i; done"
    talk = shell(f"{lines}; while [ ! -e go ]; do sleep 0.1; done; sleep 2; echo oops >&2; sleep 600", **DATA)
    run_ready(cluster, namespace, pod("talk", talk, volumes=VOLUMES))
    line = f"-n {namespace} logs talk"
    numbered = [f"line {number}" for number in range(1, 6)]
    # They have their times before the program begins to count the two seconds until its last word.
    logged(cluster, namespace, "talk", *numbered)
    cluster.kubectl(f"-n {namespace} exec talk -- touch go")
    logged(cluster, namespace, "talk", *numbered, "oops")
    assert cluster.kubectl(f"{line} --tail=2") == "line 5\noops\n"
    assert cluster.kubectl(f"{line} --tail=0") == ""
    assert cluster.kubectl(f"{line} --limit-bytes=6") == "line 1"
    assert cluster.kubectl(f"{line} --since=1h").count("line") == 5
    stamped = [each.split(" ", 1) for each in cluster.kubectl(f"{line} --timestamps").splitlines()]
    assert [text for _, text in stamped] == cluster.kubectl(line).splitlines()
    first, last = (datetime.fromisoformat(moment) for moment in (stamped[0][0], stamped[-1][0]))
    assert 1.5 < (last - first).total_seconds() < 120 and stamped[0][0].endswith("Z")
    # A time is sent to the kubelet in whole seconds, so a second earlier is what surely lies between.
    between = stamped[-1][0][:19] + "Z"
    assert cluster.kubectl(f"{line} --since-time={between}") == "oops\n"
    said = cluster.run(f"{line} --previous")
    assert said.returncode == 1
    assert said.stderr.startswith("Error from server (BadRequest): ")
    assert 'previous terminated container "main" in pod "talk" not found' in said.stderr


def test_every_sort_of_container(cluster: ClusterUnderTest, namespace: str) -> None:
    manifest = pod(
        "many",
        shell("echo first; sleep 600", name="one"),
        # The second run stays: a look at the run before is no race then.
        shell(
            "if [ -e /data/once ]; then echo again; sleep 600; fi; touch /data/once; echo dying; exit 3",
            name="two",
            volumeMounts=[{"name": "data", "mountPath": "/data"}],
        ),
        initContainers=[
            shell("echo prepared", name="prepare"),
            shell("echo beside; sleep 600", name="side", restartPolicy="Always"),
        ],
        volumes=[{"name": "data", "emptyDir": {}}],
    )
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    line = f"-n {namespace} logs many"
    until(lambda: cluster.run(f"{line} -c two").stdout == "again\n", "the second run")
    assert cluster.kubectl(f"{line} -c two --previous") == "dying\n"
    assert cluster.kubectl(f"{line} -c prepare") == "prepared\n"
    logged(cluster, namespace, "many -c side", "beside")
    logged(cluster, namespace, "many -c one", "first")
    told = cluster.kubectl(f"{line} --all-containers --prefix").splitlines()
    assert sorted(told) == [
        "[pod/many/one] first",
        "[pod/many/prepare] prepared",
        "[pod/many/side] beside",
        "[pod/many/two] again",
    ]
    by_label = cluster.kubectl(f"-n {namespace} logs -l app=many -c one --prefix")
    assert by_label == "[pod/many/one] first\n"
    said = cluster.run(f"{line} -c nobody").stderr
    assert "container nobody is not valid for pod many out of: one, two, prepare (init), side (init)" in said


def test_what_has_not_started_says_why(cluster: ClusterUnderTest, namespace: str) -> None:
    unknown = {"name": "main", "image": "registry.invalid/no/such:image"}
    lacking = shell("true", env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "a"}}}])
    for manifest in (
        pod("unknown", unknown),
        pod("lacking", lacking),
        pod("waiting", shell("true"), initContainers=[shell("sleep 600", name="first")]),
    ):
        cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    for name, reason in (
        ("unknown", "trying and failing to pull image"),
        ("lacking", "CreateContainerConfigError"),
        ("waiting", "PodInitializing"),
    ):
        text = f'container "main" in pod "{name}" is waiting to start: {reason}'
        until(
            lambda name=name, text=text: (
                text
                in cluster.run(  # type: ignore[misc]
                    f"-n {namespace} logs {name} -c main"
                ).stderr
            ),
            text,
        )


def test_following(cluster: ClusterUnderTest, namespace: str) -> None:
    count = shell("for i in 1 2 3; do echo $i; sleep 0.5; done")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod("count", count, restartPolicy="Never"))
    until(lambda: cluster.run(f"-n {namespace} logs count").stdout.startswith("1"), "the first line")
    # Following ends with the program, and not before.
    assert cluster.kubectl(f"-n {namespace} logs -f count") == "1\n2\n3\n"
    # It goes on talking: the first line that is told shows that kubectl has begun to follow.
    beat = "n=0; while [ ! -e go ]; do n=$((n + 1)); echo $n; sleep 0.2; done; echo new"
    later = pod("later", shell(beat, **DATA), restartPolicy="Never", volumes=VOLUMES)
    run_ready(cluster, namespace, later)
    line = f"-n {namespace} logs later"
    until(lambda: cluster.kubectl(line).count("\n") >= 2, "some old lines")
    old = cluster.kubectl(line).split()
    with following(cluster, f"{line} --tail=0 -f") as told:
        first = int(told.readline())
        assert first > int(old[-1])
        cluster.kubectl(f"-n {namespace} exec later -- touch go")
        *numbers, last = [each.strip() for each in told]
    assert last == "new"
    assert [int(each) for each in numbers] == list(range(first + 1, first + 1 + len(numbers)))


def test_ten_thousand_lines_a_second_are_followed_without_loss(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    """30 MB in about 15 s, so that the log is rotated at least twice (`containerLogMaxSize` is 10Mi)."""
    program = """
import os, sys, time
print(0, flush=True)
while not os.path.exists("/data/go"):
    time.sleep(0.1)
start = time.monotonic()
for number in range(1, 150_000):
    sys.stdout.write(f"{number} {'x' * 192}\\n")
    if number % 500 == 499:
        sys.stdout.flush()
        time.sleep(max(0.0, start + number / 10_000 - time.monotonic()))
"""
    mounts = DATA["volumeMounts"]
    noisy = pod("noisy", python(program, volumeMounts=mounts), restartPolicy="Never", volumes=VOLUMES)
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=noisy)
    until(lambda: cluster.run(f"-n {namespace} logs noisy").stdout, "the first line")
    with following(cluster, f"-n {namespace} logs -f noisy") as told:
        # It is followed from before the first rotation.
        assert told.readline() == "0\n"
        cluster.kubectl(f"-n {namespace} exec noisy -- touch /data/go")
        numbers = [int(each.split(" ", 1)[0]) for each in told]
    if cluster.kind in ("kind", "given"):
        # A kubelet that is behind when the log is rotated goes on in the new file (cri-client's logs.go).
        assert numbers == sorted(set(numbers)) and numbers[-1] == 149_999
    else:
        assert numbers == list(range(1, 150_000))
    # Without following, what was rotated away is not told: cri-client's pkg/logs/logs.go says so, line 41.
    assert len(cluster.kubectl(f"-n {namespace} logs noisy").splitlines()) < 150_000


def node_of(cluster: ClusterUnderTest, namespace: str) -> str:
    """The name of a node that runs Pods."""
    run_ready(cluster, namespace, pod("here", shell("echo here; sleep 600")))
    name: str = cluster.get(f"-n {namespace} pod here")["spec"]["nodeName"]
    return name


def test_what_a_kubelet_serves_by_itself(cluster: ClusterUnderTest, namespace: str) -> None:
    """pkg/kubelet/server/server.go, InstallAuthNotRequiredHandlers and InstallAuthRequiredHandlers."""
    raw = f"get --raw /api/v1/nodes/{node_of(cluster, namespace)}/proxy"
    assert cluster.kubectl(f"{raw}/healthz") == "ok"
    pods = json.loads(cluster.kubectl(f"{raw}/pods"))
    assert pods["kind"] == "PodList"
    assert (namespace, "here") in [(p["metadata"]["namespace"], p["metadata"]["name"]) for p in pods["items"]]
    settings = json.loads(cluster.kubectl(f"{raw}/configz"))["kubeletconfig"]
    assert settings["containerLogMaxSize"] == "10Mi" and settings["containerLogMaxFiles"] == 5
    assert settings["authentication"]["anonymous"] == {"enabled": False}
    assert settings["clusterDomain"] == "cluster.local" and len(settings["clusterDNS"]) == 1
    node = cluster.get(f"node {raw.split('/')[4]}")
    assert str(settings["maxPods"]) == node["status"]["capacity"]["pods"]
    # A network plugin reads it in the Node, and no kubelet needs to be told (kindnet, and others).
    if cluster.kind not in ("kind", "given"):
        assert settings.get("podCIDR") == node["spec"].get("podCIDR")
    log = f"{raw}/containerLogs/{namespace}/here/main"
    until(lambda: cluster.kubectl(log) == "here\n", "the program to have said it")
    assert cluster.run(log.replace("/main", "/other")).returncode == 1


@pytest.mark.needs("process nodes")
def test_what_a_node_does_not_serve_says_so(cluster: ClusterUnderTest, namespace: str) -> None:
    raw = f"get --raw /api/v1/nodes/{node_of(cluster, namespace)}/proxy"
    said = cluster.run(f"{raw}/logs/").stderr
    assert said.startswith("Error from server (MethodNotAllowed): logs endpoint is disabled")
    said = cluster.run(f"{raw}/debug/pprof/").stderr
    assert "(NotImplemented)" in said and "they serve /healthz, /pods, /configz" in said
