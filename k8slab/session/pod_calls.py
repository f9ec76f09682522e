"""What a learner does to the chapter's Pods: list, kill, crash, label, read their logs and events."""

from __future__ import annotations

import shlex

from k8slab.answers import Table, Text
from k8slab.session.actions import PodActions
from k8slab.session.plain_words import in_plain_words
from k8slab.session.pods import PodList, PodRow, find_pod, list_coming_pods
from k8slab.session.session import Session
from k8slab.session.views import Views


class PodCalls:
    """The calls of a lab that stand for a kubectl line about Pods; each prints that line first."""

    _actions: PodActions
    _views: Views

    def _answering(self) -> Session:
        raise NotImplementedError

    @in_plain_words
    def pods(self, selector: str = "") -> PodList:
        """The Pods of the chapter, those that stay before those that leave.

        Args:
            selector: a label selector such as `app=web`, or a word for the label `app`; all Pods if empty.
        """
        session = self._answering()
        return list_coming_pods(session.api, session.namespace, selector)

    @in_plain_words
    def kill(self, pod: PodRow | str, force: bool = False) -> Text:
        """Delete a Pod, as the map's Kill button does.

        Args:
            pod: a row of `lab.pods()`, or a name such as `web-x7k2p` or `pod/web-x7k2p`.
            force: whether it is removed at once, without a grace period.
        """
        row = self._find(pod)
        self._say(self._actions.line(row, "force_kill" if force else "kill"))
        self._views.announce(row.uid, "force_kill" if force else "kill")
        text = self._actions.delete(row, force)
        return Text(text + self._views.unanswered())

    @in_plain_words
    def crash(self, pod: PodRow | str, container: str = "") -> Text:
        """Crash a container's program: the Pod stays, and its kubelet starts the program again.

        Args:
            pod: as for `kill`.
            container: its name; the first if empty.
        """
        row = self._find(pod)
        self._say(self._actions.line(row, "crash", container))
        self._views.announce(row.uid, "crash")
        return Text(self._actions.crash_container(row, container))

    @in_plain_words
    def label(self, pod: PodRow | str, key: str, value: str) -> Text:
        """Set a label of a Pod."""
        row = self._find(pod)
        self._say(f"kubectl label pod {row.name} {shlex.quote(f'{key}={value}')} --overwrite")
        return Text(self._actions.set_label(row, key, value))

    @in_plain_words
    def unlabel(self, pod: PodRow | str, key: str) -> Text:
        """Take a label off a Pod."""
        row = self._find(pod)
        self._say(f"kubectl label pod {row.name} {key}-")
        return Text(self._actions.set_label(row, key, None))

    @in_plain_words
    def logs(self, pod: PodRow | str, container: str = "") -> Text:
        """The last lines that a Pod printed."""
        row = self._find(pod)
        self._say(self._actions.line(row, "logs"))
        return Text(self._actions.logs_of(row, container), f"Logs of {row.name}")

    @in_plain_words
    def events(self) -> Table:
        """What Kubernetes reported in the chapter's namespace, oldest first."""
        self._answering()
        self._say("kubectl events")
        return self._actions.events_of()

    def _find(self, pod: PodRow | str) -> PodRow:
        session = self._answering()
        return find_pod(session.api, session.namespace, pod)

    def _say(self, line: str) -> None:
        print(f"$ {line}")
