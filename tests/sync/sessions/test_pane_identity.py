"""Identities: stable, never doubled, whatever tmux shows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from teleclaude.sync.sessions.pane_identity import Mark, Marks, read_mark, write_commands
from teleclaude.sync.tmux.imsg import Answer
from teleclaude.sync.tmux.panes import Pane, PaneReader
from tests.sync.tmux.test_panes import HEAD, row

SAMPLE = PaneReader("n").read(Answer(True, HEAD + row())).panes[0]


def pane(name: str, mark: str = "") -> Pane:
    """A pane."""
    return replace(SAMPLE, id=name, mark=mark)


Shown = st.dictionaries(
    st.sampled_from(["%1", "%2", "%3", "%10"]),
    st.sampled_from(["", "junk", '{"id":"aaaa"}', '{"id":"bbbb","title":"t"}', "written"]),
)


@given(st.lists(Shown, max_size=8))
def test_ids_are_stable_and_never_doubled(looks: list[dict[str, str]]) -> None:
    """Look after look: no two panes share an id, and a pane that was seen keeps its own while tmux shows no other."""
    marks = Marks()
    written: dict[str, str] = {}
    before: dict[str, Mark] = {}
    for look in looks:
        panes = [pane(name, written.get(name, "") if text == "written" else text) for name, text in look.items()]
        found = marks.see(panes)
        assert found.keys() == look.keys()
        assert len({mark.id for mark in found.values()}) == len(found)
        for name, text in look.items():
            if text in {"", "junk"} and name in before:
                assert found[name] == before[name]
        written = dict(marks.unwritten())
        before = {name: mark for name, mark in {**before, **found}.items() if name in look}
        marks.keep(panes)


def test_written_marks_are_not_written_again() -> None:
    """What tmux shows is not written; what it does not show yet, or shows otherwise, is."""
    marks = Marks()
    mark = marks.see([pane("%1")])["%1"]
    assert marks.unwritten() == [("%1", mark.text())]
    assert marks.see([pane("%1", mark.text())]) == {"%1": mark}
    assert marks.unwritten() == []
    changed = marks.change(0, "%1", title="ü #(x)")
    assert marks.see([pane("%1", mark.text())]) == {"%1": changed}
    assert marks.unwritten() == [("%1", changed.text())]
    assert changed.text().isascii()
    assert "\n" not in changed.text()
    assert read_mark(changed.text()) == changed


def test_other_server_is_another_world() -> None:
    """Nothing is carried over to another server; what was changed on it before its first look is kept."""
    marks = Marks()
    marks.meet(1)
    old = marks.see([pane("%1")])["%1"]
    new = marks.change(2, "%1", title="new")
    assert new.id != old.id
    marks.meet(2)
    assert marks.see([pane("%1")]) == {"%1": new}


def test_held_panes_wait() -> None:
    """While a session is being started a new pane has no mark; those that are known do."""
    marks = Marks()
    known = marks.see([pane("%1")])["%1"]
    with marks.held():
        assert marks.see([pane("%1"), pane("%2"), pane("%3", '{"id":"cccc"}')]).keys() == {"%1", "%3"}
    assert marks.see([pane("%1"), pane("%2")])["%1"] == known


def test_what_is_gone_is_not_written() -> None:
    """A pane that ended before its mark was confirmed is not written again; nor one that no look ever shows."""
    marks = Marks()
    marks.see([pane("%1"), pane("%2")])
    marks.keep([pane("%2")])
    assert [name for name, _ in marks.unwritten()] == ["%2"]
    marks.change(0, "%3", title="just made")
    marks.keep([pane("%2")])  # this look may have begun before %3 was made
    assert [name for name, _ in marks.unwritten()] == ["%2", "%3"]
    marks.keep([pane("%2")])
    assert [name for name, _ in marks.unwritten()] == ["%2"]
    assert marks.get("%3") is None


def test_written_marks_of_panes_that_are_not_shown() -> None:
    """A pane that is no session's any more is not written for ever either."""
    marks = Marks()
    mark = marks.see([pane("%1")])["%1"]
    marks.see([])
    marks.keep([pane("%1", mark.text())])
    assert marks.unwritten() == []


def test_unknown_parts_of_a_mark_are_no_harm() -> None:
    """A mark that a newer version wrote is understood; one that is none is not."""
    assert read_mark('{"id":"aaaa","new":[1]}') == Mark(id="aaaa")
    for text in ("", "x", "[]", "{}", '{"id":1}', '{"id":""}', '{"id":"a b c d"}', '{"id":"aaaa","title":5}', "\udcff"):
        assert read_mark(text) is None


def test_write_commands_are_few_and_small() -> None:
    """300 marks are a few commands, none over the limit of a message."""
    unwritten = [(f"%{n}", Mark(id="0123456789abcdef", title="t" * 20).text()) for n in range(300)]
    commands = write_commands(unwritten)
    assert len(commands) <= 4
    assert all(sum(len(word) + 1 for word in command) <= 12_000 for command in commands)
    assert sum(command.count("set-option") for command in commands) == 300
    assert write_commands([]) == []
