"""The contexts of a user's kubeconfig: read, never written, and copied one at a time.

Nothing here looks at `KUBECONFIG` or at the file's `current-context`: whoever wants a context names it.
A copy holds that one context and nothing else, so that no call can slip into another.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k8slab.errors import ClusterStateError
from k8slab.folders import write_private

LARGEST = 1024 * 1024
"""Bytes of a kubeconfig that are read; the files of large companies stay far below."""

_ANOTHER = (
    "Name another file with kubeconfig=... in Lab.open or --kubeconfig of k8slab contexts; "
    "KUBECONFIG is not looked at."
)

_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True)
class Context:
    """One context of a kubeconfig.

    Args:
        name: its name.
        server: URL of the API server.
        namespace: the namespace it works in; `default` if it names none.
        credential: what the user proves itself by, such as `a client certificate` or `the program aws`.
        program: the program that makes its credentials, with its arguments; empty if none does.
    """

    name: str
    server: str
    namespace: str
    credential: str
    program: tuple[str, ...] = ()


def user_kubeconfig() -> Path:
    """Where kubectl keeps the user's contexts."""
    return Path.home() / ".kube" / "config"


def context_names(kubeconfig: Path) -> tuple[str, ...]:
    """The names of all contexts of a file, also of those that name a cluster or a user that is not there.

    Raises:
        ClusterStateError: as `read_contexts`.
    """
    return tuple(str(entry["name"]) for entry in _entries(_content(kubeconfig), "contexts"))


def read_contexts(kubeconfig: Path) -> tuple[Context, ...]:
    """Every context of a file that names a cluster and a user, in the order of the file.

    Raises:
        ClusterStateError: the file is not there, too large, or no kubeconfig.
    """
    content = _content(kubeconfig)
    return tuple(
        _context(str(entry["name"]), *parts)
        for entry in _entries(content, "contexts")
        if (parts := _parts(content, str(entry["name"]))) is not None
    )


def find_context(kubeconfig: Path, name: str) -> Context:
    """The context of that name.

    Raises:
        ClusterStateError: there is none, or it names a cluster or a user that is not there.
    """
    known = read_contexts(kubeconfig)
    for each in known:
        if each.name == name:
            return each
    there = ", ".join(each.name for each in known) or "none"
    raise ClusterStateError(
        f"{kubeconfig} has no context {name!r} that names a cluster and a user; it has: {there}.",
        f"Name one of these. {_ANOTHER}",
    )


