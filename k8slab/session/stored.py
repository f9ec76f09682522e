"""How etcd keeps an object: `lab.etcd("pod/web")` shows its key, its revisions and what can be read of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from k8slab.answers import CODE_STYLE, escaped, visible
from k8slab.cluster.api import KINDS, Kind
from k8slab.cluster.contract import Cluster, StoredValue
from k8slab.errors import LabError
from k8slab.kubectl_arguments import PLURALS

ENVELOPE = b"k8s\0"
"""What Kubernetes puts before an object in protobuf (apimachinery, serializer/protobuf)."""

SHOWN_STRINGS = 18
"""With the lines above them that makes about 25."""
LONGEST_STRING = 100

_FOLDERS = {
    "nodes": "minions",
    "services": "services/specs",
    "replicationcontrollers": "controllers",
    "ingresses": "ingress",
}
"""Where the key does not have the plural; the rest of `KINDS` does (registry/*/storage of Kubernetes)."""

_NAME = re.compile(r"[a-z0-9A-Z]([-a-z0-9A-Z.]{0,251}[a-z0-9A-Z])?")


@dataclass(frozen=True)
class StoredObject:
    """One object as etcd keeps it.

    Args:
        stored: key, bytes and revisions.
        kind: its kind, such as `Pod`.
    """

    stored: StoredValue
    kind: str

    @property
    def key(self) -> str:
        """The key, such as `/registry/pods/default/web`."""
        return self.stored.key

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return len(self.stored.value)

    @property
    def create_revision(self) -> int:
        """etcd's revision at which the key was made."""
        return self.stored.create_revision

    @property
    def mod_revision(self) -> int:
        """etcd's revision at which it was last written: the object's `metadata.resourceVersion`."""
        return self.stored.mod_revision

    @property
    def version(self) -> int:
        """How often the key was written since it was made."""
        return self.stored.version

    @property
    def strings(self) -> tuple[str, ...]:
        """What can be read in the bytes, in their order; nothing for a Secret."""
        if self.kind == "Secret":
            return ()
        return tuple(strings_of(self.stored.value))

    def text(self) -> str:
        """Everything, in about 25 lines."""
        lines = [
            f"key              {self.key}",
            f"size             {self.size} bytes",
            f"create revision  {self.create_revision}",
            f"mod revision     {self.mod_revision}, which the API calls resourceVersion",
            f"version          {self.version}: written so often since it was made",
            f"first bytes      {first_bytes(self.stored.value)}",
        ]
        if self.kind == "Secret":
            return "\n".join([*lines, "The strings are not shown: they would be the Secret's values."])
        found = self.strings
        lines += ["strings in it, in order:", *(f"  {_cut(each)}" for each in found[:SHOWN_STRINGS])]
        if len(found) > SHOWN_STRINGS:
            lines.append(f"  and {len(found) - SHOWN_STRINGS} more")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return visible(self.text())

    def _repr_html_(self) -> str:
        label = escaped(f"{self.key} in etcd")
        return f'<pre aria-label="{label}" style="{CODE_STYLE} white-space: pre">{escaped(self.text())}</pre>'


def look_up(cluster: Cluster, namespace: str, target: str) -> StoredObject:
    """What etcd holds of an object.

    Args:
        cluster: the cluster.
        namespace: where the object is, if its kind lives in namespaces.
        target: such as `pod/web`, `deploy/web` or `node/worker-1`.

    Raises:
        LabError: there is no such kind or no such key.
        ClusterStateError: etcd is out of reach.
    """
    kind, name = _understood(target)
    key = key_of(kind, namespace, name)
    stored = cluster.stored(key)
    if stored is None:
        where = f" -n {namespace}" if kind.namespaced else ""
        raise LabError(f"etcd has no key {key}.", f"`kubectl get {kind.plural}{where}` lists what there is.")
    return StoredObject(stored, kind.kind)


def key_of(kind: Kind, namespace: str, name: str) -> str:
    """The key under which the API server keeps an object."""
    folder = _FOLDERS.get(kind.plural, kind.plural)
    return "/".join(
        part for part in ("/registry", folder, namespace if kind.namespaced else "", name) if part
    )


def kind_named(word: str) -> Kind:
    """The kind that a word means: its plural, its singular, or kubectl's short name.

    Raises:
        LabError: none; the message says which there are.
    """
    found = KINDS.get(PLURALS.get(word.lower(), ""))
    if found is not None:
        return found
    known = ", ".join(sorted(kind.kind.lower() for kind in KINDS.values()))
    raise LabError(f"{word!r} is no kind that lab.etcd knows.", f"It knows: {known}.")


def _understood(target: str) -> tuple[Kind, str]:
    word, slash, name = str(target).partition("/")
    if not slash or not _NAME.fullmatch(name):
        raise LabError(f"{target!r} names no object.", "Write kind/name, such as pod/web or node/worker-1.")
    return kind_named(word), name


def first_bytes(value: bytes, count: int = 16) -> str:
    """The first bytes in hexadecimal, and what they are."""
    shown = value[:count].hex(" ")
    if value.startswith(ENVELOPE):
        return f"{shown} ... `k8s\\0`, then protobuf"
    return f"{shown} ..." + (" JSON" if value[:1] == b"{" else "")


def strings_of(value: bytes) -> Iterator[str]:
    """The readable strings of a stored value, in their order. Pure.

    Protobuf does not say which of its fields are text: what reads as text is taken for it, and what
    does not is looked into as a message.
    """
    if value.startswith(ENVELOPE):
        yield from _strings(value.removeprefix(ENVELOPE), 0)
    else:
        yield from value.decode(errors="replace").splitlines()


def _strings(data: bytes, depth: int) -> Iterator[str]:
    for part in _parts(data) or ():
        text = _text(part)
        if text is not None and text.isprintable():
            if len(text) > 1:
                yield text
        elif depth < 20 and _parts(part) is not None:
            yield from _strings(part, depth + 1)
        elif text is not None and all(sign.isprintable() or sign in "\n\t" for sign in text):
            yield " ".join(text.split())


def _text(part: bytes) -> str | None:
    try:
        return part.decode()
    except UnicodeDecodeError:
        return None


def _parts(data: bytes) -> list[bytes] | None:
    """The length-delimited fields of a protobuf message, or None if it is none."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if at < 0 or tag >> 3 == 0:
            return None
        wire = tag & 7
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            if at < 0 or at + length > len(data):
                return None
            parts.append(data[at : at + length])
            at += length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            return None
        if at < 0 or at > len(data):
            return None
    return parts


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends; the end is -1 where there is none."""
    number = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at
    return 0, -1


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_STRING else text[: LONGEST_STRING - 1] + "…"
