"""The life of a Pod on a process node reads as on any kubelet, asked through the real kubectl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from k8slab.cluster.identities import api_server_url
from k8slab.commands import run
from tests.embedded.conftest import until
from tests.embedded.node_objects import (
    container_status,
    demo,
    events,
    get,
    is_ready,
    pod_manifest,
    program,
    shell,
    state,
    when,
)

if TYPE_CHECKING:
    from tests.embedded.conftest import RunningCluster


def apply(cluster: RunningCluster, namespace: str, manifest: str) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)


def pod(cluster: RunningCluster, namespace: str, name: str) -> dict[str, Any]:
    return get(cluster, f"-n {namespace} pod {name}")


def logged(cluster: RunningCluster, namespace: str, what: str, text: str) -> None:
    """Wait until a container has said exactly this."""
    until(
        lambda: cluster.kubectl(f"-n {namespace} logs {what}", check=False) == text, f"{what} to say {text!r}"
    )


def test_a_pod_gets_ready_with_every_field_a_kubelet_writes(cluster: RunningCluster, namespace: str) -> None:
    apply(cluster, namespace, pod_manifest("web", demo()))
    web = when(cluster, f"-n {namespace} pod web", is_ready, "web to be Ready")
    status, container = web["status"], container_status(web)
    assert status["phase"] == "Running" and status["observedGeneration"] == web["metadata"]["generation"]
    assert {each["type"] for each in status["conditions"]} == {
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    }
    assert all(each["observedGeneration"] == web["metadata"]["generation"] for each in status["conditions"])
    assert status["podIPs"] == [{"ip": status["podIP"]}] and status["hostIPs"] == [{"ip": status["hostIP"]}]
    assert status["qosClass"] == "BestEffort" and status["startTime"]
    assert container["containerID"].startswith("k8slab://") and container["imageID"].startswith("k8slab://")
    assert (
        container["started"] and container["restartCount"] == 0 and container["state"]["running"]["startedAt"]
    )
    node = get(cluster, f"node {web['spec']['nodeName']}")
    assert status["hostIP"] == node["status"]["addresses"][0]["address"]
    wanted = {"Scheduled", "Pulled", "Created", "Started"}
    until(lambda: wanted <= {reason for reason, _ in events(cluster, namespace, "web")}, "the Events")


def test_a_program_killed_from_outside_is_seen_and_started_again(
    cluster: RunningCluster, namespace: str
) -> None:
    apply(cluster, namespace, pod_manifest("victim", demo()))
    before = when(cluster, f"-n {namespace} pod victim", is_ready, "victim to be Ready")
    pid = program(cluster, before)
    os.kill(pid, signal.SIGKILL)

    def healed(now: dict[str, Any]) -> bool:
        return container_status(now)["restartCount"] == 1 and is_ready(now)

    after = when(cluster, f"-n {namespace} pod victim", healed, "the container to be Ready again")
    last = container_status(after)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "Error")
    assert (
        last["containerID"]
        == container_status(before)["containerID"]
        != container_status(after)["containerID"]
    )
    assert program(cluster, after) != pid and not os.path.exists(f"/proc/{pid}")
    # The first restart is at once.
    started = container_status(after)["state"]["running"]["startedAt"]
    assert (
        time.mktime(time.strptime(started, "%Y-%m-%dT%H:%M:%SZ"))
        - time.mktime(time.strptime(last["finishedAt"], "%Y-%m-%dT%H:%M:%SZ"))
        <= 3
    )


def test_a_container_that_keeps_crashing_backs_off(cluster: RunningCluster, namespace: str) -> None:
    command = "echo last words > /dev/termination-log; exit 3"
    apply(cluster, namespace, pod_manifest("crash", shell(command)))
    crash = when(
        cluster,
        f"-n {namespace} pod crash",
        lambda p: state(p) == ("waiting", "CrashLoopBackOff"),
        "back-off",
    )
    status = container_status(crash)
    assert status["restartCount"] == 1 and crash["status"]["phase"] == "Running"
    uid = crash["metadata"]["uid"]
    assert status["state"]["waiting"]["message"] == (
        f"back-off 10s restarting failed container=main pod=crash_{namespace}({uid})"
    )
    last = status["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (3, "Error", "last words\n")
    wanted = ("BackOff", f"Back-off restarting failed container main in pod crash_{namespace}({uid})")
    until(lambda: wanted in events(cluster, namespace, "crash"), "the BackOff event")
    until(
        lambda: container_status(pod(cluster, namespace, "crash"))["restartCount"] == 2,
        "the restart after 10 s",
        30,
    )
    until(
        lambda: "back-off 20s" in json.dumps(container_status(pod(cluster, namespace, "crash"))["state"]),
        "20 s",
    )


@pytest.mark.parametrize(
    ("policy", "command", "phase", "reason"),
    [
        ("Never", "exit 0", "Succeeded", "Completed"),
        ("Never", "exit 4", "Failed", "Error"),
        ("OnFailure", "exit 0", "Succeeded", "Completed"),
    ],
)
def test_a_pod_that_ends(
    cluster: RunningCluster, namespace: str, policy: str, command: str, phase: str, reason: str
) -> None:
    name = f"end-{phase.lower()}-{policy.lower()}"
    apply(cluster, namespace, pod_manifest(name, shell(f"echo said; {command}"), restartPolicy=policy))
    ended = when(cluster, f"-n {namespace} pod {name}", lambda p: p["status"]["phase"] == phase, phase)
    assert state(ended) == ("terminated", reason)
    ready = next(each for each in ended["status"]["conditions"] if each["type"] == "Ready")
    assert ready["reason"] == ("PodCompleted" if phase == "Succeeded" else "PodFailed")
    logged(cluster, namespace, name, "said\n")


def test_an_unknown_image_reads_as_on_a_kubelet(cluster: RunningCluster, namespace: str) -> None:
    apply(cluster, namespace, pod_manifest("none", {"name": "main", "image": "no/such:1"}))
    until(
        lambda: state(pod(cluster, namespace, "none")) == ("waiting", "ImagePullBackOff"), "ImagePullBackOff"
    )
    message = container_status(pod(cluster, namespace, "none"))["state"]["waiting"]["message"]
    assert message.startswith('Back-off pulling image "no/such:1": ErrImagePull: ')
    assert "add an entry to" in message  # it says what to do
    assert pod(cluster, namespace, "none")["status"]["phase"] == "Pending"
    wanted = ("Failed", "Error: ImagePullBackOff")
    until(lambda: wanted in events(cluster, namespace, "none"), "the Event of the back-off")
    told = events(cluster, namespace, "none")
    assert ("Pulling", 'Pulling image "no/such:1"') in told and ("Failed", "Error: ErrImagePull") in told
    said = cluster.kubectl(f"-n {namespace} logs none", check=False)
    assert 'container "main" in pod "none" is waiting to start' in said


def test_configuration_that_is_missing_and_then_appears(cluster: RunningCluster, namespace: str) -> None:
    env = [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "colour"}}}]
    by_env = shell("echo $COLOUR; sleep 600", env=env)
    apply(cluster, namespace, pod_manifest("by-env", by_env))
    mounts = [{"name": "v", "mountPath": "/settings"}]
    volumes = [{"name": "v", "configMap": {"name": "later"}}]
    by_volume = shell("cat /settings/colour; echo; sleep 600", volumeMounts=mounts)
    apply(cluster, namespace, pod_manifest("by-volume", by_volume, volumes=volumes))
    until(
        lambda: state(pod(cluster, namespace, "by-env")) == ("waiting", "CreateContainerConfigError"),
        "the reason",
    )
    waiting = container_status(pod(cluster, namespace, "by-env"))["state"]["waiting"]
    assert waiting["message"] == 'configmap "later" not found'
    assert state(pod(cluster, namespace, "by-volume")) == ("waiting", "ContainerCreating")
    wanted = ("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "later" not found')
    until(lambda: wanted in events(cluster, namespace, "by-volume"), "the FailedMount event")
    cluster.kubectl(f"-n {namespace} create configmap later --from-literal=colour=green")
    for name in ("by-env", "by-volume"):
        when(cluster, f"-n {namespace} pod {name}", is_ready, f"{name} to heal")
        logged(cluster, namespace, name, "green\n")
    # A change reaches the file and not the environment.
    patch = json.dumps({"data": {"colour": "blue"}})
    cluster.kubectl(f"-n {namespace} patch configmap later -p '{patch}'")
    until(
        lambda: cluster.kubectl(f"-n {namespace} exec by-volume -- cat /settings/colour").strip() == "blue",
        "the new file",
    )
    assert cluster.kubectl(f"-n {namespace} exec by-env -- sh -c 'echo $COLOUR'").strip() == "green"


def test_a_pod_speaks_to_the_api_server_as_its_service_account(
    cluster: RunningCluster, namespace: str
) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    apply(cluster, namespace, pod_manifest("account", shell(f"cat {folder}/namespace; echo; sleep 600")))
    logged(cluster, namespace, "account", f"{namespace}\n")
    token = cluster.kubectl(f"-n {namespace} exec account -- cat {folder}/token").strip()
    # With the kubeconfig's certificate beside it, a token would not count.
    alone = f"--kubeconfig=/dev/null --server={api_server_url(cluster.folder.settings())}"
    authority = f"--certificate-authority={cluster.folder.certificate('ca')}"
    argv = f"{cluster.cluster.kubectl} {alone} {authority} --token={token} auth whoami -o json"
    who = json.loads(run(argv.split(), timeout=30).stdout)
    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"
    assert who["status"]["userInfo"]["extra"]["authentication.kubernetes.io/pod-name"] == ["account"]


def test_deletion_is_graceful_and_in_order(cluster: RunningCluster, namespace: str) -> None:
    """SIGTERM at once; then a terminal status with exit codes; then the object goes."""
    command = "trap 'echo asked; exit 7' TERM; echo up; while true; do sleep 0.1; done"
    apply(cluster, namespace, pod_manifest("polite", shell(command)))
    logged(cluster, namespace, "polite", "up\n")
    before = pod(cluster, namespace, "polite")
    version = before["metadata"]["resourceVersion"]
    path = f"/api/v1/namespaces/{namespace}/pods"
    began = time.time()
    cluster.kubectl(f"-n {namespace} delete pod polite")
    assert time.time() - began < 5
    query = {
        "watch": "true",
        "resourceVersion": version,
        "fieldSelector": "metadata.name=polite",
        "timeoutSeconds": "1",
    }
    lines = cluster.api.read(path, query).decode().splitlines()
    seen = [json.loads(line) for line in lines]
    ends = [each["object"] for each in seen if each["object"]["status"]["phase"] == "Failed"]
    terminated = container_status(ends[0])["state"]["terminated"]
    assert (terminated["exitCode"], ends[0]["metadata"]["deletionGracePeriodSeconds"]) == (7, 5)
    assert seen[-1]["type"] == "DELETED" and seen[-1]["object"]["metadata"]["deletionGracePeriodSeconds"] == 0
    assert container_status(seen[-1]["object"])["state"]["terminated"]["exitCode"] == 7
    assert ("Killing", "Stopping container main") in events(cluster, namespace, "polite")


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(
    cluster: RunningCluster, namespace: str
) -> None:
    apply(
        cluster,
        namespace,
        pod_manifest("stubborn", shell("trap '' TERM; echo up; while true; do sleep 0.1; done")),
    )
    logged(cluster, namespace, "stubborn", "up\n")
    pid = program(cluster, pod(cluster, namespace, "stubborn"))
    began = time.time()
    cluster.kubectl(f"-n {namespace} delete pod stubborn --grace-period=3")
    assert 2.5 < time.time() - began < 15
    assert not os.path.exists(f"/proc/{pid}")


def test_a_failed_liveness_probe_restarts_the_container(cluster: RunningCluster, namespace: str) -> None:
    probe = {
        "exec": {"command": ["sh", "-c", "echo sick; exit 1"]},
        "periodSeconds": 1,
        "failureThreshold": 2,
    }
    # terminationGracePeriodSeconds of the probe wins over the Pod's.
    sick = shell("sleep 600", livenessProbe={**probe, "terminationGracePeriodSeconds": 1})
    apply(cluster, namespace, pod_manifest("sick", sick, terminationGracePeriodSeconds=60))
    until(
        lambda: container_status(pod(cluster, namespace, "sick")).get("restartCount", 0) >= 1, "a restart", 30
    )
    told = events(cluster, namespace, "sick")
    assert ("Unhealthy", "Liveness probe failed: sick\n") in told
    assert ("Killing", "Container main failed liveness probe, will be restarted") in told


def test_init_containers_and_sidecars(cluster: RunningCluster, namespace: str) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    init = [
        shell("echo made > /work/file", "prepare", volumeMounts=mounts),
        shell("trap 'exit 0' TERM; while true; do sleep 0.1; done", "helper", restartPolicy="Always"),
    ]
    main = shell("cat /work/file; sleep 600", volumeMounts=mounts)
    volumes = [{"name": "work", "emptyDir": {}}]
    apply(cluster, namespace, pod_manifest("staged", main, initContainers=init, volumes=volumes))
    staged = when(cluster, f"-n {namespace} pod staged", is_ready, "staged to be Ready")
    logged(cluster, namespace, "staged -c main", "made\n")
    prepare, helper = staged["status"]["initContainerStatuses"]
    assert prepare["state"]["terminated"]["reason"] == "Completed" and prepare["ready"]
    assert helper["state"]["running"] and helper["ready"] and helper["started"]
    assert "2/2" in cluster.kubectl(f"-n {namespace} get pod staged")


def test_what_is_not_real_here_is_said(cluster: RunningCluster, namespace: str) -> None:
    odd = shell("sleep 600", securityContext={"privileged": True}, resources={"limits": {"cpu": "100m"}})
    apply(cluster, namespace, pod_manifest("odd", odd, hostNetwork=True))
    wanted = "spec.hostNetwork has no effect on k8slab's process nodes"

    def told() -> str:
        return "\n".join(
            message for reason, message in events(cluster, namespace, "odd") if reason == "Unsupported"
        )

    until(lambda: wanted in told(), "the Unsupported events")
    assert "securityContext (privileged)" in told() and "resources.limits.cpu" in told()


def test_a_deployment_replaces_what_is_killed(cluster: RunningCluster, namespace: str) -> None:
    cluster.kubectl(f"-n {namespace} create deployment web --image=k8slab/demo:1 --replicas=3")
    cluster.kubectl(f"-n {namespace} rollout status deployment web --timeout=60s")
    pods = json.loads(cluster.kubectl(f"-n {namespace} get pods -l app=web -o json"))["items"]
    addresses = {each["status"]["podIP"] for each in pods}
    assert len(addresses) == 3
    cluster.kubectl(f"-n {namespace} delete pod {pods[0]['metadata']['name']}")
    cluster.kubectl(f"-n {namespace} rollout status deployment web --timeout=60s")
    after = json.loads(cluster.kubectl(f"-n {namespace} get pods -l app=web -o json"))["items"]
    heirs = [each for each in after if each["metadata"]["uid"] not in {p["metadata"]["uid"] for p in pods}]
    assert len(after) == 3 and len(heirs) == 1 and is_ready(heirs[0])
    assert heirs[0]["status"]["podIP"] not in addresses


def test_a_pod_that_names_a_node_without_room_is_refused_by_the_node(
    cluster: RunningCluster, namespace: str
) -> None:
    greedy = shell("sleep 600", resources={"requests": {"cpu": "1000"}})
    apply(cluster, namespace, pod_manifest("greedy", greedy, nodeName="worker-1"))
    refused = when(
        cluster, f"-n {namespace} pod greedy", lambda p: p["status"]["phase"] == "Failed", "the refusal"
    )
    assert refused["status"]["reason"] == "OutOfcpu"
    text = "Node didn't have enough resource: cpu, requested: 1000000"
    assert refused["status"]["message"].startswith(f"Pod was rejected: {text}")
    assert "OutOfcpu" in cluster.kubectl(f"-n {namespace} get pod greedy")
    cluster.kubectl(f"-n {namespace} delete pod greedy --timeout=20s")


def test_hooks_startup_probe_and_a_deadline(cluster: RunningCluster, namespace: str) -> None:
    volumes = [{"name": "v", "emptyDir": {}}]
    hooked = shell(
        "trap 'echo term >> /v/story; exit 0' TERM; sleep 1; touch /v/up; while true; do sleep 0.1; done",
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
        lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo post >> /v/story"]}},
            "preStop": {
                "exec": {"command": ["sh", "-c", "echo pre >> /v/story; cp /v/story /v/copy; sleep 1"]}
            },
        },
        startupProbe={"exec": {"command": ["test", "-e", "/v/up"]}, "periodSeconds": 1},
    )
    watcher = shell(
        "until [ -e /v/story ]; do sleep 0.1; done; tail -n +1 -f /v/story",
        "watcher",
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    apply(cluster, namespace, pod_manifest("hooked", hooked, watcher, volumes=volumes))
    when(cluster, f"-n {namespace} pod hooked", is_ready, "the startup probe to succeed")
    assert ("Unhealthy", "Startup probe failed: ") in events(cluster, namespace, "hooked")
    late = pod_manifest("late", shell("sleep 600"), activeDeadlineSeconds=2, terminationGracePeriodSeconds=1)
    apply(cluster, namespace, late)
    follow = f"-n {namespace} logs -f hooked -c watcher"
    config = f"--kubeconfig={cluster.cluster.kubeconfig}"
    process = subprocess.Popen(
        [str(cluster.cluster.kubectl), config, *follow.split()], stdout=subprocess.PIPE, text=True
    )
    cluster.kubectl(f"-n {namespace} delete pod hooked")
    said, _ = process.communicate(timeout=30)
    assert said.splitlines()[:2] == ["post", "pre"]
    over = when(
        cluster, f"-n {namespace} pod late", lambda p: p["status"]["phase"] == "Failed", "the deadline", 30
    )
    assert over["status"]["reason"] == "DeadlineExceeded"
    assert over["status"]["message"] == "Pod was active on the node longer than the specified deadline"