def write_copy(kubeconfig: Path, name: str, target: Path) -> None:
    """Write a kubeconfig that holds one context and what it needs, for its owner alone.

    What stands in the file in base64 becomes a file beside the copy: the official client would put it into
    the folder for temporary files, where a kernel that is killed leaves it.

    Args:
        kubeconfig: the file to read.
        name: the context.
        target: the file to write.

    Raises:
        ClusterStateError: as `find_context`; or a certificate or key in it is no base64.
    """
    find_context(kubeconfig, name)
    parts = _parts(_content(kubeconfig), name)
    assert parts is not None
    context, cluster, user = parts
    folder = kubeconfig.resolve().parent
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context["cluster"], "cluster": _copied(cluster, folder, target)}],
        "users": [{"name": context["user"], "user": _copied(user, folder, target)}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    write_private(target, yaml.safe_dump(content, sort_keys=False))


def destination(kubeconfig: Path, name: str) -> dict[str, Any]:
    """Where a context leads, and what its server proves itself by: the same for a copy as for the original.

    Args:
        kubeconfig: the file.
        name: the context.

    Raises:
        ClusterStateError: as `find_context`; or its authority cannot be read.
    """
    find_context(kubeconfig, name)
    parts = _parts(_content(kubeconfig), name)
    assert parts is not None
    cluster = parts[1]
    inline, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    try:
        authority = (
            base64.b64decode("".join(str(inline).split()), validate=True)
            if inline
            else (kubeconfig.resolve().parent / str(file)).read_bytes()
            if file
            else b""
        )
    except (OSError, ValueError) as error:
        raise ClusterStateError(
            f"The authority that {kubeconfig} names for {name!r} cannot be read: {error}.",
            "Correct it first.",
        ) from error
    left = ("extensions", "certificate-authority", "certificate-authority-data")
    return {**{key: value for key, value in cluster.items() if key not in left}, "authority": authority}


def _content(kubeconfig: Path) -> dict[str, Any]:
    try:
        with kubeconfig.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise ClusterStateError(f"There is no kubeconfig {kubeconfig}.", _ANOTHER) from error
    except OSError as error:
        raise ClusterStateError(
            f"The kubeconfig {kubeconfig} cannot be read: {error.strerror}.", _ANOTHER
        ) from error
    try:
        content = yaml.safe_load(data) if len(data) <= LARGEST else None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ClusterStateError(
            f"{kubeconfig} does not parse: {_fault(error)}.", "Correct it first."
        ) from error
    if not isinstance(content, dict):
        raise ClusterStateError(f"{kubeconfig} is no kubeconfig.", _ANOTHER)
    return content


def _fault(error: Exception) -> str:
    """What a parser found, in one line, with the place where it tells it."""
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", None) or error)
    return " ".join(said.split()) + (f" in line {mark.line + 1}" if mark is not None else "")


def _entries(content: dict[str, Any], section: str) -> list[dict[str, Any]]:
    entries = content.get(section)
    return [each for each in entries if isinstance(each, dict) and "name" in each] if entries else []


def _parts(
    content: dict[str, Any], name: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None:
    """Context, cluster and user of a context's name; None where one of them is missing."""

    def body(section: str, wanted: Any, key: str) -> dict[str, Any] | None:
        found = next((each.get(key) for each in _entries(content, section) if each["name"] == wanted), None)
        return found if isinstance(found, dict) else None

    context = body("contexts", name, "context")
    if context is None:
        return None
    cluster = body("clusters", context.get("cluster"), "cluster")
    user = body("users", context.get("user"), "user")
    return (
        (context, cluster, user) if cluster is not None and user is not None and "server" in cluster else None
    )


def _context(name: str, context: dict[str, Any], cluster: dict[str, Any], user: dict[str, Any]) -> Context:
    plugin = user.get("exec")
    program: tuple[str, ...] = ()
    if isinstance(plugin, dict):
        program = (str(plugin.get("command", "")), *(str(word) for word in plugin.get("args") or ()))
        credential = f"the program {program[0]}"
    elif "auth-provider" in user:
        credential = "an auth provider, which kubectl no longer takes"
    elif {"client-certificate", "client-certificate-data"} & set(user):
        credential = "a client certificate"
    elif {"token", "tokenFile"} & set(user):
        credential = "a token"
    elif "username" in user:
        credential = "a password"
    else:
        credential = "nothing"
    namespace = str(context.get("namespace") or "default")
    return Context(name, str(cluster["server"]), namespace, credential, program)


def _copied(entry: dict[str, Any], folder: Path, target: Path) -> dict[str, Any]:
    """A cluster or user with its paths absolute and its inline files written beside the copy.

    As client-go reads them: paths in a kubeconfig are relative to its folder, and what is inline wins.
    """
    kept = {key: value for key, value in entry.items() if key != "extensions" and not key.endswith("-data")}
    for key in _PATHS:
        if data := entry.get(f"{key}-data"):
            file = target.with_name(f"{target.name}-{key}")
            try:
                write_private(file, base64.b64decode("".join(str(data).split()), validate=True).decode())
            except ValueError as error:
                raise ClusterStateError(
                    f"{key}-data of the kubeconfig is no base64 of a text: {error}.", "Correct it first."
                ) from error
            kept[key] = str(file)
        elif entry.get(key):
            kept[key] = str(folder / str(entry[key]))
    plugin = entry.get("exec")
    if isinstance(plugin, dict) and "/" in str(plugin.get("command", "")):
        kept["exec"] = {**plugin, "command": str(folder / str(plugin["command"]))}
    return kept
