"""What a container finds in its volumes, and what becomes of them.

Texts: pkg/volume/hostpath/host_path.go line 456 (`checkTypeInternal`), pkg/volume/configmap/configmap.go,
pkg/volume/secret/secret.go, pkg/kubelet/kubelet_pods.go line 278 (`makeMounts`),
pkg/kubelet/container/helpers.go line 259, pkg/kubelet/eviction/helpers.go line 58 and
pkg/volume/util/operationexecutor (all 1.36).
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, run_ready, shell
from tests.cluster.storage_manifests import apply, told, until_prints, until_told, workers


def at(name: str, path: str, **fields: Any) -> dict[str, Any]:
    """A volumeMount."""
    return {"name": name, "mountPath": path, **fields}


def config_map(name: str, data: dict[str, str], **fields: Any) -> dict[str, Any]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data, **fields}


def waiting(cluster: ClusterUnderTest, namespace: str, name: str) -> dict[str, Any]:
    """The `waiting` state of a Pod's first container."""
    statuses = cluster.get(f"-n {namespace} pod {name}")["status"].get("containerStatuses") or [{}]
    found: dict[str, Any] = (statuses[0].get("state") or {}).get("waiting") or {}
    return found


def test_an_empty_folder_is_shared_by_its_pod_and_ends_with_it(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    mounts = [at("shared", "/shared")]
    writer = shell(
        "echo $HOSTNAME > /shared/note; ls -A /shared; sleep 600", name="writer", volumeMounts=mounts
    )
    reader = shell("sleep 600", name="reader", volumeMounts=mounts)
    manifest = pod("two", writer, reader, volumes=[{"name": "shared", "emptyDir": {}}])
    for _ in range(2):
        # The second Pod of the name starts with nothing of the first one's.
        run_ready(cluster, namespace, manifest)
        read = f"-n {namespace} exec two -c reader -- cat /shared/note"
        until_prints(cluster, read, "two")
        until_prints(cluster, f"-n {namespace} logs two -c writer", "note")
        cluster.kubectl(f"-n {namespace} exec two -c reader -- touch /shared/left")
        cluster.kubectl(f"-n {namespace} delete pod two")


def test_files_follow_their_source_and_variables_do_not(cluster: ClusterUnderTest, namespace: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys"},
        "stringData": {"password": "s3cret"},
    }
    volumes: list[dict[str, Any]] = [
        {"name": "whole", "configMap": {"name": "settings"}},
        {
            "name": "some",
            "configMap": {
                "name": "settings",
                "defaultMode": 0o440,
                "items": [
                    {"key": "colour", "path": "deep/colour.txt"},
                    {"key": "size", "path": "size", "mode": 0o400},
                ],
            },
        },
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "absent", "configMap": {"name": "nobody", "optional": True}},
        {
            "name": "about",
            "downwardAPI": {
                "items": [
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                    {
                        "path": "memory",
                        "resourceFieldRef": {
                            "containerName": "main",
                            "resource": "limits.memory",
                            "divisor": "1Mi",
                        },
                    },
                ]
            },
        },
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"configMap": {"name": "settings", "items": [{"key": "size", "path": "size"}]}},
                    {"secret": {"name": "keys"}},
                    {"downwardAPI": {"items": [{"path": "who", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    {
                        "serviceAccountToken": {
                            "path": "token",
                            "audience": "bank",
                            "expirationSeconds": 700,
                        }
                    },
                ]
            },
        },
    ]
    mounts = [at(each["name"], f"/v/{each['name']}") for each in volumes]
    mounts.append(at("whole", "/v/one-file.txt", subPath="colour"))
    colour = {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}}
    limit = {"limits": {"memory": "64Mi"}}
    box = shell("sleep 600", volumeMounts=mounts, env=[colour], resources=limit)
    settings = config_map(
        "settings",
        {"colour": "blue", "size": "small"},
        binaryData={"raw": base64.b64encode(b"\0\1").decode()},
    )
    apply(cluster, namespace, settings, secret)
    run_ready(cluster, namespace, pod("box", box, volumes=volumes))

    def run(command: str) -> str:
        return cluster.kubectl(f"-n {namespace} exec box -- sh -c '{command}'")

    assert run("ls /v/whole").split() == ["colour", "raw", "size"]
    assert run("wc -c < /v/whole/raw").strip() == "2"
    assert run("cat /v/some/deep/colour.txt /v/some/size /v/keys/password") == "bluesmalls3cret"
    modes = "stat -L -c %a /v/whole/size /v/some/size /v/some/deep/colour.txt /v/keys/password"
    assert run(modes).split() == ["644", "400", "440", "400"]
    assert run("ls /v/absent") == ""
    # The node's zone may stand among them (the admission plugin PodTopologyLabels).
    assert run("head -n 1 /v/about/labels").strip() == 'app="box"'
    assert run("cat /v/about/memory") == "64"
    assert run("ls /v/all").split() == ["password", "size", "token", "who"]
    check_token(cluster, run("cat /v/all/token"), namespace)

    cluster.kubectl(f"-n {namespace} patch configmap settings -p " + '\'{"data": {"colour": "green"}}\'')
    cluster.kubectl(f"-n {namespace} label pod box tier=front")
    # A kubelet looks once a minute; here the watch is enough.
    until(lambda: run("cat /v/whole/colour") == "green", "the new colour", 100)
    until(lambda: "tier" in run("cat /v/about/labels"), "the new label", 100)
    until(lambda: run("cat /v/some/deep/colour.txt") == "green", "the new colour in the other volume", 100)
    assert run("echo $COLOUR; cat /v/one-file.txt").split() == ["blue", "blue"]


