"""The last words of a container: a file it may write, or the end of its log.

Limits and order are those of pkg/kubelet/kuberuntime/kuberuntime_container.go of Kubernetes 1.36.
"""

from __future__ import annotations

from pathlib import Path

from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.pods.pod_spec import Container

LONGEST = 4096
LONGEST_FROM_LOG = 2048
LINES_FROM_LOG = 80


def termination_message(container: Container, record: ContainerRecord, file: Path) -> str:
    """What a container that ended left to be read.

    Args:
        container: its specification.
        record: the run that ended.
        file: where its `terminationMessagePath` lies on this host.
    """
    text = record.message or _tail(file, LONGEST)
    fall_back = container.get("terminationMessagePolicy") == "FallbackToLogsOnError" and record.exit_code != 0
    if text or not fall_back or not record.log:
        return text
    lines = [_content(line) for line in _tail(Path(record.log), 64 * 1024).splitlines()[-LINES_FROM_LOG:]]
    return "".join(lines)[-LONGEST_FROM_LOG:]


def _content(line: str) -> str:
    """The program's own words in one CRI log line: `<time> <stream> <F or P> <text>`."""
    parts = line.split(" ", 3)
    if len(parts) < 4:
        return ""
    return parts[3] + ("\n" if parts[2] == "F" else "")


def _tail(path: Path, longest: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - longest))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
