"""What a learner can do to a Pod, each with the kubectl line that does the same; and what buttons do."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import yaml

from k8slab.answers import Table
from k8slab.cluster.api import KINDS
from k8slab.demo_configmap import image_of
from k8slab.errors import ApiError, ConflictError, GuardError, LabError, NotFoundError
from k8slab.mirror.slimming import slim
from k8slab.session.events import events_table
from k8slab.session.object_actions import ObjectActions
from k8slab.session.plain_words import in_plain_words
from k8slab.session.pods import PodRow, row_of
from k8slab.session.session import Session

DEMO_IMAGE = "k8slab/demo"
LOG_LINES = 200


class PodActions:
    """Kill, crash, label and look at the Pods of a session. Safe to use from several threads.

    Args:
        session: the session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def delete(self, pod: PodRow, force: bool = False) -> str:
        """Delete a Pod, the one with this uid and no other.

        Args:
            pod: which one.
            force: whether it is removed without a grace period.

        Returns:
            What kubectl prints when it has done the same.
        """
        session = self._session
        try:
            session.guard.delete_pod(pod.namespace, pod.name, pod.uid, 0 if force else None)
        except NotFoundError:
            raise LabError(
                f"The Pod {pod.name} is gone already.", "Take another: lab.pods() lists them."
            ) from None
        except ConflictError:
            raise LabError(
                f"The name {pod.name} belongs to another Pod by now; that one was left alone.",
                "Look at lab.pods().",
            ) from None
        return f'pod "{pod.name}" {"force " if force else ""}deleted from {pod.namespace} namespace'

    def set_label(self, pod: PodRow, key: str, value: str | None) -> str:
        """Set a label of a Pod, or take it away where the value is None."""
        try:
            self._session.guard.label_pod(pod.namespace, pod.name, pod.uid, key, value)
        except (NotFoundError, ConflictError):
            raise _gone(pod) from None
        return f"pod/{pod.name} {'unlabeled' if value is None else 'labeled'}"

    def crash_container(self, pod: PodRow, container: str = "") -> str:
        """End the program of a container, so that the kubelet has to start it again.

        The demo application is asked to do it itself. Other programs are left alone: a signal from inside
        could reach more than the container where containers share the machine's process tree.

        Raises:
            LabError: the container does not run the demo application.
        """
        container = self._container(pod, container)
        try:
            path = self._crash_path(pod, container)
            self._session.guard.crash(pod.namespace, pod.name, pod.uid, path)
        except NotFoundError:
            raise _gone(pod) from None
        except (ConflictError, GuardError):
            raise
        except ApiError as error:
            # A program that ends while it answers breaks the connection; the API server reports that.
            if error.status not in (500, 502, 503):
                raise
        return f"container {container} of {pod.name} was ended"

    def line(self, pod: PodRow, verb: str, container: str = "") -> str:
        """The kubectl line of a verb of the map: kill, force_kill, crash, logs, events, yaml."""
        name = shlex.quote(pod.name)
        lines = {
            "kill": f"delete pod {name}",
            "force_kill": f"delete pod {name} --grace-period=0 --force",
            "logs": f"logs {name}" + (f" -c {shlex.quote(container)}" if container else ""),
            "events": f"events --for pod/{name}",
            "yaml": f"get pod {name} -o yaml",
        }
        if verb == "crash":
            container = self._container(pod, container)
            return f"kubectl create --raw {self._crash_path(pod, container)} -f /dev/null"
        if verb not in lines:
            raise LabError(f"There is no verb {verb!r}.", f"There are: {', '.join([*lines, 'crash'])}.")
        return f"kubectl {lines[verb]}"

    def logs_of(self, pod: PodRow, container: str = "") -> str:
        """The last 200 lines that a Pod's container printed; all its containers if none is named."""
        texts = []
        for name in [container] if container else pod.containers:
            path = KINDS["pods"].path(pod.namespace, pod.name, "log")
            text = self._session.api.read(path, {"container": name, "tailLines": str(LOG_LINES)}).decode(
                errors="replace"
            )
            texts.append(f"== {name}\n{text}" if len(pod.containers) > 1 and not container else text)
        return "\n".join(texts) or "(nothing printed yet)"

    def events_of(self, uid: str = "") -> Table:
        """The events of the namespace, oldest first; only those about one object if its uid is given."""
        events, _ = self._session.api.list("events", self._session.namespace)
        return events_table(each for each in events if not uid or each["involvedObject"].get("uid") == uid)

    def yaml_of(self, pod: PodRow) -> str:
        """The Pod as YAML, without what only machines read."""
        obj = slim("Pod", self._session.api.get(KINDS["pods"].path(pod.namespace, pod.name)))
        return yaml.safe_dump(obj, sort_keys=False, allow_unicode=True)

    def by_uid(self, uid: str) -> PodRow:
        """The Pod with that uid, as the mirror knows it.

        Raises:
            LabError: it is gone.
        """
        pod = self._session.mirror.store.by_uid("Pod", uid)
        if pod is None:
            raise LabError("That Pod is gone.", "Choose another.")
        return row_of(pod)

    def knows(self, uid: str) -> bool:
        """Whether there is a Pod with that uid."""
        return self._session.mirror.store.by_uid("Pod", uid) is not None

    def _container(self, pod: PodRow, container: str) -> str:
        if container and container not in pod.containers:
            raise LabError(
                f"{pod.name} has no container {container!r}.", f"It has: {', '.join(pod.containers)}."
            )
        return container or pod.containers[0]

    def _crash_path(self, pod: PodRow, container: str) -> str:
        """Where the demo application takes the request to crash."""
        try:
            obj = self._session.api.get(KINDS["pods"].path(pod.namespace, pod.name))
        except NotFoundError:
            raise _gone(pod) from None
        if obj["metadata"]["uid"] != pod.uid:
            raise _gone(pod)
        for spec in obj["spec"]["containers"]:
            ports = spec.get("ports") or [{"containerPort": 8080}]
            if spec["name"] == container and image_of(spec).startswith(DEMO_IMAGE):
                port = ports[0]["containerPort"]
                return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}:{port}/proxy/crash"
        raise LabError(
            f"The container {container} of {pod.name} does not run {DEMO_IMAGE}, which crashes on request.",
            "Kill the Pod instead.",
        )


