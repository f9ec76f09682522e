"""The cluster as a graph: Node > Pod > container, owner > Pod, Service > Pod. Pure.

Changes in, a networkx DiGraph out, kept up to date edge by edge. Everything is known by uid.
Streams of different kinds are not ordered among themselves, so an edge waits until both its
ends are there. networkx is imported with the first model: a kernel is small without it.

Nodes of the graph carry `kind`, `name`, `namespace` and `object`; Pods also `facts`, containers
only `kind`, `name` and `look`. Edges carry `relation`: `owns`, `runs`, `sends` (with `state`) or
`contains`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from k8slab.graph.endpoints import Endpoints, ServiceKey
from k8slab.graph.pod_facts import PodFacts, pod_facts
from k8slab.mirror.changes import Change, Object, controller_of


class Tally(NamedTuple):
    """How the Pods of a controller do.

    Args:
        counting: those that it counts.
        ready: those of them that are ready.
        terminating: those that are being deleted.
    """

    counting: int
    ready: int
    terminating: int


class Model:
    """A networkx graph that follows changes."""

    def __init__(self) -> None:
        import networkx

        self.graph: Any = networkx.DiGraph()
        self.endpoints = Endpoints()
        self._objects: dict[str, Object] = {}
        self._waiting: dict[str, dict[str, None]] = {}
        self._nodes: dict[str, str] = {}
        self._services: dict[ServiceKey, str] = {}
        self._containers: dict[str, list[str]] = {}
        self._tallies: dict[str, list[int]] = {}
        self._controllers: dict[str, dict[str, None]] = {}
        self._above_of: dict[str, str] = {}

    def apply(self, change: Change) -> set[str]:
        """Follow one change.

        Returns:
            The uids of everything whose picture may have changed: the object itself, and the
            Nodes, Services and owners (up to the topmost) that it has to do with.
        """
        if change.kind == "EndpointSlice":
            services = self.endpoints.apply(change.before, change.after)
            found = [self._services[key] for key in services if key in self._services]
            return set().union(*(self._link_service(uid) for uid in found))
        uid = change.uid
        touched = {uid} | self._above(uid)
        if change.after is None:
            if uid in self.graph:
                touched |= {key for key in self.graph.adj[uid] if key in self._objects}
                self._remove(uid)
            return touched
        return touched | self._put(change.kind, uid, change.after) | self._above(uid)

    def facts(self, pod: str) -> PodFacts | None:
        """The facts of a Pod, or None if it is not there."""
        node = self.graph.nodes.get(pod)
        found: PodFacts | None = node.get("facts") if node else None
        return found

    def object(self, uid: str) -> Object | None:
        """The object with that uid, or None."""
        return self._objects.get(uid)

    def related(self, uid: str, relation: str) -> list[str]:
        """What an object owns, runs, sends to or contains, as keys of the graph."""
        if uid not in self.graph:
            return []
        return [key for key, edge in self.graph.adj[uid].items() if edge["relation"] == relation]

    def parents(self, uid: str, relation: str) -> list[str]:
        """What owns, runs, sends to or contains an object, as uids."""
        if uid not in self.graph:
            return []
        return [key for key, edge in self.graph.pred[uid].items() if edge["relation"] == relation]

    def owns_any(self, owner: str) -> bool:
        """Whether a controller owns anything."""
        edges = self.graph.adj[owner].values() if owner in self.graph else ()
        return any(edge["relation"] == "owns" for edge in edges)

    def tally(self, owner: str) -> Tally:
        """How the Pods of a controller do, those of the controllers it owns included."""
        sums = [0, 0, 0]
        for uid in (owner, *self._below(owner)):
            for index, number in enumerate(self._tallies.get(uid, ())):
                sums[index] += number
        return Tally(*sums)

    def node_of(self, pod: str) -> str:
        """The uid of a Pod's Node; empty if it has none."""
        return next(iter(self.parents(pod, "runs")), "")

    def selected(self, pod: Object) -> bool:
        """Whether a Service's selector matches a Pod; a Service without selector matches none."""
        labels = (pod["metadata"].get("labels") or {}).items()
        for (namespace, _), uid in self._services.items():
            selector = (self.graph.nodes[uid]["object"].get("spec", {}).get("selector") or {}).items()
            if namespace == pod["metadata"].get("namespace") and selector and selector <= labels:
                return True
        return False

    def service_key(self, service: str) -> ServiceKey:
        """Namespace and name of a Service in the graph."""
        node = self.graph.nodes[service]
        return node["namespace"], node["name"]

    def _above(self, uid: str) -> set[str]:
        """Everything above an object, up to the topmost owner; owners that own one another end it too."""
        found: set[str] = set()
        waiting = [uid] if uid in self.graph else []
        while waiting:
            for parent, edge in self.graph.pred[waiting.pop()].items():
                if edge["relation"] == "owns" and parent not in found:
                    waiting.append(parent)
                found.add(parent)
        return found

    def _below(self, owner: str) -> dict[str, None]:
        """The controllers that a controller owns, and those that they own."""
        found: dict[str, None] = {}
        waiting = [owner]
        while waiting:
            for child in self._controllers.get(waiting.pop(), ()):
                if child not in found and child != owner:
                    found[child] = None
                    waiting.append(child)
        return found

    def _put(self, kind: str, uid: str, obj: Object) -> set[str]:
        metadata = obj["metadata"]
        known = uid in self.graph
        name, namespace = str(metadata["name"]), str(metadata.get("namespace", ""))
        self._objects[uid] = obj
        self.graph.add_node(uid, kind=kind, name=name, namespace=namespace, object=obj)
        touched: set[str] = set()
        self._link_owner(uid, controller_of(obj))
        if kind == "Pod":
            self._put_pod(uid, obj, new=not known)
        else:
            self._put_controller(uid, controller_of(obj))
        if kind == "Node":
            self._nodes[name] = uid
        elif kind == "Service":
            self._services[(namespace, name)] = uid
            if not known:
                touched |= self._link_service(uid)
        return touched if known else touched | self._resolve_waiting(kind, uid, name)

    def _put_pod(self, uid: str, pod: Object, new: bool) -> None:
        facts = pod_facts(pod)
        before = self.graph.nodes[uid].get("facts")
        self.graph.nodes[uid]["facts"] = facts
        if not new:
            self._count(before, -1)
        self._count(facts, 1)
        if new or before.node_name != facts.node_name:
            for former in self.parents(uid, "runs"):
                self.graph.remove_edge(former, uid)
            node = self._nodes.get(facts.node_name, "")
            if node:
                self.graph.add_edge(node, uid, relation="runs")
            elif facts.node_name:
                self._waiting.setdefault(f"node/{facts.node_name}", {})[uid] = None
        if new or before.containers != facts.containers:
            self._put_containers(uid, facts)
        if new:
            for key in self.endpoints.services_of(uid):
                if key in self._services:
                    self._link_service(self._services[key])

    def _put_controller(self, uid: str, owner: str) -> None:
        former = self._above_of.pop(uid, "")
        if former:
            self._controllers[former].pop(uid, None)
            if not self._controllers[former]:
                del self._controllers[former]
        if owner:
            self._controllers.setdefault(owner, {})[uid] = None
            self._above_of[uid] = owner

    def _count(self, pod: PodFacts, number: int) -> None:
        if pod.owner:
            sums = self._tallies.setdefault(pod.owner, [0, 0, 0])
            sums[0] += number * pod.counts
            sums[1] += number * (pod.counts and pod.ready)
            sums[2] += number * (pod.look == "terminating")
            if not any(sums):
                del self._tallies[pod.owner]

    def _put_containers(self, uid: str, facts: PodFacts) -> None:
        keys = [f"{uid}/{container.name}" for container in facts.containers]
        for key in set(self._containers.get(uid, ())) - set(keys):
            self.graph.remove_node(key)
        for key, container in zip(keys, facts.containers, strict=True):
            self.graph.add_node(key, kind="Container", name=container.name, look=container.look)
            self.graph.add_edge(uid, key, relation="contains")
        self._containers[uid] = keys

    def _link_owner(self, uid: str, owner: str) -> None:
        for former in self.parents(uid, "owns"):
            if former != owner:
                self.graph.remove_edge(former, uid)
        if owner and owner in self.graph:
            self.graph.add_edge(owner, uid, relation="owns")
        elif owner:
            self._waiting.setdefault(owner, {})[uid] = None

    def _link_service(self, service: str) -> set[str]:
        states = self.endpoints.of(self.service_key(service))
        touched = {service}
        for pod in self.related(service, "sends"):
            if pod not in states:
                self.graph.remove_edge(service, pod)
                touched.add(pod)
        for pod, state in states.items():
            if self.facts(pod) is not None and self.graph.adj[service].get(pod, {}).get("state") != state:
                self.graph.add_edge(service, pod, relation="sends", state=state)
                touched.add(pod)
        return touched

    def _resolve_waiting(self, kind: str, uid: str, name: str) -> set[str]:
        touched: set[str] = set()
        for child in self._waiting.pop(uid, {}):
            obj = self.object(child)
            if obj is not None and controller_of(obj) == uid:
                self.graph.add_edge(uid, child, relation="owns")
                touched.add(child)
        for pod in self._waiting.pop(f"node/{name}", {}) if kind == "Node" else ():
            facts = self.facts(pod)
            if facts is not None and facts.node_name == name:
                self.graph.add_edge(uid, pod, relation="runs")
                touched.add(pod)
        return touched

    def _remove(self, uid: str) -> None:
        node = self.graph.nodes[uid]
        kind, name, namespace = node["kind"], node["name"], node["namespace"]
        owner = controller_of(node["object"])
        self._waiting.get(owner, {}).pop(uid, None)
        if not self._waiting.get(owner, True):
            del self._waiting[owner]
        orphans = dict.fromkeys(self.related(uid, "owns"))
        if orphans:
            self._waiting.setdefault(uid, {}).update(orphans)
        for key in self._containers.pop(uid, ()):
            self.graph.remove_node(key)
        if kind == "Node":
            if self._nodes.get(name) == uid:
                del self._nodes[name]
            # A Node of the same name may come back: its Pods are still bound to the name.
            self._waiting.setdefault(f"node/{name}", {}).update(dict.fromkeys(self.related(uid, "runs")))
        elif kind == "Service" and self._services.get((namespace, name)) == uid:
            del self._services[(namespace, name)]
        if kind == "Pod":
            self._count(node["facts"], -1)
        else:
            self._put_controller(uid, "")
        self.graph.remove_node(uid)
        del self._objects[uid]


def build(objects: Iterable[Object]) -> Any:
    """The networkx DiGraph of a set of objects, in any order.

    Args:
        objects: raw objects with their `kind`.
    """
    model = Model()
    for obj in objects:
        model.apply(Change(0, str(obj["kind"]), "added", None, obj, listed=True))
    return model.graph
