"""What a namespace's quotas, limits and Pod Security level leave of a chapter's Pods. Pure.

Sources: kubernetes.io/docs/concepts/policy/resource-quotas and limit-range; the levels are those of
kubernetes.io/docs/concepts/security/pod-security-standards, as far as the lab's manifests can touch them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from k8slab.cluster.existing.attachment import ENFORCED
from k8slab.quantity import value_of

_NUMBERS = {
    "requests.cpu": ("requests", "cpu"),
    "cpu": ("requests", "cpu"),
    "requests.memory": ("requests", "memory"),
    "memory": ("requests", "memory"),
    "limits.cpu": ("limits", "cpu"),
    "limits.memory": ("limits", "memory"),
}
"""What a quota may count of each container: the key in its `hard`, and where a container says it."""


@dataclass(frozen=True)
class Finding:
    """One thing that a chapter needs.

    Args:
        what: a word or two for it.
        state: whether it is there.
        sentence: what there is, or what its lack means.
    """

    what: str
    state: Literal["here", "missing", "unknown"]
    sentence: str


@dataclass(frozen=True)
class PodNeeds:
    """Pods that a manifest asks for.

    Args:
        file: the manifest.
        kind: kind of the object that asks for them.
        name: its name.
        count: how many.
        spec: what each is to be.
    """

    file: str
    kind: str
    name: str
    count: int
    spec: Mapping[str, Any]


def limits_of(
    pods: Sequence[PodNeeds],
    quotas: Sequence[Mapping[str, Any]] | None,
    ranges: Sequence[Mapping[str, Any]] | None,
) -> list[Finding]:
    """What quotas do not allow for.

    Args:
        pods: the Pods of the chapter's manifests.
        quotas: the namespace's ResourceQuotas; None if they may not be read.
        ranges: its LimitRanges, which give numbers to containers without; None likewise.
    """
    if quotas is None:
        return [Finding("quota", "unknown", "Whether the namespace has a quota could not be read.")]
    defaults = _defaults(ranges or ())
    found = []
    for quota in quotas:
        name, spec = str(quota["metadata"]["name"]), quota.get("spec") or {}
        if spec.get("scopes") or spec.get("scopeSelector"):
            found.append(
                Finding("quota", "unknown", f"The quota {name} counts some Pods only; see it with kubectl.")
            )
            continue
        hard = spec.get("hard") or {}
        used = (quota.get("status") or {}).get("used") or {}
        found += _of_quota(name, hard, used, _largest(pods), defaults)
    return found


def security_of(pods: Sequence[PodNeeds], labels: Mapping[str, str] | None) -> list[Finding]:
    """Which Pods the namespace's Pod Security level refuses.

    Args:
        pods: the Pods of the chapter's manifests.
        labels: the namespace's labels; None if they may not be read.
    """
    level = (labels or {}).get(ENFORCED, "privileged")
    if level == "privileged":
        return []
    refused = dict.fromkeys(each.file for each in pods if not _passes(each.spec, level))
    if not refused:
        return [
            Finding("Pod Security", "here", f"The level {level} of the namespace lets the chapter's Pods in.")
        ]
    files, everything = ", ".join(refused), {each.file for each in pods}
    which = "all manifests with Pods" if set(refused) == everything else files
    return [
        Finding(
            "Pod Security",
            "missing",
            f"The namespace enforces the Pod Security level {level}, so Pods of {which} are refused; a"
            f" namespace whose label {ENFORCED} says baseline takes them."
            if level == "restricted"
            else f"The namespace enforces the Pod Security level {level}, so Pods of {files} are refused.",
        )
    ]


def _largest(pods: Iterable[PodNeeds]) -> list[PodNeeds]:
    """All Pods of a chapter at once; of objects that several files hold, the largest."""
    largest: dict[tuple[str, str], PodNeeds] = {}
    for each in pods:
        known = largest.get((each.kind, each.name))
        if known is None or known.count < each.count:
            largest[each.kind, each.name] = each
    return list(largest.values())


def _of_quota(
    name: str,
    hard: Mapping[str, Any],
    used: Mapping[str, Any],
    pods: Sequence[PodNeeds],
    defaults: Mapping[tuple[str, str], Decimal],
) -> list[Finding]:
    found = []
    for key in ("pods", "count/pods"):
        total = sum(each.count for each in pods)
        if key in hard and total > value_of(hard[key]) - value_of(used.get(key, 0)):
            found.append(
                Finding(
                    "quota",
                    "missing",
                    f"The quota {name} allows {hard[key]} Pods, and {used.get(key, 0)} are there now; all"
                    f" that the chapter holds is {total}. What is too much stays away, and events say so.",
                )
            )
    for key, where in _NUMBERS.items():
        if key not in hard:
            continue
        bare = dict.fromkeys(each.file for each in pods if None in _numbers(each.spec, where, defaults))
        if bare:
            found.append(
                Finding(
                    "quota",
                    "missing",
                    f"The quota {name} counts {key}, so every container has to say it: Pods of"
                    f" {', '.join(bare)} are refused.",
                )
            )
            continue
        wanted = sum((each.count * sum(_known(each.spec, where, defaults)) for each in pods), Decimal(0))
        if wanted > value_of(hard[key]) - value_of(used.get(key, 0)):
            found.append(
                Finding(
                    "quota",
                    "missing",
                    f"The quota {name} allows {hard[key]} of {key}, and {used.get(key, 0)} is taken now: less"
                    " than everything of the chapter at once.",
                )
            )
    return found


def _containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in spec.get("containers") or () if isinstance(each, Mapping)]


def _numbers(
    spec: Mapping[str, Any], where: tuple[str, str], defaults: Mapping[tuple[str, str], Decimal]
) -> list[Decimal | None]:
    """What each container says of one number, or is given."""
    section, what = where
    found: list[Decimal | None] = []
    for container in _containers(spec):
        resources = container.get("resources") or {}
        # A container that states a limit alone requests as much.
        said = (resources.get(section) or {}).get(what, (resources.get("limits") or {}).get(what))
        found.append(value_of(said) if said is not None else defaults.get(where))
    return found


def _known(
    spec: Mapping[str, Any], where: tuple[str, str], defaults: Mapping[tuple[str, str], Decimal]
) -> list[Decimal]:
    return [each for each in _numbers(spec, where, defaults) if each is not None]


def _defaults(ranges: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """What LimitRanges give to containers that say nothing; a maximum is a default, as in the API."""
    found: dict[tuple[str, str], Decimal] = {}
    for each in ranges:
        for item in (each.get("spec") or {}).get("limits") or ():
            if item.get("type") != "Container":
                continue
            limits = {**(item.get("max") or {}), **(item.get("default") or {})}
            requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
            for section, values in (("limits", limits), ("requests", requests)):
                for what, value in values.items():
                    found.setdefault((section, str(what)), value_of(value))
    return found


def _passes(spec: Mapping[str, Any], level: str) -> bool:
    containers = [*_containers(spec), *(spec.get("initContainers") or ())]
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        return False
    if any("hostPath" in each for each in spec.get("volumes") or ()):
        return False
    for each in containers:
        context = each.get("securityContext") or {}
        added = (context.get("capabilities") or {}).get("add") or ()
        if context.get("privileged") or any(port.get("hostPort") for port in each.get("ports") or ()):
            return False
        if level == "baseline" and set(added) - _BASELINE:
            return False
    return level != "restricted" or all(_is_restricted(each, spec) for each in containers)


def _is_restricted(container: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    pod, own = spec.get("securityContext") or {}, container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    profile = own.get("seccompProfile") or pod.get("seccompProfile") or {}
    return (
        own.get("allowPrivilegeEscalation") is False
        and "ALL" in (capabilities.get("drop") or ())
        and not set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}
        and own.get("runAsNonRoot", pod.get("runAsNonRoot")) is True
        and profile.get("type") in ("RuntimeDefault", "Localhost")
    )


_BASELINE = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""Capabilities that the level baseline lets a container add."""
