"""PersistentVolumeClaims from the claim to the end of the data.

Texts of the provisioning side: controller/controller.go of sig-storage-lib-external-provisioner and
provisioner.go of local-path-provisioner, which kind brings along. Texts of the node's side:
pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go line 528 (`getPVCExtractPV`),
pkg/volume/util/hostutil/hostutil.go line 84 and pkg/volume/util/operationexecutor (all 1.36).
"""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, run_ready, shell
from tests.cluster.storage_manifests import (
    apply,
    claim,
    default_class,
    gone,
    of_claim,
    persistent_volume,
    storage_class,
    told,
    until_prints,
    until_told,
    workers,
)

MOUNT = [{"name": "data", "mountPath": "/data"}]


def keeper(name: str, **spec: object) -> str:
    """A Pod that adds its name to a file of its volume and stays."""
    container = shell(f"echo {name} >> /data/who; sleep 600", volumeMounts=MOUNT)
    return pod(name, container, **{"volumes": [of_claim("data")], **spec})


def test_a_claim_gets_a_volume_where_its_first_pod_goes_and_keeps_its_data(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    usual = default_class(cluster)
    apply(cluster, namespace, claim("data"))
    waiting = "waiting for first consumer to be created before binding"
    until_told(cluster, namespace, "data", "WaitForFirstConsumer", waiting)
    assert cluster.get(f"-n {namespace} pvc data")["status"]["phase"] == "Pending"

    run_ready(cluster, namespace, keeper("one"))
    node = cluster.get(f"-n {namespace} pod one")["spec"]["nodeName"]
    found = cluster.get(f"-n {namespace} pvc data")
    assert found["status"]["phase"] == "Bound"
    assert found["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == node
    name = found["spec"]["volumeName"]
    assert name == f"pvc-{found['metadata']['uid']}"
    held = cluster.get(f"pv {name}")
    assert held["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == usual["provisioner"]
    assert held["spec"]["claimRef"]["uid"] == found["metadata"]["uid"]
    assert held["spec"]["capacity"] == {"storage": "16Mi"}
    assert held["spec"]["storageClassName"] == usual["metadata"]["name"]
    (term,) = held["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]
    about = f'External provisioner is provisioning volume for claim "{namespace}/data"'
    # Of one recorder and in this order: with the second the first is there as well.
    until_told(cluster, namespace, "data", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")
    assert told(cluster, namespace, "data", "Provisioning") == [about]

    # The next Pod goes where the volume is, and finds what the first one left.
    cluster.kubectl(f"-n {namespace} delete pod one")
    run_ready(cluster, namespace, keeper("two"))
    assert cluster.get(f"-n {namespace} pod two")["spec"]["nodeName"] == node
    until_prints(cluster, f"-n {namespace} exec two -- cat /data/who", "one", "two")

    # A claim in use stays until its last Pod has ended; then volume and data go.
    cluster.kubectl(f"-n {namespace} delete pvc data --wait=false")
    found = cluster.get(f"-n {namespace} pvc data")
    assert found["metadata"]["deletionTimestamp"]
    assert "kubernetes.io/pvc-protection" in found["metadata"]["finalizers"]
    until_prints(cluster, f"-n {namespace} exec two -- cat /data/who", "one", "two")
    cluster.kubectl(f"-n {namespace} delete pod two")
    until(lambda: gone(cluster, f"-n {namespace} pvc data"), "the claim to go")
    until(lambda: gone(cluster, f"pv {name}"), "the volume to go", 150)
    source = held["spec"].get("local") or held["spec"]["hostPath"]
    look = {"name": "data", "hostPath": {"path": source["path"], "type": "Directory"}}
    apply(cluster, namespace, keeper("late", volumes=[look], nodeName=node))
    text = f"hostPath type check failed: {source['path']} is not a directory"
    until_told(cluster, namespace, "late", "FailedMount", text)


@pytest.mark.needs("storage of the kit")
def test_a_claim_that_cannot_be_met_says_why(cluster: ClusterUnderTest, namespace: str) -> None:
    usual, name = default_class(cluster), f"now-{uuid4().hex[:8]}"
    provisioner = usual["provisioner"]
    odd = f"{name}-odd"
    apply(
        cluster,
        namespace,
        storage_class(name, usual, volumeBindingMode="Immediate"),
        storage_class(odd, usual, volumeBindingMode="Immediate", parameters={"speed": "fast"}),
        claim("many", "ReadWriteMany", storageClassName=name),
        claim("block", storageClassName=name, volumeMode="Block"),
        claim("picky", storageClassName=name, selector={"matchLabels": {"disk": "blue"}}),
        claim("copy", storageClassName=name, dataSource={"kind": "PersistentVolumeClaim", "name": "many"}),
        claim("odd", storageClassName=odd),
    )
    try:
        prefix = f'failed to provision volume with StorageClass "{name}": '
        modes = "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
        expected = {
            "many": prefix + modes,
            "block": f"{provisioner} does not support block volume provisioning",
            "picky": f"{prefix}claim.Spec.Selector is not supported",
            "copy": f"{prefix}claim.Spec.DataSource is not supported",
            "odd": f'failed to provision volume with StorageClass "{odd}": the provisioner knows no param',
        }
        for each, text in expected.items():
            assert until_told(cluster, namespace, each, "ProvisioningFailed", text).startswith(text)
            assert cluster.get(f"-n {namespace} pvc {each}")["status"]["phase"] == "Pending"
    finally:
        cluster.kubectl(f"delete storageclass {name} {odd}")


@pytest.mark.needs("storage of the kit")
def test_a_volume_may_be_made_at_once_and_be_kept(cluster: ClusterUnderTest, namespace: str) -> None:
    name = f"keep-{uuid4().hex[:8]}"
    fields = {"volumeBindingMode": "Immediate", "reclaimPolicy": "Retain"}
    apply(
        cluster,
        namespace,
        storage_class(name, default_class(cluster), **fields),
        claim("data", storageClassName=name),
    )
    cluster.kubectl(f"-n {namespace} wait pvc/data --for=jsonpath={{.status.phase}}=Bound --timeout=60s")
    volume = cluster.get(f"-n {namespace} pvc data")["spec"]["volumeName"]
    run_ready(cluster, namespace, keeper("one"))
    cluster.kubectl(f"-n {namespace} delete pod/one pvc/data")
    cluster.kubectl(f"wait pv/{volume} --for=jsonpath={{.status.phase}}=Released --timeout=60s")
    ours = "external-provisioner.volume.kubernetes.io/finalizer"
    until(lambda: ours not in cluster.get(f"pv {volume}")["metadata"]["finalizers"], "our finalizer to go")

    # Who takes the reference to the old claim away makes it free for another one.
    cluster.kubectl(f"patch pv {volume} -p " + '\'{"spec": {"claimRef": null}}\'')
    apply(cluster, namespace, claim("data", storageClassName=name, volumeName=volume))
    run_ready(cluster, namespace, keeper("two"))
    until_prints(cluster, f"-n {namespace} exec two -- cat /data/who", "one", "two")

    cluster.kubectl(f"patch pv {volume} -p " + '\'{"spec": {"persistentVolumeReclaimPolicy": "Delete"}}\'')
    cluster.kubectl(f"-n {namespace} delete pod/two pvc/data")
    until(lambda: gone(cluster, f"pv {volume}"), "the volume to go")
    cluster.kubectl(f"delete storageclass {name}")


def test_volumes_made_by_hand(cluster: ClusterUnderTest, namespace: str) -> None:
    home, other = workers(cluster)[:2]
    mark = uuid4().hex[:8]
    place = f"/var/tmp/{mark}"
    names = [f"{kind}-{mark}" for kind in ("local", "host")]
    ask = {"storageClassName": ""}
    apply(
        cluster,
        namespace,
        persistent_volume(names[0], home, local={"path": place}),
        persistent_volume(names[1], hostPath={"path": place}),
        claim("data", volumeName=names[0], **ask),
        claim("host", volumeName=names[1], **ask),
        claim("loose", volumeName=f"none-{mark}", **ask),
    )
    try:
        until(lambda: cluster.get(f"-n {namespace} pvc data")["status"]["phase"] == "Bound", "the claim")
        apply(
            cluster,
            namespace,
            keeper("first"),
            keeper("astray", nodeName=other),
            keeper("unbound", nodeName=home, volumes=[of_claim("loose")]),
            keeper("missing", nodeName=home, volumes=[of_claim("nobody")]),
        )
        text = (
            f'MountVolume.NewMounter initialization failed for volume "{names[0]}" : '
            f'path "{place}" does not exist'
        )
        until_told(cluster, namespace, "first", "FailedMount", text)
        text = (
            f'MountVolume.NodeAffinity check failed for volume "{names[0]}" : no matching NodeSelectorTerms'
        )
        until_told(cluster, namespace, "astray", "FailedMount", text)
        begin = (
            "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], "
            f"failed to process volumes=[data]: error processing PVC {namespace}/"
        )
        text = f"{begin}loose: PVC is not bound"
        assert until_told(cluster, namespace, "unbound", "FailedMount", text) == text
        text = (
            f'{begin}nobody: failed to fetch PVC from API server: persistentvolumeclaims "nobody" not found'
        )
        assert until_told(cluster, namespace, "missing", "FailedMount", text) == text

        # The folder appears, and the Pod that waits for it goes on by itself.
        maker = {"name": "data", "hostPath": {"path": place, "type": "DirectoryOrCreate"}}
        run_ready(cluster, namespace, keeper("maker", nodeName=home, volumes=[maker]))
        cluster.kubectl(f"-n {namespace} wait pod/first --for=condition=Ready --timeout=150s", timeout=160)
        # The folder is there before the program that asked for it has begun: either may write first.
        who = f"-n {namespace} exec first -- cat /data/who"
        until(lambda: sorted(cluster.run(who).stdout.split()) == ["first", "maker"], "both in one folder")
        # Without an affinity a hostPath volume is another folder on another node.
        run_ready(cluster, namespace, keeper("guest", nodeName=other, volumes=[of_claim("host")]))
        until_prints(cluster, f"-n {namespace} exec guest -- cat /data/who", "guest")
    finally:
        cluster.kubectl(f"-n {namespace} delete pods --all --wait=false")
        cluster.kubectl(f"delete pv {names[0]} {names[1]} --wait=false")


@pytest.mark.needs("own file tree")
def test_a_claim_may_be_mounted_read_only(cluster: ClusterUnderTest, namespace: str) -> None:
    apply(cluster, namespace, claim("data"))
    run_ready(cluster, namespace, keeper("writer"))
    reader = pod("reader", shell("sleep 600", volumeMounts=MOUNT), volumes=[of_claim("data", readOnly=True)])
    run_ready(cluster, namespace, reader)
    until_prints(cluster, f"-n {namespace} exec reader -- cat /data/who", "writer")
    refused = cluster.run(f"-n {namespace} exec reader -- touch /data/mine")
    assert refused.returncode != 0 and "Read-only file system" in refused.stderr


def test_a_claim_of_one_pod_admits_no_second_one(cluster: ClusterUnderTest, namespace: str) -> None:
    apply(cluster, namespace, claim("data", "ReadWriteOncePod"))
    run_ready(cluster, namespace, keeper("one"))
    node = cluster.get(f"-n {namespace} pod one")["spec"]["nodeName"]
    name = cluster.get(f"-n {namespace} pvc data")["spec"]["volumeName"]
    # The scheduler would not place it; a Pod that names its node itself meets the kubelet.
    apply(cluster, namespace, keeper("two", nodeName=node))
    text = (
        f'MountVolume.SetUp failed for volume "{name}" : volume uses the ReadWriteOncePod access mode '
        "and is already in use by another pod"
    )
    assert until_told(cluster, namespace, "two", "FailedMount", "ReadWriteOncePod") == text
    cluster.kubectl(f"-n {namespace} delete pod one")
    cluster.kubectl(f"-n {namespace} wait pod/two --for=condition=Ready --timeout=150s", timeout=160)


def test_a_stateful_set_and_an_ephemeral_volume(cluster: ClusterUnderTest, namespace: str) -> None:
    template = {
        "metadata": {"labels": {"app": "db"}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [shell("echo $HOSTNAME >> /data/who; sleep 600", volumeMounts=MOUNT, name="db")],
        },
    }
    wanted = {key: value for key, value in claim("data").items() if key in ("metadata", "spec")}
    stateful_set = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db",
            "replicas": 2,
            "selector": {"matchLabels": {"app": "db"}},
            "template": template,
            "volumeClaimTemplates": [wanted],
        },
    }
    own = {"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": claim("x")["spec"]}}}
    apply(cluster, namespace, stateful_set, keeper("once", volumes=[own]))
    cluster.kubectl(f"-n {namespace} rollout status statefulset/db --timeout=120s", timeout=130)
    before = cluster.get(f"-n {namespace} pvc data-db-1")["spec"]["volumeName"]
    uid = cluster.get(f"-n {namespace} pod db-1")["metadata"]["uid"]
    cluster.kubectl(f"-n {namespace} delete pod db-1")
    until(
        lambda: cluster.get(f"-n {namespace} pod db-1")["metadata"]["uid"] != uid, "the next Pod of its name"
    )
    cluster.kubectl(f"-n {namespace} wait pod/db-1 --for=condition=Ready --timeout=60s")
    assert cluster.get(f"-n {namespace} pvc data-db-1")["spec"]["volumeName"] == before
    until_prints(cluster, f"-n {namespace} exec db-1 -- cat /data/who", "db-1", "db-1")

    cluster.kubectl(f"-n {namespace} wait pod/once --for=condition=Ready --timeout=60s")
    (owner,) = cluster.get(f"-n {namespace} pvc once-data")["metadata"]["ownerReferences"]
    assert owner["kind"] == "Pod" and owner["controller"]
    cluster.kubectl(f"-n {namespace} delete pod once")
    until(lambda: gone(cluster, f"-n {namespace} pvc once-data"), "the ephemeral claim to go", 90)


@pytest.mark.needs("storage of the kit")
def test_the_controller_manager_is_kept_from_deleting_files_of_this_machine(
    cluster: ClusterUnderTest,
) -> None:
    manifest = persistent_volume(
        "danger", hostPath={"path": "/tmp/danger"}, persistentVolumeReclaimPolicy="Delete"
    )

    def is_refused() -> bool:
        """A cluster that is new does not know all of its policies yet."""
        done = cluster.run("create -f - --dry-run=server", stdin=json.dumps(manifest))
        assert "the kube-controller-manager itself would delete that path" in done.stderr, done
        return done.returncode != 0

    until(is_refused, "the refusal")
    manifest["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
    cluster.kubectl("create -f - --dry-run=server", stdin=json.dumps(manifest))
