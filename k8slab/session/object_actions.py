"""What a learner can do to Nodes, owners, Services, resources and components, by uid, through the guard.

Each verb has the line that does the same in a terminal. What a name stands for is looked up by the uid that
was seen on the map, and the change carries that uid: a namesake that came meanwhile is never touched.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import yaml

from k8slab.answers import Table
from k8slab.cluster.api import KINDS, Kind
from k8slab.cluster.contract import CONTROL_PLANE
from k8slab.errors import ApiError, CommandError, ConflictError, LabError, NotFoundError
from k8slab.mirror.changes import Object, controller_of
from k8slab.mirror.slimming import slim
from k8slab.session import nodes
from k8slab.session.components import act
from k8slab.session.events import events_table
from k8slab.session.session import Session

SCALED = ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController")
RESTARTED = ("Deployment", "StatefulSet", "DaemonSet")
MOST_REPLICAS = 500
DRAIN_SECONDS = 30
"""What a drain gets on top of the longest grace of a Pod there."""
LONGEST_DRAIN = 180

NODE_VERBS = ("cordon", "uncordon", "drain", "power_off", "power_on")
OWNER_VERBS = ("scale", "restart")
COMPONENT_VERBS = ("stop_component", "start_component")
CHANGING = frozenset({*NODE_VERBS, *OWNER_VERBS, *COMPONENT_VERBS})

_LESSONS = {
    "cordon": "no new Pod is placed here; those that run go on",
    "uncordon": "Pods may be placed here again",
    "drain": "cordons it and evicts its Pods; graces and PodDisruptionBudgets hold, owners create others",
    "power_off": "played by k8slab: every process there is gone at once, and nobody tells the API server",
    "power_on": "played by k8slab: the machine boots again",
    "scale": "changes how many Pods it wants",
    "restart": "a rollout: new Pods replace the old ones, step by step",
    "stop_component": "it ends and stays down until it is started; containers run on",
    "start_component": "it starts again and catches up",
}

_BY_KIND: dict[str, Kind] = {kind.kind: kind for kind in KINDS.values()}
_NOT_EVICTED = "disruption budget"
_BARE = "declare no controller"


class ObjectActions:
    """Change and look at what is no Pod. Safe to use from several threads.

    Args:
        session: the session.
        drain_seconds: what a drain gets on top of the longest grace of a Pod there.
    """

    def __init__(self, session: Session, drain_seconds: int = DRAIN_SECONDS) -> None:
        self._session = session
        self._drain_seconds = drain_seconds
        self._lock = threading.Lock()
        self._running: set[str] = set()

    def act(self, verb: str, uid: str, value: str = "") -> str:
        """Do something to an object.

        Args:
            verb: one of `CHANGING`.
            uid: the object's uid; the name of a component.
            value: how many replicas, for `scale`.

        Returns:
            What was done, as kubectl says it where it can.

        Raises:
            LabError: it cannot be done, or the guard refuses; the text says why.
        """
        if verb in COMPONENT_VERBS:
            return self._component(verb, uid)
        obj = self.find(uid)
        with self._alone(obj, verb):
            try:
                if verb in NODE_VERBS:
                    return self._node(verb, self._known_as(obj, ("Node",), verb))
                if verb == "scale":
                    return self._scale(self._known_as(obj, SCALED, verb), value)
                if verb == "restart":
                    return self._restart(self._known_as(obj, RESTARTED, verb))
            except NotFoundError:
                raise LabError(f"{_said(obj)} is gone.", "Look at the map.") from None
            except ApiError as error:
                if not isinstance(error, ConflictError) and "metadata.uid" not in error.message:
                    raise
                # Another uid is a conflict for some kinds, for others a field that cannot change.
                raise LabError(
                    f"{_said(obj)} is not the one that was seen any more, or was changed meanwhile; nothing"
                    f" was done ({error.message}).",
                    "Look at the map and try again.",
                ) from None
        raise LabError(f"There is no verb {verb!r}.", f"There are: {', '.join(sorted(CHANGING))}.")

    def line(self, verb: str, uid: str, value: str = "") -> str:
        """The line that does the same in a terminal, or in a cell where there is none.

        What it does stands behind two spaces and a `#`, which no shell takes for a part of the line.
        """
        return f"{self._line(verb, uid, value)}" + (f"  # {_LESSONS[verb]}" if verb in _LESSONS else "")

    def _line(self, verb: str, uid: str, value: str) -> str:
        if verb in COMPONENT_VERBS:
            return f'lab.components["{uid}"].{verb.removesuffix("_component")}()'
        obj = self.find(uid)
        kind, name = str(obj["kind"]).lower(), shlex.quote(str(obj["metadata"]["name"]))
        lines = {
            "cordon": f"kubectl cordon {name}",
            "uncordon": f"kubectl uncordon {name}",
            "drain": f"kubectl {shlex.join(self._drain_words(obj))}" if kind == "node" else "",
            "power_off": f"k8slab node off {name}",
            "power_on": f"k8slab node on {name}",
            "scale": f"kubectl scale {kind} {name} --replicas={value or _replicas(obj)}",
            "restart": f"kubectl rollout restart {kind} {name}",
            "events": f"kubectl events{' -n default' if kind == 'node' else ''} --for {kind}/{name}",
            "yaml": f"kubectl describe secret {name}"
            if kind == "secret"
            else f"kubectl get {kind} {name} -o yaml",
        }
        if not lines.get(verb):
            raise LabError(f"There is no verb {verb!r} for {_said(obj)}.", "Look at its toolbar.")
        return lines[verb]

    def events_of(self, uid: str) -> Table:
        """The events that name an object, oldest first."""
        obj = self.find(uid)
        kind, name = str(obj["kind"]), str(obj["metadata"]["name"])
        fields = f"involvedObject.kind={kind},involvedObject.name={name}"
        # A kubelet's events on its Node name it by its name instead of its uid, and lie in `default`.
        namespace = "default" if kind == "Node" else self._session.namespace
        known = {uid, name} if kind == "Node" else {uid}
        events, _ = self._session.api.list("events", namespace, fields=fields)
        return events_table(each for each in events if each["involvedObject"].get("uid", uid) in known)

    def yaml_of(self, uid: str) -> str:
        """An object as YAML, without what only machines read; of a Secret the keys and never a value."""
        obj = self.find(uid)
        kind = str(obj["kind"])
        raw = self._session.api.get(self._path(obj))
        if raw["metadata"]["uid"] != uid:
            raise _gone(obj)
        text = yaml.safe_dump(_shown(kind, raw), sort_keys=False, allow_unicode=True)
        return f"# values are not shown here\n{text}" if kind == "Secret" else text

    def find(self, uid: str) -> Object:
        """What has that uid, as the mirror knows it: a Node, or something in the lab's namespace.

        Raises:
            LabError: it is gone, or never was there.
        """
        if uid.startswith("missing/"):
            _, kind, name = uid.split("/", 2)
            raise LabError(f"There is no {kind} {name} here; something only names it.", "Create it.")
        for kind in _BY_KIND:
            obj = self._session.mirror.store.by_uid(kind, uid)
            if obj is not None and obj["metadata"].get("namespace", "") in ("", self._session.namespace):
                return obj
        raise LabError("That object is gone.", "Choose another.")

    def _node(self, verb: str, node: Object) -> str:
        guard, name, uid = self._session.guard, str(node["metadata"]["name"]), str(node["metadata"]["uid"])
        if verb in ("cordon", "uncordon"):
            guard.cordon(name, uid, verb == "cordon")
            return f"node/{name} {verb}ed"
        now = self._session.api.get(self._path(node))
        if now["metadata"]["uid"] != uid:
            raise _gone(node)
        if verb == "drain":
            return self._drain(node)
        return nodes.act(guard, "off" if verb == "power_off" else "on", name)

    def _drain(self, node: Object) -> str:
        name, words = str(node["metadata"]["name"]), self._drain_words(node)
        seconds = self._drain_limit(name)
        try:
            done = self._session.guard.kubectl(self._session.namespace, words, timeout=seconds + 15)
        except CommandError as error:
            raise LabError(_why_not_drained(name, seconds, error.output), "Uncordon ends it.") from None
        gone = sum(line.endswith(" evicted") for line in done.stdout.splitlines())
        return f"node/{name} drained: {gone} Pod{'' if gone == 1 else 's'} evicted, and it stays cordoned"

    def _drain_words(self, node: Object) -> list[str]:
        name = str(node["metadata"]["name"])
        seconds = self._drain_limit(name)
        return ["drain", name, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={seconds}s"]

    def _drain_limit(self, name: str) -> int:
        """How long a drain may take: what the slowest Pod there may, and some time for the others."""
        graces = [
            int(pod["spec"].get("terminationGracePeriodSeconds") or 0)
            for pod in self._session.mirror.store.objects("Pod")
            if pod["spec"].get("nodeName") == name and controller_kind(pod) != "DaemonSet"
        ]
        return min(LONGEST_DRAIN, self._drain_seconds + max(graces, default=0))

    def _scale(self, owner: Object, value: str) -> str:
        kind, name = str(owner["kind"]), str(owner["metadata"]["name"])
        if not value.isascii() or not value.isdigit() or int(value) > MOST_REPLICAS:
            raise LabError(
                f"{value!r} is no number of replicas.", f"Write a whole number from 0 to {MOST_REPLICAS}."
            )
        patch = {"spec": {"replicas": int(value)}}
        self._change(owner, patch, "scale")
        above = self._session.mirror.store.by_uid("Deployment", controller_of(owner))
        said = f"{kind.lower()}.apps/{name} scaled to {int(value)}"
        return f"{said}; {_said(above)} owns it and will set it back" if above is not None else said

    def _restart(self, owner: Object) -> str:
        kind, name = str(owner["kind"]), str(owner["metadata"]["name"])
        if owner.get("spec", {}).get("paused"):
            raise LabError(
                f"{_said(owner)} is paused and rolls nothing out.",
                f"`kubectl rollout resume {kind.lower()} {name}` lets it.",
            )
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        stamp = {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}
        self._change(owner, {"spec": {"template": {"metadata": stamp}}})
        return f"{kind.lower()}.apps/{name} restarted"

    def _change(self, owner: Object, patch: dict[str, Any], subresource: str = "") -> None:
        metadata = owner["metadata"]
        plural = _BY_KIND[str(owner["kind"])].plural
        self._session.guard.change_object(
            str(metadata["namespace"]),
            plural,
            str(metadata["name"]),
            str(metadata["uid"]),
            patch,
            subresource,
        )

    def _component(self, verb: str, name: str) -> str:
        if name not in CONTROL_PLANE:
            raise LabError(f"There is no component {name!r}.", f"There are: {', '.join(CONTROL_PLANE)}.")
        action: Literal["stop", "start"] = "stop" if verb == "stop_component" else "start"
        return act(self._session.guard, name, action, self._session.mirror.hurry)

    def _known_as(self, obj: Object, kinds: tuple[str, ...], verb: str) -> Object:
        if obj["kind"] not in kinds:
            raise LabError(
                f"{_said(obj)} has no {verb.replace('_', ' ')}.", f"These have: {', '.join(kinds)}."
            )
        return obj

    def _path(self, obj: Object) -> str:
        metadata = obj["metadata"]
        return _BY_KIND[str(obj["kind"])].path(str(metadata.get("namespace", "")), str(metadata["name"]))

    @contextmanager
    def _alone(self, obj: Object, verb: str) -> Iterator[None]:
        """One act of a kind at a time on an object: a second click must not drain twice."""
        key = f"{obj['metadata']['uid']} {verb}"
        with self._lock:
            if key in self._running:
                raise LabError(
                    f"{_said(obj)}: {verb.replace('_', ' ')} is under way already.", "Wait for its end."
                )
            self._running.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(key)


def controller_kind(obj: Object) -> str:
    """The kind of an object's controller; empty if it has none."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((str(one["kind"]) for one in owners if one.get("controller")), "")


def _shown(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    obj = slim(kind, raw)
    if kind == "Secret":
        obj["data"] = dict.fromkeys(sorted(raw.get("data") or {}), "(not shown)")
    return obj


def _replicas(obj: Object) -> int:
    return int(obj.get("spec", {}).get("replicas") or 0)


def _said(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


def _gone(obj: Object) -> LabError:
    return LabError(
        f"{_said(obj)} that was seen is gone; another has its name, and was left alone.", "Look at the map."
    )


def _why_not_drained(node: str, seconds: int, printed: str) -> str:
    """Why kubectl could not empty a node, in a sentence and its own words."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    held = [line for line in lines if _NOT_EVICTED in line]
    stays = f"{node} stays cordoned."
    if held:
        return (
            f"A PodDisruptionBudget forbids it: within {seconds} s not every Pod could go. {held[-1]} {stays}"
        )
    bare = [line for line in lines if _BARE in line]
    if bare:
        return (
            f"kubectl drains no Pod that nothing owns, for nobody would bring it back: {bare[-1]} {stays}"
            " Kill such a Pod itself, and drain again."
        )
    return f"{node} was not emptied within {seconds} s: {' '.join(lines[-2:])} {stays}"
