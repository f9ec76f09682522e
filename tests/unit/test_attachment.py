"""Which existing cluster a call means: by its arguments, else by the environment; and the third key."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from k8slab.cluster.choose import Attach, attachment, open_cluster
from k8slab.cluster.existing.backend import ExistingCluster, Keys
from k8slab.cluster.existing.contexts import Context
from k8slab.errors import GuardError, LabError
from k8slab.session.session import Session
from k8slab.session.third_key import give_key, waits_for_key
from k8slab.widgets.key_field import KeyField


@pytest.fixture
def classroom(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a teacher sets once for everybody."""
    for name, value in {
        "K8SLAB_BACKEND": "existing",
        "K8SLAB_CONTEXT": "class",
        "K8SLAB_KUBECONFIG": "~/class.yaml",
        "K8SLAB_NAMESPACES": "anna, anna-2",
        "K8SLAB_TYPED": "class",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("classroom")
def test_the_environment_gives_what_the_call_leaves_out_but_never_the_typed_name() -> None:
    assert attachment() == Attach("class", Path.home() / "class.yaml", ("anna", "anna-2"), "")
    mine = attachment(namespaces=["bob"], typed="class", kubeconfig="/tmp/other")
    assert mine == Attach("class", Path("/tmp/other"), ("bob",), "class")
    assert attachment(context="class") == attachment()


@pytest.mark.usefixtures("classroom")
def test_a_call_for_another_context_or_backend_takes_nothing_from_it() -> None:
    assert attachment(context="mine", typed="mine") == Attach("mine", None, (), "mine")
    for backend in ("embedded", "kind"):
        assert attachment(backend) is None


def test_without_the_backend_the_other_variables_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_CONTEXT", "class")
    monkeypatch.delenv("K8SLAB_BACKEND", raising=False)
    assert attachment() is None
    assert attachment("existing") == Attach("class", None, (), "")
    monkeypatch.delenv("K8SLAB_CONTEXT")
    with pytest.raises(LabError, match="K8SLAB_CONTEXT"):
        open_cluster(backend="existing", attach=attachment("existing"))


class Checks:
    """A guard that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check_cluster(self, namespace: str = "") -> None:
        self.asked.append(namespace)


class Open:
    """A session as far as the third key looks at it."""

    def __init__(self, namespaces: tuple[str, ...], typed: str = "") -> None:
        context = Context("class", "https://192.0.2.1:6443", "default", "a token")
        keys = Keys(namespaces, typed)
        self.cluster = ExistingCluster(context, Path("/x"), Path("/y"), keys, "v1.36.3", "kubeadm")
        self.guard = Checks()


def session(namespaces: tuple[str, ...] = ("anna",), typed: str = "") -> Session:
    return cast(Session, Open(namespaces, typed))


def test_the_typed_name_has_to_be_exact_and_opens_no_more_than_was_named() -> None:
    opened = session(("anna", "anna-2"))
    assert waits_for_key(opened)
    for wrong in ("", "Class", "clas", "anna"):
        with pytest.raises(GuardError, match="goes on reading only"):
            give_key(opened, wrong)
        assert waits_for_key(opened)
    assert "anna, anna-2; and nothing else" in give_key(opened, " class ")
    assert not waits_for_key(opened)
    assert cast(Checks, opened.guard).asked == ["anna", "anna-2"]


def test_nothing_is_asked_where_no_namespace_was_named_or_the_name_was_typed_in_the_cell() -> None:
    assert not waits_for_key(session(()))
    assert not waits_for_key(session(typed="class"))
    assert waits_for_key(session(typed="another"))


@pytest.fixture
def field() -> Iterator[Any]:
    before = set(threading.enumerate())
    opened = session()
    made = KeyField("Type it.", lambda typed: give_key(opened, typed))
    yield made
    made.close()
    until(lambda: set(threading.enumerate()) <= before)


def until(condition: Any) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def test_the_field_says_what_was_wrong_and_rests_once_it_was_right(field: Any) -> None:
    field.field.value = "<b>x</b>"
    field._drawer.run(field._pressed)
    until(lambda: "reading only" in field.result.value and not field.field.disabled)
    assert "<b>x" not in field.result.value
    field.field.value = "class"
    field._drawer.run(field._pressed)
    until(lambda: "may now change" in field.result.value)
    assert field.field.disabled and field.button.disabled
