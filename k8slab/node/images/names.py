"""Image references as a container runtime reads them. Pure.

Source of the grammar, the defaults and the texts: github.com/distribution/reference (`normalize.go`,
`regexp.go`) and pkg/util/parsers/parsers.go of Kubernetes 1.36.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from k8slab.errors import LabError

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library"
LONGEST_NAME = 255

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>{_DOMAIN}/{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)


class UnknownImageError(LabError):
    """An image that cannot run on this node.

    Args:
        message: what is wrong with it.
        cure: what to do.
        reason: the kubelet's word for the container's waiting state: `ErrImagePull` or `InvalidImageName`.
    """

    def __init__(self, message: str, cure: str = "", reason: str = "ErrImagePull") -> None:
        super().__init__(message, cure)
        self.reason = reason


@dataclass(frozen=True)
class ImageName:
    """A reference, taken apart.

    Args:
        repository: registry and path in full: `docker.io/library/nginx`.
        tag: `latest` where neither tag nor digest is given; empty beside a digest alone.
        digest: `sha256:…`, or empty. Where there is one it decides, and the tag does not.
    """

    repository: str
    tag: str
    digest: str

    @property
    def short(self) -> str:
        """The name as people write it: without docker.io/ and library/."""
        name = self.repository.removeprefix(f"{DEFAULT_DOMAIN}/")
        return name if name == self.repository else name.removeprefix(f"{OFFICIAL}/")

    @property
    def full(self) -> str:
        """The whole reference, as a runtime resolves it."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def parse_name(image: str) -> ImageName:
    """Take an image reference apart.

    Raises:
        UnknownImageError: with the reason `InvalidImageName`, where it does not parse; the message is the
            runtime's own.
    """
    domain, rest = _split_domain(image)
    path = rest.partition("@")[0].partition(":")[0]
    if path != path.lower():
        raise _invalid(image, f"invalid reference format: repository name ({path}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if match is None:
        raise _invalid(image, "invalid reference format")
    if len(path) > LONGEST_NAME:
        raise _invalid(image, f"repository name must not be more than {LONGEST_NAME} characters")
    tag, digest = match["tag"] or "", match["digest"] or ""
    if not tag and not digest:
        tag = "latest"
    return ImageName(match["name"], tag, digest)


def _split_domain(image: str) -> tuple[str, str]:
    first, slash, rest = image.partition("/")
    # A first part is a registry's host if it looks like one: by a dot, a port, `localhost`, or capitals.
    if slash and (first == "localhost" or any(sign in first for sign in ".:") or first != first.lower()):
        domain, rest = (DEFAULT_DOMAIN if first == LEGACY_DOMAIN else first), rest
    else:
        domain, rest = DEFAULT_DOMAIN, image
    if domain == DEFAULT_DOMAIN and "/" not in rest:
        rest = f"{OFFICIAL}/{rest}"
    return domain, rest


def _invalid(image: str, why: str) -> UnknownImageError:
    return UnknownImageError(f'couldn\'t parse image name "{image}": {why}', reason="InvalidImageName")
