"""What is known, folded from what was told."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from teleclaude.client.events import Changed, Connected, Message, Replaced
from teleclaude.client.model import Model, fold
from teleclaude.core.records import Computer, Kind, Record, key_of
from tests.make import computer, project, session, todo

HELLO = Connected(epoch="e1", version=1, computer="here")


def replaced(kind: Kind, records: list[Record], version: int = 1, computer: str = "here", epoch: str = "e1") -> Message:
    """A snapshot."""
    return Replaced(epoch=epoch, version=version, kind=kind, computer=computer, records=records)


def put(kind: Kind, record: Record, version: int, owner: str = "here", epoch: str = "e1") -> Message:
    """A change that puts a record."""
    return Changed(epoch=epoch, version=version, kind=kind, computer=owner, puts=[record])


def gone(kind: Kind, key: str, version: int, owner: str = "here") -> Message:
    """A change that removes one."""
    return Changed(epoch="e1", version=version, kind=kind, computer=owner, removes=[key])


def known(*messages: Message) -> Model:
    """A model that has had a hello, two computers and these."""
    computers: list[Record] = [Computer(name="here", is_local=True), computer("raspi")]
    return fold(Model(), [HELLO, replaced("computers", computers, computer="*"), *messages])


def test_a_snapshot_replaces_what_its_owner_had_and_nothing_else() -> None:
    """Absent from a snapshot means gone; other computers and kinds are left alone."""
    model = known(
        replaced("sessions", [session("a"), session("b")]),
        replaced("sessions", [session("r", "raspi")], computer="raspi"),
        replaced("projects", [project()]),
        replaced("sessions", [session("b")], 5),
    )
    assert set(model.machines["here"].sessions) == {"b"}
    assert set(model.machines["raspi"].sessions) == {"r"}
    assert set(model.machines["here"].projects) == {"/code/a"}


def test_a_late_change_never_brings_back_what_a_snapshot_left_out() -> None:
    """A change older than the snapshot changes nothing."""
    model = known(replaced("sessions", [session("b")], 9), put("sessions", session("a"), 4))
    assert set(model.machines["here"].sessions) == {"b"}


def test_versions_never_go_backwards() -> None:
    """Neither an older change nor an older snapshot replaces a newer state."""
    model = known(
        replaced("sessions", [session("a", title="old")], 2),
        put("sessions", session("a", title="new"), 7),
        put("sessions", session("a", title="older"), 6),
        replaced("sessions", [], 6),
    )
    assert model.machines["here"].sessions["a"].title == "new"


def test_all_changes_of_a_resume_are_taken_though_they_share_a_version() -> None:
    """The events of a resume all carry the present version; each is a whole record, and each counts."""
    model = known(
        replaced("sessions", [session("a")], 2), put("sessions", session("b"), 9), put("sessions", session("c"), 9)
    )
    assert set(model.machines["here"].sessions) == {"a", "b", "c"}


def test_a_change_without_a_snapshot_is_left_out() -> None:
    """Nobody guesses: of a scope that had no snapshot in this epoch, changes are not taken."""
    model = known(put("sessions", session("a"), 3))
    assert not model.machines["here"].sessions
    other = known(replaced("sessions", []), put("sessions", session("a"), 3, epoch="e0"))
    assert not other.machines["here"].sessions


def test_a_new_epoch_keeps_the_last_tree_until_its_snapshots_come() -> None:
    """After a restart of the cache the view does not go blank, and takes lower versions of the new epoch."""
    model = known(replaced("sessions", [session("a")], 900))
    model = fold(model, [Connected(epoch="e2", version=1, computer="here")])
    assert set(model.machines["here"].sessions) == {"a"}
    model = fold(model, [put("sessions", session("x"), 2, epoch="e2")])
    assert set(model.machines["here"].sessions) == {"a"}
    model = fold(model, [replaced("sessions", [session("b")], 3, epoch="e2")])
    assert set(model.machines["here"].sessions) == {"b"}


def test_a_computer_that_is_forgotten_takes_its_records_with_it() -> None:
    """A computer that is removed, or missing from the computers, is gone with all that it owned."""
    model = known(
        replaced("sessions", [session("r", "raspi")], computer="raspi"), gone("computers", "raspi", 4, "raspi")
    )
    assert [machine.name for machine in model.shown] == ["here"]
    assert not any(machine.sessions for machine in model.machines.values())


def test_a_computer_that_comes_back_is_still_followed() -> None:
    """Who follows a computer's sessions sees those that are told after it was away, and none from before."""
    model = known(
        replaced("sessions", [session("r", "raspi")], computer="raspi"),
        gone("computers", "raspi", 4, "raspi"),
        put("computers", computer("raspi"), 5, "raspi"),
        put("sessions", session("z", "raspi"), 6, "raspi"),
    )
    assert [machine.name for machine in model.shown] == ["here", "raspi"]
    assert set(model.machines["raspi"].sessions) == {"z"}


