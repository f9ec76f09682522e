"""Running the real kubectl on one cluster and no other. Only the guard calls this."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NoReturn

from k8slab.cluster.answering import away
from k8slab.cluster.container_engine import AMBIENT
from k8slab.cluster.contract import Cluster
from k8slab.commands import Completed, run
from k8slab.errors import RENEW_CREDENTIALS, CommandError
from k8slab.folders import cache_folder
from k8slab.kubectl_arguments import understand

_OWN_PATIENCE = re.compile(r"--timeout=(\d+)(s|m)?")
MARGIN_SECONDS = 15.0
"""How much longer than a kubectl line says it will wait it is left alone, so that it is the one to say so."""

_LOGGED_IN = "You must be logged in to the server"
_PASSED_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "TMPDIR", "EDITOR", "KUBE_EDITOR")


def run_kubectl(
    cluster: Cluster,
    namespace: str,
    arguments: Sequence[str],
    shown: Sequence[str],
    text: str | None = None,
    timeout: float = 60,
) -> Completed:
    """Run kubectl to its end.

    Args:
        cluster: the cluster; its own kubeconfig and context are used, the ambient ones never.
        namespace: where it works unless the arguments name another; the context's own if empty.
        arguments: the words after `kubectl`.
        shown: the same in the learner's words, for an error's message.
        text: its standard input.
        timeout: seconds until it is ended; longer where the line says how long it will wait.

    Raises:
        CommandError: it ended with an exit code other than 0, and that was no answer (`diff` ends with 1
            where it finds a difference); the message says what to do.
    """
    argv, known = _argv(cluster, namespace, arguments), environment(cluster)
    patience = max(timeout, _patience(arguments))
    done = run(argv, timeout=patience, env=known, input=text, check=False)
    if _was_not_let_in(done) and not understand(arguments).changes and cluster.renew():
        # A token may have been rotated. What reads may be asked twice; before a change the guard has asked.
        done = run(argv, timeout=patience, env=known, input=text, check=False)
    if done.returncode != 0 and not _found_a_difference(arguments, done):
        said = _without_noise((done.stdout + done.stderr).replace('"STDIN"', "the manifest"), shown)
        raise CommandError(["kubectl", *shown], done.returncode, said, _cure(said, cluster))
    return done


def replace_process(cluster: Cluster, namespace: str, arguments: Sequence[str]) -> NoReturn:
    """Become kubectl, terminal and all."""
    argv = _argv(cluster, namespace, arguments)
    os.execve(argv[0], argv, environment(cluster))


def environment(cluster: Cluster) -> dict[str, str]:
    """What kubectl may know of this process's environment: no other cluster's kubeconfig or credentials.

    The program that makes an existing cluster's credentials, such as `aws`, may need more of it, and so may
    the way there; what leads kubectl to another cluster is taken out all the same.
    """
    if cluster.owned:
        kept = {name: os.environ[name] for name in _PASSED_ENVIRONMENT if name in os.environ}
    else:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(AMBIENT)}
    # Aliases and default flags of the user's own (kuberc) could turn a line into another one.
    return kept | {
        "KUBERC": "off",
        "KUBECTL_KUBERC": "false",
        "KUBECACHEDIR": str(cache_folder() / "kubectl"),
    }


def _patience(arguments: Sequence[str]) -> float:
    """For how long a line is left alone by what it says itself, such as `wait --timeout=60s`; else 0."""
    said = [match for word in arguments if (match := _OWN_PATIENCE.fullmatch(word))]
    return max((int(each[1]) * (60 if each[2] == "m" else 1) + MARGIN_SECONDS for each in said), default=0.0)


def _was_not_let_in(done: Completed) -> bool:
    """Whether it is HTTP 401 that kubectl ended with: StandardErrorMessage of pkg/cmd/util/helpers.go."""
    return done.returncode != 0 and _LOGGED_IN in done.stderr


def _found_a_difference(arguments: Sequence[str], done: Completed) -> bool:
    """Whether it is `kubectl diff` that says so: 0 is no difference, 1 is some, and more is an error."""
    return done.returncode == 1 and understand(arguments).verb == "diff"


def _argv(cluster: Cluster, namespace: str, arguments: Sequence[str]) -> list[str]:
    fixed = [str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}"]
    return [*fixed, *([f"--namespace={namespace}"] if namespace else []), *arguments]


def _without_noise(said: str, shown: Sequence[str]) -> str:
    """Without what would mislead in an error.

    Those are the lines of kubectl's log in which it says five times what its last line says once, and of a
    dry run that the learner did not ask for the objects that it would have created.
    """
    noise = [" memcache.go:"]
    if not any(word.startswith("--dry-run") for word in shown):
        noise.append(" (server dry run)")
    return "".join(line for line in said.splitlines(keepends=True) if not any(each in line for each in noise))


def _cure(said: str, cluster: Cluster) -> str:
    if "command terminated with exit code" in said:
        # What a command in a Pod said is about what it did there, and not about this cluster.
        return ""
    if _LOGGED_IN in said:
        return RENEW_CREDENTIALS
    if "NotFound" in said:
        return "Look at what is there: `kubectl get all`."
    if "refused" in said or "Unable to connect" in said:
        missing = away(cluster)
        if missing is not None:
            return f"{missing.name} does not run: lab.components[{missing.name!r}].start() starts it."
        return "The cluster does not answer: run the cell with Lab.open(...) again."
    if "Invalid" in said or "error validating" in said or "strict decoding" in said:
        return "Correct the field it names and try again; that object was not changed."
    return ""
