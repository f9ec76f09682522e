"""Images: pull policies and what is said of pulls, tags that do not exist, web servers, the demo."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest, until

WEB = """
apiVersion: v1
kind: ConfigMap
metadata: {name: page}
data: {index.html: "from the map\\n"}
---
apiVersion: v1
kind: Pod
metadata: {name: mounted}
spec:
  volumes: [{name: page, configMap: {name: page}}]
  containers:
  - {name: web, image: "nginx:1.29", volumeMounts: [{name: page, mountPath: /usr/share/nginx/html}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one-file}
spec:
  volumes: [{name: page, configMap: {name: page}}]
  containers:
  - name: web
    image: nginx:1.29
    volumeMounts: [{name: page, mountPath: /usr/share/nginx/html/index.html, subPath: index.html}]
---
apiVersion: v1
kind: Pod
metadata: {name: prepared}
spec:
  volumes: [{name: html, emptyDir: {}}]
  initContainers:
  - name: write
    image: busybox:1.36
    command: [sh, -c, "echo prepared > /work/index.html"]
    volumeMounts: [{name: html, mountPath: /work}]
  containers:
  - {name: web, image: "httpd:2.4", volumeMounts: [{name: html, mountPath: /usr/local/apache2/htdocs/}]}
---
apiVersion: v1
kind: Pod
metadata: {name: own-command}
spec:
  containers:
  - name: web
    image: nginx:1.29
    command: [/bin/sh, -c, "echo $HOSTNAME > /usr/share/nginx/html/index.html && exec nginx -g 'daemon off;'"]
---
apiVersion: v1
kind: Pod
metadata: {name: asking}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: sh, image: "busybox:1.36", command: [sleep, "3600"]}]
"""


@pytest.fixture
def kubectl(cluster: ClusterUnderTest, namespace: str) -> Callable[..., str]:
    def asked(line: str, stdin: str | None = None) -> str:
        return cluster.kubectl(f"-n {namespace} {line}", stdin)

    return asked


def events(kubectl: Callable[..., str], pod: str) -> list[tuple[str, str]]:
    """Reason and message of every Event about a Pod, oldest first."""
    found = json.loads(kubectl(f"get events --field-selector involvedObject.name={pod} -o json"))
    return [(each["reason"], each["message"]) for each in found["items"]]


def container(kubectl: Callable[..., str], pod: str) -> dict[str, Any]:
    """The status of a Pod's (only) container."""
    status: dict[str, Any] = json.loads(kubectl(f"get pod {pod} -o json"))["status"]
    statuses = status.get("containerStatuses") or [{}]
    return dict(statuses[0])


def waiting(kubectl: Callable[..., str], pod: str) -> dict[str, str]:
    state: dict[str, str] = container(kubectl, pod).get("state", {}).get("waiting") or {}
    return state


def served(kubectl: Callable[..., str], pod: str) -> str:
    """A Pod's log as soon as it tells of a request."""
    log = kubectl(f"logs {pod}")
    return log if "GET /" in log else ""


def answers(kubectl: Callable[..., str], address: str, text: str) -> bool:
    """Whether the Pod `asking` is given a page there, and it is this one."""
    page = kubectl(f"exec asking -- wget -T 10 -qO- http://{address}/").strip()
    assert page == text, page
    return True


def run(kubectl: Callable[..., str], name: str, image: str, policy: str, node: str = "") -> None:
    """Create a Pod that waits."""
    spec: dict[str, Any] = {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": "c", "image": image, "imagePullPolicy": policy, "command": ["sleep", "3600"]}
        ],
    }
    if node:
        spec["nodeName"] = node
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    kubectl("create -f -", json.dumps(pod))