def test_todos_of_one_project_are_replaced_without_touching_the_others() -> None:
    """An update of a project's todos says all of that project, and of that project only."""
    other = todo("t9", path="/code/ab")
    changed = Changed(epoch="e1", version=5, kind="todos", computer="here", puts=[todo("t2")], project="/code/a")
    model = known(replaced("todos", [todo("t1"), todo("t2"), other]), changed)
    assert set(model.machines["here"].todos) == {"/code/a\0t2", "/code/ab\0t9"}


def test_every_computer_at_once_is_replaced_as_a_whole() -> None:
    """The short forms mean every computer: one that is not in the snapshot has nothing any more."""
    model = known(
        replaced("sessions", [session("a"), session("r", "raspi")], 2, "*"),
        replaced("sessions", [session("a")], 3, "*"),
    )
    assert not model.machines["raspi"].sessions
    model = fold(model, [put("sessions", session("n", "new"), 4, "new")])
    assert set(model.machines["new"].sessions) == {"n"}


def test_folding_leaves_the_model_before_alone() -> None:
    """A model is a value: whoever holds the old one sees the old state."""
    before = known(replaced("sessions", [session("a")]))
    after = fold(before, [put("sessions", session("b"), 3), gone("sessions", "a", 4)])
    assert set(before.machines["here"].sessions) == {"a"}
    assert set(after.machines["here"].sessions) == {"b"}
    assert before.machines["raspi"] is after.machines["raspi"]


def test_what_changes_nothing_gives_the_same_model() -> None:
    """No change, no new model."""
    model = known()
    assert fold(model, [HELLO]) is model
    assert fold(model, [put("sessions", session("a"), 0, epoch="other")]) is model


def test_the_shape_changes_with_the_rows_and_not_with_their_words() -> None:
    """A new status costs no new tree; a new session, a move to another folder, a new project do."""
    model = known(replaced("sessions", [session("a")]), replaced("projects", [project()]))

    def shape(*messages: Message) -> int:
        return fold(model, messages).machines["here"].shape

    same = model.machines["here"].shape
    assert shape(put("sessions", session("a", title="other", status="working"), 3)) == same
    assert shape(replaced("sessions", [session("a", status="error")], 3)) == same
    assert shape(put("sessions", session("b"), 3)) != same
    assert shape(gone("sessions", "a", 3)) != same
    assert shape(replaced("projects", [project(), project("/code/b")], 3)) != same
    moved: Any = {"session_id": "a", "computer": "here", "cwd": "/else", "tmux": session().tmux}
    assert shape(put("sessions", type(session())(**moved), 3)) != same


def test_any_split_of_the_same_messages_gives_the_same_model() -> None:
    """However messages are gathered into batches, what is known in the end is the same."""
    draw = random.Random(7)
    messages: list[Message] = [HELLO, replaced("computers", [computer("raspi")], computer="*")]
    expected: dict[str, Record] = {}
    messages.append(replaced("sessions", [], 1, "raspi"))
    for version in range(2, 300):
        record = session(f"s{draw.randrange(20)}", "raspi", title=str(version))
        if draw.random() < 0.3:
            expected.pop(key_of(record), None)
            messages.append(gone("sessions", key_of(record), version, "raspi"))
        else:
            expected[key_of(record)] = record
            messages.append(put("sessions", record, version, "raspi"))
    for size in (1, 3, 1000):
        model = Model()
        for start in range(0, len(messages), size):
            model = fold(model, messages[start : start + size])
        assert dict(model.machines["raspi"].sessions) == expected


def test_sessions_are_counted_as_the_rows_are() -> None:
    """The counts of a computer's rows follow each snapshot, change and removal, and go with the computer."""
    randomly = random.Random(5)
    model = known(replaced("sessions", [session(key, "raspi") for key in "abc"], computer="raspi"))
    for version in range(2, 200):
        key, status = randomly.choice("abcde"), randomly.choice(["idle", "working", "error"])
        message = (
            put("sessions", session(key, "raspi", status=status), version, "raspi")
            if randomly.random() < 0.7
            else gone("sessions", key, version, "raspi")
        )
        model = fold(model, [message])
        machine = model.machines["raspi"]
        assert machine.row_counts == Counter(found.status for found in machine.sessions.values())
    model = fold(model, [replaced("sessions", [session("z", "raspi")], 300, "raspi")])
    assert model.machines["raspi"].row_counts == {"idle": 1}
