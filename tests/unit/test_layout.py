"""Slots: nothing moves unless it changes its lane, and no two things share a place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k8slab.graph.layout import Layout

KEYS = st.sampled_from([f"pod-{number}" for number in range(12)])
LANES = st.sampled_from(["pods/a", "pods/b", "pods/", "nodes"])


def test_a_newcomer_takes_the_first_free_slot() -> None:
    layout = Layout()
    assert [layout.place(key, "pods/a") for key in "abc"] == [0, 1, 2]
    assert layout.place("x", "pods/b") == 0
    layout.remove("a")
    assert layout.slot("a") is None
    assert layout.place("d", "pods/a") == 0, "a replacement stands where its victim stood"
    assert layout.place("e", "pods/a") == 3
    assert [layout.slot(key) for key in "bc"] == [1, 2]


def test_changing_lanes_frees_the_old_slot() -> None:
    layout = Layout()
    layout.place("a", "pods/")
    assert layout.place("a", "pods/worker") == 0
    assert layout.place("b", "pods/") == 0


@given(st.lists(st.tuples(KEYS, LANES)))
def test_the_same_arrivals_give_the_same_places(arrivals: list[tuple[str, str]]) -> None:
    layouts = (Layout(), Layout())
    for layout in layouts:
        for key, lane in arrivals:
            layout.place(key, lane)
    assert layouts[0].places() == layouts[1].places()


class LayoutMachine(RuleBasedStateMachine):
    """Things come, move and go in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.layout = Layout()
        self.before: dict[str, tuple[str, int]] = {}
        self.touched = ""

    @rule(key=KEYS, lane=LANES)
    def place(self, key: str, lane: str) -> None:
        self.before, self.touched = self.layout.places(), key
        known = self.before.get(key)
        slot = self.layout.place(key, lane)
        if known is not None and known[0] == lane:
            assert slot == known[1]

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        self.before, self.touched = self.layout.places(), key
        self.layout.remove(key)

    @invariant()
    def nobody_else_moved(self) -> None:
        now = self.layout.places()
        others = {key: place for key, place in self.before.items() if key != self.touched}
        assert {key: now[key] for key in others} == others

    @invariant()
    def places_are_unique_and_dense(self) -> None:
        places = list(self.layout.places().values())
        assert len(set(places)) == len(places)
        assert all(slot < 12 for _, slot in places)


TestLayoutMachine = LayoutMachine.TestCase
