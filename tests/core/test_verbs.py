"""The table of verbs: limits by field, rights, and a new verb that is found wherever verbs are."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from teleclaude.core import errors
from teleclaude.core.verbs import (
    TEXT_LIMIT,
    VERBS,
    Args,
    End,
    Keys,
    Message,
    Output,
    Refresh,
    Rename,
    Start,
    VerbArgs,
    check,
    right_of,
    rights_of,
    verb_name,
)


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (Start(project="", agent="claude"), "project"),
        (Start(project="/a\0b", agent="claude"), "project"),
        (Start(project="/a", agent=""), "agent"),
        (Start(project="/a", agent="claude", title="x" * 129), "title"),
        (Start(project="/a", agent="claude", message="x" * (TEXT_LIMIT + 1)), "message"),
        (Message(session_id="", text="x"), "session_id"),
        (Message(session_id="ab", text=""), "text"),
        (Message(session_id="ab", text="\ud800"), "text"),
        (Message(session_id="ab", text="é" * (TEXT_LIMIT // 2 + 1)), "text"),
        (Rename(session_id="ab", title=""), "title"),
        (Keys(session_id="ab", keys=[]), "keys"),
        (Keys(session_id="ab", keys=["x"] * 65), "keys"),
        (Keys(session_id="ab", keys=["x" * 33]), "keys[0]"),
        (End(session_id="../x"), "session_id"),
        (Start(project="/a", agent="claude", thinking_mode="x" * 129), "thinking_mode"),
        (Output(session_id="ab", before=-1), "before"),
        (Output(session_id="ab", lines=0), "lines"),
        (Output(session_id="ab", lines=2**70), "lines"),
        (End(session_id="x" * 129), "session_id"),
    ],
)
def test_what_is_over_a_limit_is_refused_by_field(args: Args, field: str) -> None:
    """The error names the field that is wrong."""
    with pytest.raises(errors.InvalidField) as caught:
        check(args)
    assert caught.value.field == field


def test_the_largest_message_is_taken() -> None:
    """256 KiB of any text is within the limit."""
    check(Message(session_id="ab", text="é" * (TEXT_LIMIT // 2)))


def test_the_error_says_what_is_wrong_in_plain_words() -> None:
    """No regular expression and no type of a library in what a person reads."""
    told = {
        Rename(session_id="ab", title=""): "title: must not be empty",
        Rename(session_id="ab", title="x" * 129): "title: must be at most 128 characters",
        Rename(session_id="ab", title="a\0b"): "title: must not hold NUL",
        End(session_id="a b"): "session_id: must be an id or its beginning: letters, digits, `-` and `_`",
        Output(session_id="ab", lines=0): "lines: must be int >= 1",
    }
    for args, words in told.items():
        with pytest.raises(errors.InvalidField) as caught:
            check(args)
        assert caught.value.message == words


def test_every_verb_is_read_from_a_wire() -> None:
    """What is in the table is what a request can hold, by its name, and nothing else."""
    assert {kind.__struct_config__.tag for kind in get_args(Args)} == set(VERBS)
    assert {verb_name(args) for args in (Refresh(), End(session_id="ab"))} == {"refresh", "end"}


def test_rights() -> None:
    """Each verb needs its right, and a start that brings a message that of a message too."""
    assert {name: right_of(name) for name in VERBS} == {
        "start": "start",
        "message": "message",
        "keys": "message",
        "approve": "approve",
        "rename": "message",
        "restore": "start",
        "forget": "end",
        "output": "view",
        "explain": "view",
        "notify": "view",
        "refresh": "view",
        "end": "end",
    }
    assert rights_of(Start(project="/p", agent="shell")) == ("start",)
    assert rights_of(Start(project="/p", agent="shell", message="rm")) == ("start", "message")


def test_arguments_are_structs_that_can_be_compared() -> None:
    """Every verb's arguments are of one base, frozen."""
    for verb in VERBS.values():
        assert issubclass(verb.args, VerbArgs)
        assert verb.args.__struct_config__.frozen
        assert msgspec.json.schema(verb.args)
