"""The promise of the one idea, on every hop: losses, repetitions, delays and restarts hide and revive nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.replication.hops import HOPS, Hop, Rows

Steps = list[tuple[str, str, int]]
WEIGHTS = {"put": 4, "remove": 3, "deliver": 5, "lose": 2, "repeat": 1, "delay": 2, "restart": 1}
STEP = st.tuples(
    st.sampled_from([step for step, weight in WEIGHTS.items() for _ in range(weight)]),
    st.sampled_from("abc"),
    st.integers(0, 5),
)


class Witness:
    """Sees all that a reader shows, and knows all that its source had."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop
        self._had: list[Rows] = [{}]
        self._newest: Rows = {}  # stamp of each row that was ever shown
        self._shown: Rows = {}

    def look(self) -> None:
        """See that nothing went backwards, and nothing that was gone is there again."""
        if self._hop.rows != self._had[-1]:
            self._had.append(self._hop.rows)
        shown = self._hop.shown()
        for key, stamp in shown.items():
            newest = self._newest.get(key, 0)
            assert stamp >= newest, f"{key} went back from {newest} to {stamp}"
            assert stamp > newest or key in self._shown, f"{key} was gone and is there again"
        assert not self._hop.is_exact or shown in self._had, f"{shown} is not what the source ever had"
        self._newest |= shown
        self._shown = shown


def take(hop: Hop, step: str, key: str, number: int) -> None:
    """Take one step."""
    match step:
        case "put" | "remove":
            getattr(hop, step)(key)
        case "restart":
            hop.restart()
        case _:
            getattr(hop, step)(number)


@pytest.mark.parametrize("hop", HOPS)
@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=20, max_size=60))
def test_when_faults_end_the_reader_has_what_the_source_has(hop: type[Hop], steps: Steps) -> None:
    """Whatever happened on the way; and before that it shows nothing that is gone, and goes back nowhere."""
    here = hop()
    witness = Witness(here)
    for step in steps:
        take(here, *step)
        witness.look()
    here.heal()
    witness.look()
    assert here.shown() == here.rows
