"""How long healing took: a Pod leaves, its heir is created, placed, started, ready, reachable. Pure.

The *heir* of a Pod is the first Pod of the same controller created after it left that is no
other's heir, and only if the controller missed it: it still wanted that many. Whoever was
retired (one too many, by a scale-down, a rollout or the end of its owner) has none, nor has
whoever finished its work. What is heard of an owner and of its Pods comes on two watches; so a
wish that falls before there was an heir also says that nobody is missed.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.mirror.lives import Life, Lives

COARSE = 1.0
"""Seconds by which an API timestamp may be too early: it is cut to whole seconds."""

PHASES = (
    ("replacement created", "created"),
    ("scheduled", "scheduled"),
    ("process started", "started"),
    ("ready", "ready"),
    ("in endpoints", "endpoint"),
)
"""The phases of a recovery, with the field of `Life` that ends each."""


@dataclass(frozen=True)
class Recovery:
    """How one Pod was replaced.

    Args:
        victim: the Pod that left.
        heir: the Pod that replaced it; None while there is none.
        start: when the victim stopped counting, in epoch seconds.
        phases: what has happened since, as (name, seconds since the start).
        healed: seconds until the heir did what the victim had done: in endpoints if the victim
            had been, else ready; None while it has not.
    """

    victim: Life
    heir: Life | None
    start: float
    phases: tuple[tuple[str, float], ...]
    healed: float | None


def heirs(lives: Lives, owner: str, recent: int = 0) -> dict[str, str]:
    """Who replaced whom among the Pods of one controller, as uids: victim to heir; "" while it is missing.

    Args:
        lives: all lives.
        owner: uid of the controller.
        recent: look only at so many of those that left last, to be quick; at all if 0.
    """
    pods = lives.of_owner(owner)
    leavers = (life for life in pods if _is_victim(life, owner))
    victims = sorted(leavers, key=lambda life: (life.left or 0, life.seen))
    if recent and len(victims) > recent:
        forgotten = {life.uid for life in victims[:-recent]}
        victims = victims[-recent:]
        pods = [life for life in pods if life.uid not in forgotten]
    if not victims:
        return {}
    # Whoever was there all along counts for every victim and follows none: of a crowd that is nearly all.
    steady = {life.uid for life in pods if _is_steady(life, victims[0].left or 0)}
    pods = [life for life in pods if life.uid not in steady]
    ends = {life.uid: min(_ends(life), default=float("inf")) for life in pods}
    taken: set[str] = set()
    found: dict[str, str] = {}
    for index, victim in enumerate(victims):
        moment = victim.left
        assert moment is not None
        earlier = {life.uid for life in victims[: index + 1]}
        remaining = len(steady)
        # Few of a long line of victims were there together, and only those are worth a closer look.
        there = (life for life in pods if life.created <= moment < ends[life.uid])
        remaining += sum(life.uid not in earlier and _counted(life, owner, victim, moment) for life in there)
        wanted = lives.wants(owner, moment)
        if wanted is not None and remaining >= wanted:
            continue
        enough = _content(lives, owner, moment, remaining)
        heir = next((life for life in pods if life.uid not in taken and _follows(life, victim, moment)), None)
        if heir is not None and heir.created <= enough:
            found[victim.uid] = heir.uid
            taken.add(heir.uid)
        elif wanted is not None and enough == float("inf"):
            found[victim.uid] = ""
    return found


def _ends(life: Life) -> list[float]:
    return [end for end in (life.left, life.done) if end is not None]


def _is_victim(life: Life, owner: str) -> bool:
    """Whether a Pod left its controller by ending, before its work was done."""
    left = life.left
    return left is not None and (life.done is None or life.done > left) and life.owner_at(left) == owner


def _is_steady(life: Life, moment: float) -> bool:
    """Whether a Pod was there well before a moment, under the same controller ever since, and still is."""
    return (
        life.gone is None
        and life.deleted is None
        and life.failed is None
        and life.done is None
        and len(life.tenures) == 1
        and life.seen < moment
        and life.created + COARSE < moment
    )


def _content(lives: Lives, owner: str, moment: float, remaining: int) -> float:
    """When, after a Pod had left, its controller first wanted no more than remained; infinite if never."""
    fallen = (
        since
        for since, wish in lives.wishes(owner)
        if since > moment and wish is not None and wish <= remaining
    )
    return next(fallen, float("inf"))


def _counted(life: Life, owner: str, victim: Life, moment: float) -> bool:
    """Whether the controller certainly counted a Pod when the victim left, so that it is no heir."""
    if victim.missed_end and life.seen >= moment:
        return False
    coarse = 0 if life.exact else COARSE
    return life.counts_for(owner, moment) and (life.seen < moment or life.created + coarse <= moment)


def _follows(life: Life, victim: Life, moment: float) -> bool:
    if life.uid == victim.uid:
        return False
    if victim.missed_end and life.seen >= moment:
        return True
    # Whoever was seen before the victim left is no heir, however late its whole-second timestamp.
    return life.created >= moment - (0 if life.exact else COARSE) and life.seen >= max(victim.seen, moment)


def recovery(lives: Lives, victim: str) -> Recovery | None:
    """How a Pod was replaced, as far as it has come.

    Args:
        lives: all lives.
        victim: uid of the Pod that left.

    Returns:
        None if the Pod is unknown, has not left, has no controller, or was not missed; nor is it a
        recovery where a rollout put a Pod of another revision in its place.
    """
    life = lives.get(victim)
    if life is None or life.left is None or not life.owner_at(life.left):
        return None
    line = heirs(lives, life.owner_at(life.left))
    if victim not in line:
        return None
    heir = lives.get(line[victim])
    if heir is not None and heir.revision != life.revision:
        return None
    return measured(life, heir)


def measured(victim: Life, heir: Life | None) -> Recovery:
    """The times of one replacement.

    Args:
        victim: the Pod that left.
        heir: the Pod that replaced it; None while there is none.
    """
    start = victim.left
    if start is None:
        raise ValueError(f"{victim.name} has not left")
    if heir is None:
        return Recovery(victim, None, start, (), None)
    steps = [(name, getattr(heir, field)) for name, field in PHASES]
    phases = tuple((name, max(0.0, moment - start)) for name, moment in steps if moment is not None)
    goal = heir.endpoint if victim.endpoint is not None else heir.ready
    healed = None if goal is None else max(0.0, goal - start)
    return Recovery(victim, heir, start, phases, healed)
