"""The guard: every change to a cluster passes here, and nothing else in the lab sends one.

A cluster that k8slab made may be changed: the uuid of its journal and of the marker object in it agree,
and the authority that its server proves itself by is the one the lab was opened with. That is checked
again at the moment of each change. Every other cluster is read-only until its user has given three keys
(`cluster.existing.attachment`), and then changed in the named namespaces alone. System namespaces are never
changed.

One change is let through without that marker, because it cannot be read otherwise: while the API server or
its etcd is away, what is stopped of a cluster k8slab made may be *started*, if the supervisor that runs its
processes confirms the journal's uuid. Nothing that runs is ended then (but a kube-apiserver that has lost
its etcd, to be started anew), and no object is touched.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from k8slab import attached_changes as attached
from k8slab import manifests
from k8slab.cluster.api import KINDS, checked_body
from k8slab.commands import Completed
from k8slab.demo_configmap import Turned, check_line, image_patch, turned
from k8slab.errors import ConflictError, GuardError
from k8slab.guard_machines import MachineGuard
from k8slab.guard_rules import check_namespace, check_request, check_shared, documents_at
from k8slab.kubectl_arguments import KubectlRequest, understand
from k8slab.kubectl_program import replace_process, run_kubectl

FIELD_MANAGER = "k8slab"

_NEEDED_FIRST = {"Namespace", "ServiceAccount"}


class Guard(MachineGuard):
    """Lets changes of objects through, those of kubectl lines too, where the gate is open.

    Args:
        cluster: the cluster.
        api: a connection to it.
    """

    def create_namespace(self, name: str, labels: dict[str, str]) -> bool:
        """Create a namespace; one that exists is left as it is, and on an existing cluster it has to exist.

        Returns:
            Whether it was created now.
        """
        if not self.cluster.owned:
            self.check_cluster(name)
            return False
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        try:
            self._send("POST", KINDS["namespaces"].path(), name, body)
        except ConflictError:
            return False
        return True

    def delete_pod(self, namespace: str, name: str, uid: str, grace: int | None = None) -> None:
        """Delete a Pod, and only the one with that uid.

        Args:
            namespace: its namespace.
            name: its name.
            uid: the uid that was seen; a Pod that took over the name meanwhile is not touched.
            grace: seconds it gets; its own `terminationGracePeriodSeconds` if None, 0 removes it at once.

        Raises:
            ConflictError: the name belongs to another Pod by now.
            NotFoundError: it is gone.
        """
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        self._send("DELETE", KINDS["pods"].path(namespace, name), namespace, body, uid=uid)

    def label_pod(self, namespace: str, name: str, uid: str, key: str, value: str | None) -> None:
        """Set a label of the Pod with that uid, or take it away where the value is None.

        Raises:
            ConflictError: the name belongs to another Pod by now.
        """
        body = {"metadata": {"uid": uid, "labels": {key: value}}}
        path = KINDS["pods"].path(namespace, name)
        self._send("PATCH", path, namespace, body, content_type="application/merge-patch+json", uid=uid)

    def change_object(
        self, namespace: str, plural: str, name: str, uid: str, patch: dict[str, Any], subresource: str = ""
    ) -> None:
        """Merge a patch into the object with that uid; its own namespace, or its `scale`.

        Raises:
            ConflictError: the name belongs to another object by now.
        """
        body = {**patch, "metadata": {**patch.get("metadata", {}), "uid": uid}}
        path = KINDS[plural].path(namespace, name, subresource)
        self._send("PATCH", path, namespace, body, content_type="application/merge-patch+json", uid=uid)

    def cordon(self, name: str, uid: str, on: bool) -> None:
        """Let no new Pod onto the Node with that uid, or let Pods there again."""
        self.check_cluster()
        body = {"metadata": {"uid": uid}, "spec": {"unschedulable": on or None}}
        path, media = KINDS["nodes"].path(name=name), "application/merge-patch+json"
        with self._acting("cordon" if on else "uncordon", "", f"{name} {uid}"):
            checked_body(self.api.open("PATCH", path, {"fieldManager": FIELD_MANAGER}, body, media))

    def empty(self, namespace: str, plural: str, grace: int = 0) -> None:
        """Delete all objects of one kind in a namespace, with what they own; elsewhere what the lab made.

        Args:
            namespace: where.
            plural: the kind, as in `KINDS`.
            grace: seconds a Pod gets.
        """
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "gracePeriodSeconds": grace,
        }
        query = {} if self.cluster.owned else {"labelSelector": attached.SELECTOR}
        self._send("DELETE", KINDS[plural].path(namespace), namespace, body, query=query)

    def delete_object(self, namespace: str, plural: str, name: str) -> None:
        """Delete one object of a kind that has no collection delete, such as a Service."""
        # Without it the Pods of a Job would stay, as batch/v1 has it.
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        self._send("DELETE", KINDS[plural].path(namespace, name), namespace, body)

    def apply(
        self,
        namespace: str,
        documents: Sequence[manifests.Document],
        shown: Sequence[str],
        verb: str = "apply",
        flags: Sequence[str] = (),
    ) -> Completed:
        """Apply or create what manifests say with the real kubectl; what was checked is what it gets.

        Args:
            namespace: where objects go that name none.
            documents: what to apply.
            shown: the kubectl line in the learner's words, for an error's message.
            verb: what kubectl is to do with it.
            flags: how, such as `--server-side`.
        """
        for each in {namespace, *(document.namespace for document in documents if document.namespace)}:
            check_namespace(each)
            self.check_cluster(each)
        self.check_documents(verb, documents)
        demo = Turned(tuple(documents))
        if not self.cluster.demo_images:
            demo = turned(documents, namespace, self._attachment.is_restricted)
        documents = demo.documents if self.cluster.owned else attached.labelled(demo.documents)
        words, text = [verb, "-f", "-", *flags], manifests.to_text(documents)
        kinds = {document.kind for document in documents}
        sends = verb != "diff" and not any(word.startswith("--dry-run") for word in flags)
        note = self._send_program(namespace, demo, shown) if sends else ""
        with self._acting(verb, namespace, ", ".join(f"{each.kind}/{each.name}" for each in documents)):
            if sends and verb != "replace" and len(documents) > 1 and not kinds & _NEEDED_FIRST:
                # All or nothing: what the API server refuses of several must not leave the others applied.
                # Not where one is needed for another to be admitted: in a dry run it would not be there.
                run_kubectl(self.cluster, namespace, [*words, "--dry-run=server"], shown, text)
            done = run_kubectl(self.cluster, namespace, words, shown, text)
        return replace(done, stderr=done.stderr + note)

    def kubectl(self, namespace: str, arguments: Sequence[str], timeout: float = 60) -> Completed:
        """Run a kubectl line, if the guard lets it through.

        Args:
            namespace: the namespace it works in unless it names another.
            arguments: the words after `kubectl`.
            timeout: seconds until it is ended.

        Raises:
            GuardError: it may not run; nothing was sent.
            CommandError: kubectl ended with an exit code other than 0.
        """
        request = self.check(namespace, arguments)
        way, place = self._way(arguments), (*request.namespaces, namespace)[0]
        if way == "files":
            flags = attached.files_of(arguments)[1][1:]
            return self.apply(place, attached.documents_of(arguments), arguments, arguments[0], flags)
        if way is not None:
            made = run_kubectl(
                self.cluster, namespace, attached.rendering(arguments), arguments, timeout=timeout
            )
            documents = manifests.parse(made.stdout, "what kubectl rendered") if made.stdout.strip() else ()
            if way == "flags":
                return self.apply(place, documents, arguments, "create")
            if (done := self._set_images(documents, arguments)) is not None:
                return done
        if not request.changes:
            return run_kubectl(self.cluster, namespace, arguments, arguments, timeout=timeout)
        words, text = list(arguments), None
        if request.files and not self.cluster.owned:
            # What is checked is what kubectl gets, and not what the files hold by then.
            documents = attached.documents_of(arguments)
            self.check_documents(request.verb, documents)
            words, text = attached.with_input(arguments), manifests.to_text(documents)
        with self._acting(f"kubectl {request.verb}", place, " ".join(arguments)):
            return run_kubectl(self.cluster, namespace, words, arguments, text, timeout)

    def become_kubectl(self, namespace: str, arguments: Sequence[str]) -> None:
        """Replace this process with kubectl, terminal and all; does not return.

        Args:
            namespace: as for `kubectl`; the context's own if empty.
            arguments: the words after `kubectl`.
        """
        request = self.check(namespace or "default", arguments)
        if self._way(arguments) is not None:
            done = self.kubectl(namespace or "default", arguments)
            print(done.stdout, end="")
            print(done.stderr, end="", file=sys.stderr)
            raise SystemExit(done.returncode)
        if request.changes:
            with self._acting(f"kubectl {request.verb}", namespace, f"in a terminal: {' '.join(arguments)}"):
                replace_process(self.cluster, namespace, arguments)
        replace_process(self.cluster, namespace, arguments)

    def _way(self, arguments: Sequence[str]) -> attached.Way | None:
        """How the objects of a kubectl line are completed before they are sent; None where none has to be."""
        if not self.cluster.demo_images:
            check_line(arguments)
        elif self.cluster.owned:
            return None
        return attached.way_of(arguments, self.cluster.owned)

    def _send_program(self, namespace: str, demo: Turned, shown: Sequence[str]) -> str:
        """Bring the demo application's program where its image cannot be had; a sentence if that is new."""
        if not demo.programs:
            return ""
        text = manifests.to_text(attached.labelled(demo.programs))
        what = ", ".join(f"{each.kind}/{each.name}" for each in demo.programs)
        with self._acting("apply", namespace, what):
            done = run_kubectl(self.cluster, namespace, ["apply", "-f", "-"], shown, text)
        return f"{demo.sentence}\n" if "created" in done.stdout else ""

    def _set_images(
        self, documents: Sequence[manifests.Document], arguments: Sequence[str]
    ) -> Completed | None:
        """Do what `kubectl set image` does where more than the image has to change; None where it has not."""
        patches = [image_patch(document) for document in documents]
        if not any(each.changes_more for each in patches):
            return None
        note = ""
        for each in patches:
            note += self._send_program(each.document.namespace, each.turned, arguments)
            self.change_object(each.document.namespace, each.plural, each.document.name, each.uid, each.patch)
        said = "".join(f"{each.shown_name} image updated\n" for each in patches)
        return Completed(("kubectl", *arguments), 0, said, note)

    def check(self, namespace: str, arguments: Sequence[str]) -> KubectlRequest:
        """Whether a kubectl line may run, and what it asks for.

        Raises:
            GuardError: it may not.
        """
        request = understand(arguments)
        if not request.changes:
            if not self.cluster.owned and not request.only_gets:
                for each in request.namespaces or (namespace,):
                    self.check_cluster(each)
            return request
        if not self.cluster.owned:
            check_shared(self.cluster.name, request)
        check_request(request, namespace)
        for each in request.namespaces or (namespace,):
            self.check_cluster(each)
        if not self.cluster.owned and request.files:
            if len(attached.files_of(arguments)[0]) != len(request.files):
                raise GuardError("The guard cannot tell this line's files.", "Write each as `-f FILE`.")
            for file in request.files:
                self.check_documents(request.verb, documents_at(file))
        return request

    def crash(self, namespace: str, pod: str, uid: str, path: str) -> None:
        """Ask a Pod's program to crash.

        Args:
            namespace: the Pod's namespace.
            pod: its name.
            uid: the uid that was seen; another Pod of that name is left alone.
            path: path on the API server to POST to, through its proxy to the Pod.

        Raises:
            ConflictError: the name belongs to another Pod by now.
            ApiError: the API server got no proper answer, which a crash may well cause.
        """
        seen = self.api.get(KINDS["pods"].path(namespace, pod))["metadata"]["uid"]
        if seen != uid:
            raise ConflictError(
                409, "Conflict", f"The name {pod} belongs to another Pod by now; nothing was crashed."
            )
        self._send("POST", path, namespace, None, uid=uid)

    def _send(
        self,
        method: str,
        path: str,
        namespace: str,
        body: Any,
        content_type: str = "application/json",
        uid: str = "",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        check_namespace(namespace)
        self.check_cluster(namespace)
        if method in ("POST", "PATCH") and "/proxy/" not in path:
            query = {"fieldManager": FIELD_MANAGER, **(query or {})}
        with self._acting(method, namespace, f"{path} {uid}".strip()):
            answer = checked_body(self.api.open(method, path, query, body, content_type))
        try:
            parsed: dict[str, Any] = json.loads(answer)
        except ValueError:
            return {}
        return parsed
