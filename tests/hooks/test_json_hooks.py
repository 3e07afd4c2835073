"""Our entries in settings of JSON: nothing else changes, and they go out to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.errors import Refused
from teleclaude.hooks.hook_entries import Entries, command, is_ours
from teleclaude.hooks.hook_record import Inserted
from teleclaude.hooks.json_hooks import JsonHooks
from teleclaude.hooks.json_text import read_json
from tests.hooks.odd_texts import EVENTS, OURS, json_texts

SCRIPT = Path(OURS)
SWITCH = ("hooksConfig", "enabled")
ENTRIES: Entries = {
    event: {"hooks": [{"type": "command", "command": command(SCRIPT, "gemini", event)}]} for event in EVENTS
}


def hooks(text: str, *, comments: bool = True) -> JsonHooks:
    """A file's text."""
    return JsonHooks(text, SCRIPT, comments=comments, switch=SWITCH if comments else None)


def installed(text: str, *, comments: bool = True) -> tuple[str, Inserted]:
    """A text with the entries, and what was put in."""
    found = hooks(text, comments=comments)
    found.install(ENTRIES)
    return found.text, found.inserted("gemini", made_file=False)


def taken_out(text: str, inserted: Inserted | None, *, comments: bool = True) -> str:
    """A text without the entries."""
    found = hooks(text, comments=comments)
    found.uninstall(inserted)
    return found.text


def merged(data: dict[str, Any]) -> dict[str, Any]:
    """What a file says once the entries are in it."""
    events = data.get("hooks", {})
    more = {event: [*events.get(event, []), group] for event, group in ENTRIES.items()}
    return {**data, "hooks": {**events, **more}}


@given(json_texts(comments=False))
def test_what_others_wrote_stays_and_comes_back(text: str) -> None:
    """Whatever the formatting: all that was said is said, ours besides; and out again, it is the very same text."""
    new, inserted = installed(text, comments=False)
    assert read_json(new, comments=False).data == merged(read_json(text, comments=False).data)
    assert hooks(new, comments=False).has_all(ENTRIES)
    assert taken_out(new, inserted, comments=False) == text


@given(json_texts(comments=True))
def test_comments_stay_where_they_are(text: str) -> None:
    """With comments anywhere, and the switch that hooks need."""
    new, inserted = installed(text)
    expected = merged(read_json(text, comments=True).data)
    expected["hooksConfig"] = {**expected.get("hooksConfig", {}), "enabled": True}
    assert read_json(new, comments=True).data == expected
    assert taken_out(new, inserted) == text


@given(json_texts(comments=True), st.sampled_from(["first", "last"]))
def test_what_others_add_meanwhile_stays_too(text: str, place: str) -> None:
    """Ours go out from between what came later."""
    new, inserted = installed(text)
    data = read_json(new, comments=True).data
    theirs = {"hooks": [{"type": "command", "command": "theirs"}]}
    data["hooks"]["Stop"].insert(0 if place == "first" else 99, theirs)
    data["hooks"]["Newer"] = [theirs]
    left = json.loads(taken_out(json.dumps(data), inserted))
    assert theirs in left["hooks"]["Stop"]
    assert left["hooks"]["Newer"] == [theirs]
    handlers = [h for groups in left["hooks"].values() for group in groups for h in group.get("hooks", [])]
    assert not any(is_ours(handler, SCRIPT) for handler in handlers)
    assert {key: value for key, value in left.items() if key not in {"hooks", "hooksConfig"}} == {
        key: value for key, value in data.items() if key not in {"hooks", "hooksConfig"}
    }


def test_ours_go_out_of_a_group_that_somebody_put_them_into_with_others() -> None:
    """Each by itself."""
    text = json.dumps({"hooks": {"Stop": [{"hooks": [{"command": "x"}, {"command": f"{OURS} claude Stop"}]}]}})
    assert json.loads(taken_out(text, None, comments=False)) == {"hooks": {"Stop": [{"hooks": [{"command": "x"}]}]}}


def test_without_a_record_what_is_empty_without_ours_goes_with_them() -> None:
    """The state folder may be lost."""
    new, _ = installed('{"a": 1}', comments=False)
    assert taken_out(new, None, comments=False) == '{"a": 1}'


def test_what_is_written_again_looks_like_the_rest_of_the_file() -> None:
    """Its indentation and its line ends."""
    new, _ = installed('{\r\n\t"a": 1\r\n}\r\n', comments=False)
    assert new.startswith('{\r\n\t"a": 1,\r\n\t"hooks": {\r\n\t\t"Stop": [\r\n\t\t\t{')
    assert new.endswith("\r\n\t}\r\n}\r\n")
    assert new.count("\n") == new.count("\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "{",
        "[]",
        '"hooks"',
        '{"a": 1,}',
        '{"a": NaN}',
        "{'a': 1}",
        '{"hooks": []}',
        '{"hooks": {"Stop": {}}}',
        "[" * 100_000,
        '{"hooks": null}',
        '{"hooks": {"Stop": [], "Stop": {}}}',
    ],
)
def test_what_cannot_be_read_as_settings_is_refused(text: str) -> None:
    """Nothing begins anew from `{}`."""
    found = hooks(text, comments=False)
    with pytest.raises(Refused):
        found.install(ENTRIES)
    assert found.text == text


def test_comments_where_the_format_has_none_are_refused() -> None:
    """With the place."""
    with pytest.raises(Refused, match="line 2"):
        hooks('{\n// c\n"a": 1}', comments=False).install(ENTRIES)


def test_a_switch_that_the_user_turned_off_is_left_off() -> None:
    """And said."""
    with pytest.raises(Refused, match=r"hooksConfig\.enabled"):
        hooks('{"hooksConfig": {"enabled": false}}').install(ENTRIES)


def test_of_a_name_that_stands_twice_the_last_counts() -> None:
    """As it does for the agents."""
    new, inserted = installed('{"hooks": {"Stop": []}, "hooks": {}}', comments=False)
    assert read_json(new, comments=False).data == merged({})
    assert taken_out(new, inserted, comments=False) == '{"hooks": {"Stop": []}, "hooks": {}}'
