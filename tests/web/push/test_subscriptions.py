"""What clients say: strict JSON, and what it means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from teleclaude.core.errors import InvalidField, TooLarge, UserError
from teleclaude.core.records import Scope
from teleclaude.core.verbs import VERBS
from teleclaude.web.api.verb_bodies import body_type
from teleclaude.web.http.json_body import read_json
from teleclaude.web.push.subscriptions import Selection, added, parse, removed, selections, selections_of

START_BODY = body_type(VERBS["start"])
EVERYTHING: frozenset[Scope] = frozenset({("*", "sessions"), ("*", "projects"), ("*", "todos")})


def test_short_forms_mean_every_computer() -> None:
    """`sessions` and `preparation` are the long forms for all computers."""
    message = parse('{"subscribe": ["sessions", "preparation"]}')
    assert added(frozenset(), selections(message.subscribe)) == EVERYTHING


def test_a_subscription_can_be_taken_back_in_part() -> None:
    """Unsubscribing takes exactly what it names."""
    message = parse('{"unsubscribe": {"computer": "*", "types": ["todos"]}}')
    left = removed(EVERYTHING, selections(message.unsubscribe))
    assert left == {("*", "sessions"), ("*", "projects")}
    assert selections_of(left) == [Selection("*", ["projects", "sessions"])]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("[]", "body"),
        ("{}", "body"),
        ("1", "body"),
        ('{"subscribe": "everything"}', "subscribe"),
        ('{"subscribe": 5}', "subscribe"),
        ('{"subscribe": {"computer": 5, "types": ["sessions"]}}', "subscribe.computer"),
        ('{"subscribe": {"computer": "", "types": ["sessions"]}}', "subscribe.computer"),
        ('{"subscribe": {"computer": "%s", "types": ["sessions"]}}' % ("x" * 10_000), "subscribe.computer"),
        ('{"subscribe": {"computer": "a", "types": []}}', "subscribe.types"),
        ('{"subscribe": {"computer": "a", "types": ["computers"]}}', "subscribe.types[0]"),
        ('{"subscribe": {"computer": "a"}}', "subscribe.types"),
        ('{"subscribe": "sessions", "x": 1}', "x"),
        ('{"subscribe": "sessions", "subscribe": "preparation"}', "subscribe"),
        ('{"resume": {"epoch": "e", "version": 1180591620717411303424}}', "resume.version"),
        ('{"resume": {"epoch": "e", "version": -1}}', "resume.version"),
        ('{"resume": {"epoch": "e", "version": "1"}}', "resume.version"),
        ('{"refresh": false}', "refresh"),
        ('{"watch": "s"}', "watch"),
    ],
)
def test_a_wrong_message_names_its_field(said: str, field: str) -> None:
    """The client is told what is wrong, not only that something is."""
    with pytest.raises(InvalidField) as caught:
        parse(said)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{",
        '{"resume": {"epoch": "e", "version": NaN}}',
        '{"watch": {"session_id": "\\ud800"}}',
        '{"watch": {"session_id": "\\ud800x"}}',
        '{"subscribe": ' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"x": ' + '{"x":' * 10_000 + "1" + "}" * 10_000 + "}",
        b'{"watch": {"session_id": "\xff"}}',
        "\x80\x04\x95",
    ],
)
def test_what_is_no_json_is_refused(said: str | bytes) -> None:
    """Junk is a clear error, however deep."""
    with pytest.raises(UserError):
        parse(said)


def test_subscriptions_are_bounded() -> None:
    """A client cannot make the hub remember any number of names."""
    many = [Selection(f"c{number}", ["sessions"]) for number in range(257)]
    with pytest.raises(TooLarge):
        added(frozenset(), many)
    assert len(added(frozenset(), many[1:])) == 256


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"agent": None}, "agent"),
        ({"agent": 5}, "agent"),
        ({"title": ["x"]}, "title"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_a_wrong_body_names_its_field(change: dict[str, Any], field: str) -> None:
    """Also where a number is given and text is due."""
    body = {"computer": "here", "project": "/p", "agent": "claude"} | change
    with pytest.raises(InvalidField) as caught:
        read_json(msgspec.json.Decoder(START_BODY), msgspec.json.encode(body))
    assert caught.value.field == field


def test_a_missing_field_is_named() -> None:
    """The first that is missing."""
    with pytest.raises(InvalidField) as caught:
        read_json(msgspec.json.Decoder(START_BODY), b'{"computer": "here", "agent": "x"}')
    assert caught.value.field == "project"
