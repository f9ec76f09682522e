"""Pods that are noisy, ill-behaved, oversized or many: what a node bears without harm to its other Pods."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
import zlib
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, python, run_ready, shell
from tests.cluster.pod_states import (
    PodObject,
    apply,
    ended,
    events,
    logged,
    status_of,
    told,
    waits_for,
    when,
)

WAITS = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: exit())\nwhile True: signal.pause()\n"

FLOOD = """
import sys, time
start = time.monotonic()
for number in range(50_000):
    # Some lines are longer than what a line of a CRI log may hold (16 KiB).
    width = 20_000 if number % 5_000 == 4_999 else 60
    sys.stdout.write(f"{number:05} {chr(97 + number % 26) * width}\\n")
    if number % 500 == 499:
        sys.stdout.flush()
        time.sleep(max(0.0, start + number / 10_000 - time.monotonic()))
"""


def test_a_flood_of_lines_is_kept_whole_and_hinders_nobody(cluster: ClusterUnderTest, namespace: str) -> None:
    """10 000 lines a second for five seconds, 6 MB: below `containerLogMaxSize`, so all of them are there."""
    run_ready(cluster, namespace, pod("calm", shell("trap 'exit 0' TERM; while :; do sleep 0.2; done")))
    node = cluster.get(f"-n {namespace} pod calm")["spec"]["nodeName"]
    flood = pod("flood", python(FLOOD), nodeName=node, restartPolicy="Never")
    apply(cluster, namespace, flood)
    until(lambda: cluster.run(f"-n {namespace} logs flood --limit-bytes=10").stdout, "the first line")
    answers = 0
    while cluster.get(f"-n {namespace} pod flood")["status"].get("phase") != "Succeeded":
        begun = time.monotonic()
        assert cluster.kubectl(f"-n {namespace} exec calm -- echo here") == "here\n"
        assert time.monotonic() - begun < 30
        answers += 1
    assert answers
    lines = cluster.kubectl(f"-n {namespace} logs flood").splitlines()
    expected = [
        f"{number:05} {chr(97 + number % 26) * (20_000 if number % 5_000 == 4_999 else 60)}"
        for number in range(50_000)
    ]
    assert lines == expected
    # A long line counts as the parts that it is written in, on a kubelet too.
    last = cluster.kubectl(f"-n {namespace} logs flood --tail=1000").splitlines()
    assert last[1:] == expected[-len(last) + 1 :] and expected[-len(last)].endswith(last[0][-60:])
    assert 998 <= len(last) <= 1000


DAEMON = """
import os, signal, time
beat = os.path.join(os.environ["DATA"], "beat")
if os.path.exists(beat):
    before = os.path.getsize(beat)
    time.sleep(1)
    print("alone" if os.path.getsize(beat) == before else "haunted", before > 0)
    signal.signal(signal.SIGTERM, lambda *_: exit())
    while True: signal.pause()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.fork() == 0:
        while True:
            with open(beat, "a") as file:
                file.write(".")
            time.sleep(0.05)
    os._exit(0)
