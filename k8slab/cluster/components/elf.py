"""Reading an executable without running it: is it whole, is it for this machine, what does it say it is.

The layout is that of the ELF specification (System V ABI) for 64-bit little-endian files. What a Go
program says of itself is read as Go's own `debug/buildinfo` reads it.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from k8slab.cluster.components.programs import RefusedError

MACHINES = {"x86_64": 62, "aarch64": 183}
"""e_machine of each machine, by uname's name."""

EXECUTABLE_TYPES = (2, 3)
"""ET_EXEC and ET_DYN (a position-independent executable)."""

NO_BITS = 8
"""SHT_NOBITS: a section that takes no room in the file."""

BUILD_INFO_MAGIC = b"\xff Go buildinf:"
INLINE_STRINGS = 2
"""Flag of a build information that holds its strings itself, as Go 1.18 and newer write it."""


@dataclass(frozen=True)
class BuildInfo:
    """What a Go program says of itself.

    Args:
        package: import path of its main package; empty if it does not say.
        version: version of the main module; empty if it does not say.
        modules: version of each module it was built with.
    """

    package: str
    version: str
    modules: dict[str, str]


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """A file's bytes, without reading them all into memory.

    Raises:
        RefusedError: the file is empty.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise RefusedError(f"{path} is empty.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def check_executable(path: Path, content: mmap.mmap, machine: str) -> None:
    """Whether a file is a whole program for this machine.

    Args:
        path: its name, for messages.
        content: its bytes.
        machine: what uname calls the machine.

    Raises:
        RefusedError: it is a script or other file, is for another machine, or ends too early.
    """
    if len(content) < 64 or content[:4] != b"\x7fELF":
        raise RefusedError(f"{path} is no program: it does not begin as an ELF file does.")
    if content[4] != 2 or content[5] != 1:
        raise RefusedError(f"{path} is no 64-bit little-endian program.")
    kind, of_machine = struct.unpack_from("<HH", content, 16)
    if kind not in EXECUTABLE_TYPES:
        raise RefusedError(f"{path} is an ELF file and no executable.")
    if of_machine != MACHINES[machine]:
        raise RefusedError(f"{path} is a program for another kind of machine than {machine}.")
    end = _end(content)
    if end > len(content):
        raise RefusedError(f"{path} is cut off: {len(content)} of at least {end} bytes are there.")


def _end(content: mmap.mmap) -> int:
    """Where the last byte is that the file's own tables of segments and sections name."""
    segments, sections = struct.unpack_from("<QQ", content, 32)
    segment_size, segment_count, section_size, section_count = struct.unpack_from("<HHHH", content, 54)
    end = max(segments + segment_size * segment_count, sections + section_size * section_count)
    if end > len(content):
        return int(end)
    for index in range(segment_count):
        at = segments + index * segment_size
        offset = struct.unpack_from("<Q", content, at + 8)[0]
        end = max(end, offset + struct.unpack_from("<Q", content, at + 32)[0])
    for index in range(section_count):
        at = sections + index * section_size
        if struct.unpack_from("<I", content, at + 4)[0] != NO_BITS:
            offset, size = struct.unpack_from("<QQ", content, at + 24)
            end = max(end, offset + size)
    return int(end)


def build_info(content: mmap.mmap) -> BuildInfo | None:
    """What a Go program says of itself, or None if it says nothing that can be read."""
    at = content.find(BUILD_INFO_MAGIC)
    while at >= 0 and at % 16:
        at = content.find(BUILD_INFO_MAGIC, at + 1)
    if at < 0 or at + 33 > len(content) or not content[at + 15] & INLINE_STRINGS:
        return None
    _, rest = _text(content, at + 32)
    text, _ = _text(content, rest)
    package, version, modules = "", "", {}
    # Sixteen bytes on either side mark the text for other readers.
    for line in text[16:-16].decode(errors="replace").splitlines():
        words = line.split("\t")
        if words[0] == "path" and len(words) > 1:
            package = words[1]
        elif words[0] == "mod" and len(words) > 2:
            version = words[2]
        elif words[0] == "dep" and len(words) > 2:
            modules[words[1]] = words[2]
    return BuildInfo(package, version, modules)


def _text(content: mmap.mmap, at: int) -> tuple[bytes, int]:
    """A string after its length as a varint, and where it ends."""
    length = shift = 0
    while at < len(content):
        byte = content[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return content[at : at + length], at + length
