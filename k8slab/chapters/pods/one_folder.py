"""The exercise `one-folder`: two containers of a Pod come to share a volume."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.pods.seen import container_named, is_leaving, made_since, statuses_of
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import is_ready

NAME = "letters"
WRITER, READER = "writer", "reader"
FILE = "/letter"


def one_folder(evidence: Evidence) -> CheckResult:
    """Whether the containers of the Pod `letters` share a volume, and the reader finds the letter in it."""
    pod = evidence.named("Pod", NAME)
    if pod is None:
        return seen("No Pod letters is there. Has the cell below been run, and what did it print?")
    if is_leaving(pod):
        return seen("The Pod letters is on its way out. Which text will you apply once it is gone?")
    if not made_since(evidence, pod):
        return seen(
            "The Pod letters was there before this task began. Will you delete it, and apply your own text?"
        )
    writer, reader = container_named(pod, WRITER), container_named(pod, READER)
    if not writer or not reader:
        missing = READER if writer else WRITER
        return seen(f"The Pod letters has no container {missing}; it needs both. What became of it?")
    where = _asked_for(reader)
    if not where.endswith(FILE):
        return seen(
            "The reader's readiness probe no longer asks for the letter, so ready says nothing about it."
            " How would you know that the reader sees the file?"
        )
    shared = sorted(_mounts(writer).keys() & _mounts(reader).keys())
    if not shared:
        return _apart(_mounts(writer), _mounts(reader))
    folder = where.removesuffix(FILE)
    paths = [path for name in shared for path in _mounts(reader)[name]]
    if folder not in paths:
        return seen(
            f"Both mount the volume {shared[0]}, and the reader has it at {paths[0]}; but its probe looks in"
            f" {folder}. Which mountPath would bring them together?"
        )
    if not is_ready(pod):
        ready = sum(bool(each.get("ready")) for each in statuses_of(pod))
        return seen(
            f"Both mount the volume {shared[0]}; {ready} of 2 containers are ready so far. Does the writer"
            " write into the folder at which it mounts the volume?"
        )
    return CheckResult(
        True,
        f"You gave both containers the volume {shared[0]}: the writer put a letter there, the reader's probe"
        f" finds it at {where}, and the Pod is ready. When the Pod goes, the volume goes with it.",
    )


def _apart(writer: dict[str, list[str]], reader: dict[str, list[str]]) -> CheckResult:
    if not reader:
        return seen(
            "The reader mounts no volume, so /in is a folder of its own image or none at all. Which list of"
            " the container brings a volume in?"
        )
    if not writer:
        return seen(
            "The writer mounts no volume: what it writes stays in its own container. Which list of the"
            " container brings a volume in?"
        )
    return seen(
        f"The writer mounts {_words(writer)} and the reader mounts {_words(reader)}: two volumes are two"
        " folders, and the reader finds no letter. If your text says otherwise by now: may the mounts of a"
        " Pod that exists be changed?"
    )


def _words(mounts: dict[str, list[str]]) -> str:
    return " and ".join(sorted(mounts))


def _mounts(container: Object) -> dict[str, list[str]]:
    """The paths at which a container mounts each volume; the account that every Pod gets is left out."""
    found: dict[str, list[str]] = {}
    for mount in container.get("volumeMounts") or ():
        name = str(mount.get("name", ""))
        if not name.startswith("kube-api-access-"):
            found.setdefault(name, []).append(str(mount.get("mountPath", "")).rstrip("/"))
    return found


def _asked_for(reader: Object) -> str:
    probe = reader.get("readinessProbe") or {}
    words = (probe.get("exec") or {}).get("command") or [""]
    return str(words[-1])


ONE_FOLDER = Exercise(
    id="one-folder",
    title="One letter, two containers",
    task=(
        "The writer puts a letter into its folder; the reader is ready once it finds it in its own. Change"
        " the text below so that both have the same volume, and the Pod letters becomes 2/2 ready."
    ),
    check=one_folder,
    hints=(
        "The text has two volumes, desk and shelf. How many does one letter need?",
        "Let the reader mount desk at /in. The mounts of a Pod that exists cannot be changed: delete it"
        ' first, with lab.kubectl("delete pod letters"), then run your cell again.',
        "manifests/02-pods/letters.yaml holds the whole text.",
    ),
    solution=(
        'lab.kubectl("delete pod letters --ignore-not-found --timeout=30s").wait(30)',
        'lab.apply("letters.yaml")',
    ),
)
