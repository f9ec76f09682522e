"""The objects that storage needs in a fresh cluster: a default class, and one rule about paths. Pure."""

from __future__ import annotations

from typing import Any

from k8slab.addons.storage.plan import PROVISIONER

CLASS = "local-path"
RULE = "k8slab-no-deletion-outside"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
REFUSAL = (
    "a PersistentVolume with a hostPath under /tmp and the reclaim policy Delete is refused here: the "
    "kube-controller-manager itself would delete that path, and in this lab it runs on your own machine, "
    "outside of the nodes' file trees. Use the policy Retain, a local volume, or the class local-path."
)


def storage_objects() -> list[tuple[str, dict[str, Any]]]:
    """The StorageClass and the rule, each with the path of its collection."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    # Its deleter takes any path that /tmp/.+ is found in: pkg/volume/hostpath/host_path.go, hostPathDeleter.
    expression = (
        "!has(object.spec.hostPath) || object.spec.persistentVolumeReclaimPolicy != 'Delete' "
        "|| !object.spec.hostPath.path.contains('/tmp/')"
    )
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": RULE},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["persistentvolumes"],
                    }
                ]
            },
            "validations": [{"expression": expression, "message": REFUSAL}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": RULE},
        "spec": {"policyName": RULE, "validationActions": ["Deny"]},
    }
    return [
        ("/apis/storage.k8s.io/v1/storageclasses", storage_class),
        (f"{ADMISSION}/validatingadmissionpolicies", policy),
        (f"{ADMISSION}/validatingadmissionpolicybindings", binding),
    ]