def test_pulls_are_told_as_a_kubelet_tells_them(kubectl: Callable[..., str]) -> None:
    """pkg/kubelet/images/image_manager.go:157, 257 and 374 of Kubernetes 1.36."""
    run(kubectl, "first", "bash:5.2", "IfNotPresent")
    kubectl("wait --for=condition=Ready pod/first --timeout=60s")
    node = kubectl("get pod first -o jsonpath={.spec.nodeName}")
    run(kubectl, "second", "bash:5.2", "IfNotPresent", node)
    run(kubectl, "always", "bash:5.2", "Always", node)
    run(kubectl, "never", "bash:5.0.17", "Never", node)
    kubectl("wait --for=condition=Ready pod/second pod/always --timeout=60s")
    present = 'Container image "bash:5.2" already present on machine and can be accessed by the pod'
    until(lambda: ("Pulled", present) in events(kubectl, "second"), "the Event of an image that is there")
    until(lambda: "Pulled" in dict(events(kubectl, "always")), "Events of a pull")
    told = dict(events(kubectl, "always"))
    assert told["Pulling"] == 'Pulling image "bash:5.2"'
    assert told["Pulled"].startswith('Successfully pulled image "bash:5.2" in ')
    assert " including waiting). Image size: " in told["Pulled"]
    refused = 'Container image "bash:5.0.17" is not present with pull policy of Never'
    until(
        lambda: waiting(kubectl, "never") == {"reason": "ErrImageNeverPull", "message": refused},
        "the refusal",
    )
    until(lambda: ("ErrImageNeverPull", refused) in events(kubectl, "never"), "its Event")
    until(
        lambda: (
            "docker.io/library/bash:5.2"
            in kubectl(f"get node {node} -o jsonpath={{.status.images[*].names}}")
        ),
        "the image in the Node's status",
    )


def test_a_name_that_is_none_and_an_image_that_is_not_there(kubectl: Callable[..., str]) -> None:
    """pkg/kubelet/images/image_manager.go:178, 338 and 362; the library's words: distribution/reference."""
    run(kubectl, "capitals", "Busybox", "IfNotPresent")
    text = (
        'Failed to apply default image tag "Busybox": couldn\'t parse image name "Busybox": '
        "invalid reference format: repository name (library/Busybox) must be lowercase"
    )
    until(
        lambda: waiting(kubectl, "capitals") == {"reason": "InvalidImageName", "message": text}, "its status"
    )
    run(kubectl, "absent", "nginx:1.99-broken", "IfNotPresent")
    until(lambda: waiting(kubectl, "absent").get("reason") == "ErrImagePull", "ErrImagePull")
    assert "not found" in waiting(kubectl, "absent")["message"]
    until(lambda: waiting(kubectl, "absent").get("reason") == "ImagePullBackOff", "ImagePullBackOff")
    text = 'Back-off pulling image "nginx:1.99-broken": ErrImagePull: '
    # After a while it is tried again, and is ErrImagePull for a moment.
    until(lambda: waiting(kubectl, "absent")["message"].startswith(text), "the whole message")
    pulling = ("Pulling", 'Pulling image "nginx:1.99-broken"')
    until(lambda: pulling in events(kubectl, "absent"), "the Event of the pull")
    failed = 'Failed to pull image "nginx:1.99-broken": '
    until(
        lambda: any(
            reason == "Failed" and text.startswith(failed) for reason, text in events(kubectl, "absent")
        ),
        "the Event of its failure",
    )


def test_web_servers_serve_what_a_pod_gives_them(kubectl: Callable[..., str]) -> None:
    kubectl("apply -f -", WEB)
    kubectl("wait --for=condition=Ready pod --all --timeout=60s")
    for name, text in (
        ("mounted", "from the map"),
        ("one-file", "from the map"),
        ("prepared", "prepared"),
        ("own-command", "own-command"),
    ):
        address = kubectl(f"get pod {name} -o jsonpath={{.status.podIP}}")
        # Without a readiness probe a Pod is Ready before its program listens.
        until(partial(answers, kubectl, address, text), f"{name} to serve {text!r}")
        assert '"GET / HTTP/1.1" 200' in until(partial(served, kubectl, name), "its access log")
    kubectl("delete pod --all --wait=true")