os.wait()
while not os.path.exists(beat): time.sleep(0.01)
raise SystemExit(3)
"""


def test_what_a_container_left_behind_does_not_outlive_it(cluster: ClusterUnderTest, namespace: str) -> None:
    volume = [{"name": "data", "emptyDir": {}}]
    mount = [{"name": "data", "mountPath": "/data"}]
    main = python(DAEMON, env=[{"name": "DATA", "value": "/data"}], volumeMounts=mount)
    apply(cluster, namespace, pod("daemon", main, volumes=volume))
    logged(cluster, namespace, "daemon", "alone True")

    def ran_before(now: PodObject) -> object:
        return status_of(now)["lastState"].get("terminated")

    found = when(cluster, namespace, "daemon", ran_before, "its second run to be told")
    assert status_of(found)["lastState"]["terminated"]["exitCode"] == 3


def test_who_ignores_sigterm_is_killed_when_the_grace_is_over(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    """128 + 9, as containerd reports a program that SIGKILL ended; the object goes at once then."""
    deaf = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"
    held = json.loads(pod("held", shell(deaf)))
    held["metadata"]["finalizers"] = ["example.com/held"]
    apply(cluster, namespace, json.dumps(held))
    apply(cluster, namespace, pod("free", shell(deaf)))
    for name in ("held", "free"):
        logged(cluster, namespace, name, "deaf")
    begun = time.monotonic()
    cluster.kubectl(f"-n {namespace} delete pod free")
    # Well below the 30 s that it would have had without a grace period of its own.
    assert 2 <= time.monotonic() - begun < 25
    try:
        cluster.kubectl(f"-n {namespace} delete pod held --wait=false")

        def is_over(found: PodObject) -> bool:
            return "terminated" in status_of(found)["state"]

        found = when(cluster, namespace, "held", is_over, "the end of held")
        assert ended(found) == ("Error", 137)
    finally:
        patch = shlex.quote('{"metadata":{"finalizers":null}}')
        cluster.run(f"-n {namespace} patch pod held --type=merge -p {patch}")
    until(lambda: cluster.run(f"-n {namespace} get pod held").returncode, "held to be gone")


@pytest.mark.needs("process nodes")
def test_a_limit_on_the_disk_that_is_not_kept_is_told(cluster: ClusterUnderTest, namespace: str) -> None:
    """A kubelet evicts such a Pod; k8slab measures `emptyDir` volumes with a `sizeLimit` and says so."""
    fill = "dd if=/dev/zero of=${TMPDIR:-/tmp}/big bs=1024 count=4096 2>/dev/null && echo full; sleep 600"
    limits = {"limits": {"ephemeral-storage": "1Mi"}}
    apply(cluster, namespace, pod("full", shell(fill, resources=limits)))
    told(cluster, namespace, "full", "Warning", "Unsupported", "a program may write more")
    logged(cluster, namespace, "full", "full")
    assert not [each for each in events(cluster, namespace, "full") if each[1] == "Evicted"]
    # The limit of a volume is kept: tests/cluster/test_volumes.py fills one.


def test_a_thousand_variables_and_an_argument_of_100_kb(cluster: ClusterUnderTest, namespace: str) -> None:
    many = [{"name": f"VARIABLE_{number}", "value": f"{number}" * 25} for number in range(1000)]
    count = "import os; print(sum(each.startswith('VARIABLE_') for each in os.environ)"
    show = f"{count}, os.environ['VARIABLE_999'] == '999' * 25)"
    run_ready(cluster, namespace, pod("many", python(f"{show}\n{WAITS}", env=many)))
    logged(cluster, namespace, "many", "1000 True")
    line = f"-n {namespace} exec many -- python -c {shlex.quote(show)}"
    assert cluster.kubectl(line) == "1000 True\n"
    long = python("import sys, zlib; print(len(sys.argv[1]), zlib.crc32(sys.argv[1].encode()))")
    text = "".join(uuid4().hex for _ in range(3200))[:102_400]
    long["args"] = [text]
    apply(cluster, namespace, pod("long", long, restartPolicy="Never"))
    logged(cluster, namespace, "long", f"102400 {zlib.crc32(text.encode())}")


def test_names_as_long_as_they_may_be(cluster: ClusterUnderTest) -> None:
    """253 characters for a Pod, 63 for the others (k8s.io/apimachinery/pkg/util/validation/validation.go).

    A kubelet's folder for logs is named after namespace, name and uid (`BuildPodLogsDirectory` in
    pkg/kubelet/kuberuntime/helpers.go), so that a Pod whose three are longer than a file name does not run.
    """
    space = f"t-{uuid4().hex}{uuid4().hex}"[:63]
    name = ".".join("p" * 62 for _ in range(3))[: 255 - len(space) - len("__") - 36]
    longest = ".".join("p" * 62 for _ in range(4)) + "pp"
    assert (len(space), len(name), len(longest)) == (63, 154, 253)
    container, volume = "c" * 63, "v" * 63
    cluster.kubectl(f"create namespace {space}")
    try:
        until(
            lambda: cluster.run(f"-n {space} get serviceaccount default").returncode == 0,
            "the default service account",
        )
        main = shell("hostname; trap 'exit 0' TERM; while :; do sleep 0.1; done", name=container)
        main["volumeMounts"] = [{"name": volume, "mountPath": "/data"}]
        manifest = json.loads(pod("x", main, volumes=[{"name": volume, "emptyDir": {}}]))
        manifest["metadata"] |= {"name": name, "labels": {"l" * 63: "w" * 63}}
        run_ready(cluster, space, json.dumps(manifest))
        apply(cluster, space, json.dumps(manifest).replace(name, longest))
        told(cluster, space, longest, "Warning", "FailedCreatePodSandBox", "file name too long")
        is_creating = waits_for("ContainerCreating", container)
        found = when(cluster, space, longest, is_creating, "its status")
        assert status_of(found, container)["state"] == {"waiting": {"reason": "ContainerCreating"}}
        cluster.kubectl(f"-n {space} delete pod {longest}")
        # pkg/kubelet/util/util.go and kubelet_pods.go: cut to 63 characters, and none of `-.` at the end.
        hostname = cluster.kubectl(f"-n {space} exec {name} -c {container} -- sh -c 'echo $HOSTNAME'").strip()
        assert hostname == "p" * 62
        if cluster.kind != "plain":
            logged(cluster, space, f"{name} -c {container}", hostname)
        assert cluster.kubectl(f"-n {space} exec -i {name} -- cat", stdin="hello") == "hello"
        assert name in cluster.kubectl(f"-n {space} get pods -l {'l' * 63}={'w' * 63}")
        told(cluster, space, name, "Normal", "Started", "")
        assert container in cluster.kubectl(f"-n {space} describe pod {name}")
        cluster.kubectl(f"-n {space} delete pod {name}")
    finally:
        cluster.kubectl(f"delete namespace {space} --wait=false")


@pytest.mark.timeout(420)
def test_fifty_crashing_containers_do_not_hinder_a_healthy_pod(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    """Each is restarted at once and then after 10, 20 and 40 s."""
    crash = [shell("sleep 0.1; exit 1", name=f"crash-{number}") for number in range(5)]
    crowd = [json.loads(pod(f"crowd-{number}", *crash)) for number in range(10)]
    apply(cluster, namespace, json.dumps({"apiVersion": "v1", "kind": "List", "items": crowd}))

    def statuses() -> list[tuple[float, PodObject]]:
        items = cluster.get(f"-n {namespace} pods")["items"]
        crowded = [each for each in items if each["metadata"]["name"].startswith("crowd-")]
        return [
            (_age(each), status)
            for each in crowded
            for status in each["status"].get("containerStatuses") or []
        ]

    def all_restarted() -> bool:
        seen = statuses()
        return len(seen) == 50 and all(each["restartCount"] for _, each in seen)

    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "timeoutSeconds": 5}
    healthy = pod("healthy", shell("trap 'exit 0' TERM; while :; do sleep 0.2; done", readinessProbe=probe))
    run_ready(cluster, namespace, healthy)
    watching = subprocess.Popen(
        cluster.argv(f"-n {namespace} get pods -l app=healthy --watch --no-headers"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    try:
        # What it is when the watch begins, and then each change of it.
        first = watching.stdout.readline()
        until(all_restarted, "a restart of each of the fifty", 120)
        until(
            lambda: all("CrashLoopBackOff" in json.dumps(each["state"]) for _, each in statuses()),
            "all of them to wait",
            120,
        )
        until(lambda: sum(each["restartCount"] > 1 for _, each in statuses()) > 25, "second restarts", 120)
    finally:
        watching.terminate()
        watching.wait()
        with watching.stdout as rest:
            seen = [first, *rest]
    for age, status in statuses():
        # After 0, 10, 30, 70, 150 and 310 s at the earliest.
        pauses = (10, 30, 70, 150, 310)
        assert status["restartCount"] <= 1 + sum(age >= pause for pause in pauses), (age, status)
    assert all(line.split()[1:4] == ["1/1", "Running", "0"] for line in seen), seen


def _age(found: PodObject) -> float:
    started = datetime.fromisoformat(found["status"]["startTime"])
    return (datetime.now(UTC) - started).total_seconds()