class ButtonActions:
    """What buttons do: the same actions, by uid, answering with text.

    Args:
        actions: what is done to Pods.
        announce: told uid and verb before anything is done to a Pod.
        objects: what is done to everything else.
        set_layer: draws a layer of the map, or draws it no more.
    """

    def __init__(
        self,
        actions: PodActions,
        announce: Callable[[str, str], None],
        objects: ObjectActions,
        set_layer: Callable[[str, bool], None],
    ) -> None:
        self._actions = actions
        self._announce = announce
        self._objects = objects
        self._set_layer = set_layer

    @in_plain_words
    def kill(self, uid: str) -> str:
        """Delete a Pod with its grace period."""
        pod = self._actions.by_uid(uid)
        self._announce(uid, "kill")
        return self._actions.delete(pod)

    @in_plain_words
    def force_kill(self, uid: str) -> str:
        """Delete a Pod without a grace period."""
        pod = self._actions.by_uid(uid)
        self._announce(uid, "force_kill")
        return self._actions.delete(pod, force=True)

    @in_plain_words
    def crash(self, uid: str, container: str) -> str:
        """End the program of one container."""
        pod = self._actions.by_uid(uid)
        self._announce(uid, "crash")
        return self._actions.crash_container(pod, container)

    @in_plain_words
    def act(self, verb: str, uid: str, value: str) -> str:
        """Change something that is no Pod."""
        return self._objects.act(verb, uid, value)

    @in_plain_words
    def logs(self, uid: str, container: str = "") -> str:
        """The logs of a Pod's containers, or of one."""
        return self._actions.logs_of(self._actions.by_uid(uid), container)

    @in_plain_words
    def events(self, uid: str) -> str:
        """The events that name an object."""
        if self._actions.knows(uid):
            return repr(self._actions.events_of(uid))
        return repr(self._objects.events_of(uid))

    @in_plain_words
    def yaml(self, uid: str) -> str:
        """The object as YAML; of a Secret the keys alone."""
        if self._actions.knows(uid):
            return self._actions.yaml_of(self._actions.by_uid(uid))
        return self._objects.yaml_of(uid)

    @in_plain_words
    def command(self, uid: str, verb: str, container: str = "", value: str = "") -> str:
        """The line that does the same as the verb."""
        if self._actions.knows(uid):
            return self._actions.line(self._actions.by_uid(uid), verb, container)
        return self._objects.line(verb, uid, value)

    def set_layer(self, name: str, on: bool) -> str:
        """Draw a layer of the map, or draw it no more."""
        self._set_layer(name, on)
        return f"the layer {name} is {'drawn' if on else 'drawn no more'}"


def _gone(pod: PodRow) -> LabError:
    return LabError(f"The Pod {pod.name} that was seen is gone.", "Take another: lab.pods() lists them.")