@pytest.mark.needs("process nodes")
def test_a_stand_in_says_so_wherever_it_can(
    cluster: ClusterUnderTest, namespace: str, kubectl: Callable[..., str]
) -> None:
    """It is one at the plain level always, and at the sandboxed one where the host has no nginx."""
    kubectl("create deployment web --image=nginx:1.29")
    kubectl("expose deployment web --port=80")
    kubectl("wait --for=condition=Available deployment/web --timeout=60s")
    name = kubectl("get pods -o jsonpath={.items[0].metadata.name}")
    status = container(kubectl, name)
    if "stand-in" not in status["imageID"]:
        assert cluster.kind == "sandboxed" and status["image"] == "nginx:1.29"
        return
    assert status["image"] == "k8slab.dev/stand-in/nginx:1.29"
    until(
        lambda: any(reason == "StandIn" and "Stand-in" in text for reason, text in events(kubectl, name)),
        "the Event that says so",
    )

    def page() -> str:
        """What the Service answers; none where the node has not heard of its endpoints yet."""
        done = cluster.run(f"-n {namespace} exec {name} -- sh -c 'wget -S -qO- http://web/ 2>&1'")
        return done.stdout if done.returncode == 0 else ""

    seen = until(page, "a page from the Service")
    assert "Server: k8slab-stand-in" in seen
    assert "nginx/" not in seen


@pytest.mark.needs("images of the kit")
def test_a_rollout_to_a_tag_that_is_not_there_and_back(kubectl: Callable[..., str]) -> None:
    """X36 to X38: the old Pods keep serving while the new ones cannot be pulled."""
    kubectl("create deployment web --image=k8slab/demo:1 --replicas=2")
    kubectl("set env deployment/web DRAIN_SECONDS=0")
    kubectl("rollout status deployment/web --timeout=60s")
    kubectl("set image deployment/web demo=k8slab/demo:2")
    kubectl("rollout status deployment/web --timeout=60s")
    kubectl("set image deployment/web demo=k8slab/demo:broken")

    def pulls_fail() -> bool:
        pods = json.loads(kubectl("get pods -o json"))["items"]
        reasons = [
            (each.get("state", {}).get("waiting") or {}).get("reason")
            for pod in pods
            for each in pod["status"].get("containerStatuses", [])
        ]
        return "ImagePullBackOff" in reasons

    until(pulls_fail, "a new Pod with ImagePullBackOff")
    assert int(kubectl("get deployment web -o jsonpath={.status.availableReplicas}")) >= 2 - 1
    kubectl("rollout undo deployment/web")
    kubectl("rollout status deployment/web --timeout=60s")
    images = "get pods -o jsonpath={.items[*].spec.containers[0].image}"
    until(lambda: set(kubectl(images).split()) == {"k8slab/demo:2"}, "no other Pods but those of before")


@pytest.mark.needs("images of the kit")
def test_the_demo_s_own_image_is_on_every_node(kubectl: Callable[..., str]) -> None:
    kubectl("run demo --image=k8slab/demo:3 --image-pull-policy=Never")
    kubectl("run lacking --image=k8slab/demo:1 --restart=Never -- store --require MYSQL_ROOT_PASSWORD")
    kubectl("wait --for=condition=Ready pod/demo --timeout=60s")
    kubectl("wait --for=jsonpath={.status.phase}=Failed pod/lacking --timeout=60s")
    assert "cannot start without MYSQL_ROOT_PASSWORD" in kubectl("logs lacking")


@pytest.mark.needs("process nodes")
def test_databases_say_what_to_use_and_a_digest_is_what_runs(kubectl: Callable[..., str]) -> None:
    kubectl("run demo --image=k8slab/demo:3 --image-pull-policy=Never")
    kubectl("run db --image=mysql:8.4 --env=MYSQL_ROOT_PASSWORD=x")
    kubectl("wait --for=condition=Ready pod/demo --timeout=60s")
    until(
        lambda: "k8slab/demo:1" in waiting(kubectl, "db").get("message", ""), "what to use instead of mysql"
    )
    digest = container(kubectl, "demo")["imageID"].rpartition("@")[2]
    kubectl(f"run pinned --image=k8slab/demo@{digest}")
    kubectl("wait --for=condition=Ready pod/pinned --timeout=60s")
    kubectl("run other --image=k8slab/demo@sha256:" + "0" * 64)
    until(
        lambda: "not found" in waiting(kubectl, "other").get("message", ""), "a digest that nothing here has"
    )
