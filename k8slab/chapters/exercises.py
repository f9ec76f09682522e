"""Exercises and chapters as data: a task, its check, hints, a solution; and what a chapter holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

from k8slab.chapters.abilities import Ability, lacking
from k8slab.chapters.checks import Check
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.predictions import Prediction
from k8slab.chapters.recap import RecapQuestion
from k8slab.errors import LabError


@dataclass(frozen=True)
class Exercise:
    """A task that the cluster's state says is done or not.

    Args:
        id: such as `keep-three`.
        title: a few words.
        task: what to reach, in the learner's words; not how.
        check: whether it is reached.
        hints: from a nudge to nearly everything, shown one by one.
        solution: lines of a notebook cell that reach it.
        prediction: what the learner is asked first; None if nothing.
        needs: what it needs that not every cluster lets a learner do.
    """

    id: str
    title: str
    task: str
    check: Check
    hints: tuple[str, ...]
    solution: tuple[str, ...]
    prediction: Prediction | None = None
    needs: tuple[Ability, ...] = ()


@dataclass(frozen=True)
class Step:
    """A cell of a chapter that later ones build on.

    Args:
        call: the line as it stands in the notebook.
        done: whether it has been run, as far as the cluster shows.
        purpose: what it is for, in a few words.
    """

    call: str
    done: Callable[[Evidence], bool]
    purpose: str


@dataclass(frozen=True)
class Chapter:
    """What a chapter asks and judges.

    Args:
        name: such as `03-replicasets`; its namespace, its folder of manifests and its notebook share it.
        title: such as `03 · ReplicaSets`.
        goal: what the learner can do at its end, in one sentence.
        steps: the cells that later ones need, in order.
        exercises: its exercises.
        predictions: its predictions.
        recap: three questions at its end.
        kinds: kinds it follows besides those that the map draws, by plural name, such as `events`.
        layers: layers of the map that are on from the start, such as `volumes`.
    """

    name: str
    title: str
    goal: str
    steps: tuple[Step, ...]
    exercises: tuple[Exercise, ...]
    predictions: tuple[Prediction, ...]
    recap: tuple[RecapQuestion, ...] = ()
    kinds: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[Ability, ...]:
        """What any of its exercises and predictions needs, each once, in the order in which it is met."""
        parts: tuple[Exercise | Prediction, ...] = (*self.predictions, *self.exercises)
        return tuple(dict.fromkeys(need for part in parts for need in part.needs))

    def elsewhere(self, backend: str) -> tuple[str, ...]:
        """Ids of the exercises that cannot be done on that backend."""
        return tuple(each.id for each in self.exercises if lacking(each.needs, backend))

    def exercise(self, id: str) -> Exercise:
        """The exercise of that id.

        Raises:
            LabError: there is none.
        """
        return _find(id, "exercise", self.exercises, self.title)

    def prediction(self, id: str) -> Prediction:
        """The prediction of that id, those of exercises included.

        Raises:
            LabError: there is none.
        """
        asked = [each.prediction for each in self.exercises if each.prediction is not None]
        return _find(id, "prediction", (*self.predictions, *asked), self.title)


_Item = TypeVar("_Item", Exercise, Prediction)

MODULES = {
    "00-start": "k8slab.chapters.start",
    "01-cluster-anatomy": "k8slab.chapters.cluster_anatomy",
    "02-pods": "k8slab.chapters.pods",
    "03-replicasets": "k8slab.chapters.replicasets",
    "04-deployments": "k8slab.chapters.deployments",
    "05-services": "k8slab.chapters.services",
}
"""The module of each chapter, by its name."""

CHAPTERS = tuple(MODULES)
"""Names of the chapters, in their order."""


def chapter(name: str) -> Chapter:
    """The chapter of that name.

    Raises:
        LabError: there is none.
    """
    if name not in MODULES:
        raise LabError(f"There is no chapter {name!r}.", f"There are: {', '.join(MODULES)}.")
    found: Chapter = import_module(MODULES[name]).CHAPTER
    return found


def _find(id: str, what: str, items: tuple[_Item, ...], title: str) -> _Item:
    found = next((each for each in items if each.id == id), None)
    if found is None:
        known = ", ".join(repr(each.id) for each in items) or "none"
        raise LabError(f"{title} has no {what} {id!r}.", f"It has: {known}.")
    return found
