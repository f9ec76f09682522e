"""What a part of a chapter can need that not every cluster lets a learner do, and where it can be done.

Stopping the scheduler or a machine takes a cluster of one's own. On somebody else's, what needs that says
"not here" and how to do it elsewhere, and is counted against nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

Ability = Literal["components", "machines", "etcd"]
"""To stop parts of the control plane; to have nodes fall silent or lose their power; to read etcd."""

ABILITIES: Mapping[str, frozenset[Ability]] = {
    "embedded": frozenset({"components", "machines", "etcd"}),
    "kind": frozenset({"components", "machines", "etcd"}),
    "existing": frozenset(),
}
"""What each backend lets a learner do."""

_DOING: Mapping[Ability, str] = {
    "components": "stop parts of the control plane",
    "machines": "silence a node",
    "etcd": "read etcd past the API server",
}


def lacking(needs: Iterable[Ability], backend: str) -> tuple[Ability, ...]:
    """What of these a backend does not offer, in their order."""
    return tuple(each for each in needs if each not in ABILITIES[backend])


def elsewhere(needs: Iterable[Ability], backend: str) -> str:
    """Why something cannot be done on a backend, and where it can be, in two short sentences.

    Args:
        needs: what it needs.
        backend: where the chapter is open.

    Returns:
        The sentences; empty if nothing is lacking.
    """
    missing = lacking(needs, backend)
    if not missing:
        return ""
    doing = " and ".join(_DOING[each] for each in missing)
    homes = [repr(name) for name, offered in ABILITIES.items() if offered.issuperset(missing)]
    return (
        f"Here you cannot {doing}: that takes a cluster of your own."
        f" Open the chapter with backend={' or '.join(homes)} to do this."
    )