def check_token(cluster: ClusterUnderTest, token: str, namespace: str) -> None:
    """Check that a token is what the Pod asked for, and that the API server takes it."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == ["bank"] and claims["exp"] - claims["iat"] == 700
    assert claims["kubernetes.io"]["pod"]["name"] == "box"
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": ["bank"]},
    }
    answer = json.loads(cluster.kubectl("create -f - -o json", stdin=json.dumps(review)))
    assert answer["status"]["authenticated"]
    assert answer["status"]["user"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_what_is_missing_is_waited_for(cluster: ClusterUnderTest, namespace: str) -> None:
    mounted = shell("cat /conf/a; echo; sleep 600", volumeMounts=[at("conf", "/conf")])
    both = [{"configMap": {"name": "later"}}, {"secret": {"name": "later"}}]
    named = {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "a"}}}
    apply(
        cluster,
        namespace,
        pod("file", mounted, volumes=[{"name": "conf", "configMap": {"name": "later"}}]),
        pod("mix", mounted, volumes=[{"name": "conf", "projected": {"sources": both}}]),
        pod("variable", shell("echo $X; sleep 600", env=[named])),
        # A volume that no container mounts is nobody's business.
        pod("idle", shell("sleep 600"), volumes=[{"name": "conf", "configMap": {"name": "nobody"}}]),
    )
    prefix = 'MountVolume.SetUp failed for volume "conf" : '
    text = f'{prefix}configmap "later" not found'
    assert until_told(cluster, namespace, "file", "FailedMount", "later") == text
    text = f'{prefix}[configmap "later" not found, secret "later" not found]'
    assert until_told(cluster, namespace, "mix", "FailedMount", "later") == text
    creating = {"reason": "ContainerCreating"}
    until(lambda: waiting(cluster, namespace, "file") == creating, "a Pod that is being made")
    wanted = {"reason": "CreateContainerConfigError", "message": 'configmap "later" not found'}
    until(lambda: waiting(cluster, namespace, "variable") == wanted, "the missing variable to be told")
    text = 'Error: configmap "later" not found'
    assert until_told(cluster, namespace, "variable", "Failed", "later") == text
    cluster.kubectl(f"-n {namespace} wait pod/idle --for=condition=Ready --timeout=60s")

    cluster.kubectl(f"-n {namespace} create secret generic later --from-literal=b=2")
    cluster.kubectl(f"-n {namespace} create configmap later --from-literal=a=1")
    for name in ("file", "mix", "variable"):
        cluster.kubectl(f"-n {namespace} wait pod/{name} --for=condition=Ready --timeout=150s", timeout=160)
        until_prints(cluster, f"-n {namespace} logs {name}", "1")


def test_a_missing_key_and_an_immutable_source(cluster: ClusterUnderTest, namespace: str) -> None:
    item = {"items": [{"key": "none", "path": "x"}]}
    mounted = shell("sleep 600", volumeMounts=[at("conf", "/conf")])
    apply(
        cluster,
        namespace,
        config_map("fixed", {"a": "1"}, immutable=True),
        pod("wrong", mounted, volumes=[{"name": "conf", "configMap": {"name": "fixed", **item}}]),
    )
    text = 'MountVolume.SetUp failed for volume "conf" : configmap references non-existent config key: none'
    assert until_told(cluster, namespace, "wrong", "FailedMount", "none") == text
    manifest = pod("right", mounted, volumes=[{"name": "conf", "configMap": {"name": "fixed"}}])
    run_ready(cluster, namespace, manifest)
    refused = cluster.run(f"-n {namespace} patch configmap fixed -p " + '\'{"data": {"a": "2"}}\'')
    assert "field is immutable when `immutable` is set" in refused.stderr
    # Deleted and made again, it still is what the node once read, for as long as a Pod uses it.
    cluster.kubectl(f"-n {namespace} delete configmap fixed")
    apply(cluster, namespace, config_map("fixed", {"a": "2"}, immutable=True))
    cluster.kubectl(f"-n {namespace} label pod right touched=yes")
    assert cluster.kubectl(f"-n {namespace} exec right -- cat /conf/a") == "1"


def test_paths_of_the_node_are_its_own(cluster: ClusterUnderTest, namespace: str) -> None:
    home, other = workers(cluster)[:2]
    place = f"/var/tmp/{namespace}"

    def on(name: str, node: str, kind: str, path: str = place) -> str:
        volume = {"name": "host", "hostPath": {"path": path, "type": kind}}
        box = shell("echo $HOSTNAME >> /host/rows; sleep 600", volumeMounts=[at("host", "/host")])
        return pod(name, box, nodeName=node, volumes=[volume])

    apply(cluster, namespace, on("none", home, "Directory"))
    prefix = 'MountVolume.SetUp failed for volume "host" : hostPath type check failed: '
    text = f"{prefix}{place} is not a directory"
    assert until_told(cluster, namespace, "none", "FailedMount", "check") == text
    cluster.kubectl(f"-n {namespace} delete pod none")
    run_ready(cluster, namespace, on("first", home, "DirectoryOrCreate"))
    cluster.kubectl(f"-n {namespace} delete pod first")
    run_ready(cluster, namespace, on("second", home, "Directory"))
    until_prints(cluster, f"-n {namespace} exec second -- cat /host/rows", "first", "second")
    # The same Pod on another node finds another folder: what it wrote is missing.
    run_ready(cluster, namespace, on("third", other, ""))
    until_prints(cluster, f"-n {namespace} exec third -- cat /host/rows", "third")
    kinds = {
        "File": "a file",
        "Socket": "a socket file",
        "CharDevice": "a character device",
        "BlockDevice": "a block device",
    }
    apply(cluster, namespace, *(on(kind.lower(), home, kind) for kind in kinds))
    for kind, words in kinds.items():
        text = f"{prefix}{place} is not {words}"
        assert until_told(cluster, namespace, kind.lower(), "FailedMount", "check") == text
    file = {"name": "host", "hostPath": {"path": f"{place}/made", "type": "FileOrCreate"}}
    box = shell("echo x > /file; cat /file; sleep 600", volumeMounts=[at("host", "/file")])
    run_ready(cluster, namespace, pod("file-maker", box, nodeName=home, volumes=[file]))
    until_prints(cluster, f"-n {namespace} exec second -- cat /host/made", "x")


def test_parts_of_a_volume(cluster: ClusterUnderTest, namespace: str) -> None:
    name = {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    mounts = [
        at("work", "/whole"),
        at("work", "/logs", subPathExpr="logs/$(NAME)"),
        at("work", "/fixed", subPath="a/b"),
    ]
    volumes = [{"name": "work", "emptyDir": {}}]
    run_ready(
        cluster,
        namespace,
        pod("parts", shell("sleep 600", volumeMounts=mounts, env=[name]), volumes=volumes),
    )
    run = f"-n {namespace} exec parts -- "
    cluster.kubectl(f"{run}touch /logs/x /fixed/y")
    until_prints(cluster, f"{run}ls /whole/logs/parts", "x")
    until_prints(cluster, f"{run}ls /whole/a/b", "y")

    def odd(title: str, value: str) -> str:
        wanted = {"name": "PLACE", "value": value}
        mount = at("work", "/part", subPathExpr="$(PLACE)")
        return pod(title, shell("sleep 600", volumeMounts=[mount], env=[wanted]), volumes=volumes)

    apply(cluster, namespace, odd("out", "../.."), odd("root", "/etc"), odd("void", ""))
    texts = {
        "out": "unable to provision SubPath `../..`: must not contain '..'",
        "root": "error SubPath `/etc` must not be an absolute path",
        "void": "missing value for PLACE",
    }
    for title, text in texts.items():
        wanted = {"reason": "CreateContainerConfigError", "message": text}
        until(lambda each=title, right=wanted: waiting(cluster, namespace, each) == right, text)  # type: ignore[misc]


@pytest.mark.needs("own file tree")
def test_volumes_within_volumes_and_read_only_ones(cluster: ClusterUnderTest, namespace: str) -> None:
    mounts = [
        at("outer", "/outer", readOnly=True, recursiveReadOnly="IfPossible"),
        at("outer", "/again/"),
        at("inner", "/again/in/side"),
        at("conf", "/conf"),
        at("inner", "/conf/nested"),
    ]
    volumes: list[dict[str, Any]] = [
        {"name": "outer", "emptyDir": {}},
        {"name": "inner", "emptyDir": {}},
        {"name": "conf", "configMap": {"name": "settings"}},
    ]
    apply(cluster, namespace, config_map("settings", {"a": "1"}))
    run_ready(cluster, namespace, pod("nest", shell("sleep 600", volumeMounts=mounts), volumes=volumes))
    (status,) = cluster.get(f"-n {namespace} pod nest")["status"]["containerStatuses"]
    shown = {each["mountPath"]: each.get("recursiveReadOnly") for each in status["volumeMounts"]}
    assert shown["/outer"] == "Enabled" and shown["/again/"] is None
    run = f"-n {namespace} exec nest -- "
    cluster.kubectl(f"{run}touch /again/in/side/deep /again/flat")
    assert cluster.kubectl(f"{run}ls /outer /conf/nested").split() == [
        "/conf/nested:",
        "deep",
        "/outer:",
        "flat",
        "in",
    ]
    for path in ("/outer/x", "/conf/x"):
        refused = cluster.run(f"{run}touch {path}")
        assert "Read-only file system" in refused.stderr
    # A new version of the files leaves the other volume's place alone.
    cluster.kubectl(f"-n {namespace} patch configmap settings -p " + '\'{"data": {"a": null, "b": "2"}}\'')
    until(lambda: cluster.kubectl(f"{run}ls /conf").split() == ["b", "nested"], "the new files", 100)
    assert cluster.kubectl(f"{run}ls /conf/nested").strip() == "deep"


def test_a_pod_that_fills_a_limited_folder_is_evicted(cluster: ClusterUnderTest, namespace: str) -> None:
    fill = shell(
        "dd if=/dev/zero of=/work/big bs=1024 count=3000; trap : TERM; sleep 600 & wait; sleep 600",
        volumeMounts=[at("work", "/work")],
    )
    small = [{"name": "work", "emptyDir": {"sizeLimit": "2Mi"}}]
    roomy = [{"name": "work", "emptyDir": {"sizeLimit": "200Mi"}}]
    # An evicted Pod gets a second, however long it may take by itself.
    full = json.loads(pod("full", fill, volumes=small))
    full["spec"]["terminationGracePeriodSeconds"] = 600
    apply(cluster, namespace, full, pod("fits", fill, volumes=roomy))
    text = 'Usage of EmptyDir volume "work" exceeds the limit "2Mi". '
    # A kubelet's figures of volumes may be a minute old.
    until_told(cluster, namespace, "full", "Evicted", text, 120)
    cluster.kubectl(f"-n {namespace} wait pod/full --for=jsonpath={{.status.phase}}=Failed --timeout=50s")
    status = cluster.get(f"-n {namespace} pod full")["status"]
    assert (status["reason"], status["message"]) == ("Evicted", text)
    assert cluster.get(f"-n {namespace} pod fits")["status"]["phase"] == "Running"
    assert told(cluster, namespace, "fits", "Evicted") == []


@pytest.mark.needs("storage of the kit")
def test_a_volume_of_another_kind_is_refused_by_an_event(cluster: ClusterUnderTest, namespace: str) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "nfs": {"server": "files.example", "path": "/"},
        "iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:disk", "lun": 0},
        "csi": {"driver": "disk.example"},
        "image": {"reference": "busybox"},
    }
    apply(
        cluster,
        namespace,
        *(
            pod(
                kind,
                shell("sleep 600", volumeMounts=[at("odd", "/odd")]),
                volumes=[{"name": "odd", kind: source}],
            )
            for kind, source in kinds.items()
        ),
    )
    for kind in kinds:
        text = (
            f'MountVolume.SetUp failed for volume "odd" : k8slab\'s nodes do not offer volumes of the kind '
            f"{kind}; emptyDir, "
        )
        assert until_told(cluster, namespace, kind, "FailedMount", "offer").startswith(text)
        until(
            lambda kind=kind: waiting(cluster, namespace, kind) == {"reason": "ContainerCreating"},  # type: ignore[misc]
            "a Pod that is being made",
        )
