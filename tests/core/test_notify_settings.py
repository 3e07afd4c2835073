"""`[[notify]]`: defaults that work, and errors that name what is wrong and show no secret."""

from __future__ import annotations

import pytest

from teleclaude.core.errors import SettingsError
from teleclaude.core.notify_settings import DEFAULT_RULES
from teleclaude.core.settings import parse


def test_who_says_nothing_is_told_as_suits_the_place() -> None:
    """One rule, for everything; an empty list turns it off."""
    assert parse("").notify == DEFAULT_RULES
    assert [rule.by for rule in DEFAULT_RULES] == ["auto"]
    assert parse("notify = []").notify == ()


def test_every_way_is_read() -> None:
    """As README shows them."""
    found = parse(
        """
        [[notify]]
        by = "desktop"
        states = ["waiting", "error"]
        projects = ["~/code/shop"]
        agents = ["claude"]
        quiet = ["22:00-07:00"]
        [[notify]]
        by = "webhook"
        url = "@~/.config/teleclaude/ntfy-url"
        headers = { Title = "{title}" }
        json = { chat_id = 7, text = "{title}" }
        [[notify]]
        by = "command"
        command = ["say", "look"]
        """
    ).notify
    assert [rule.by for rule in found] == ["desktop", "webhook", "command"]
    assert found[1].json == {"chat_id": 7, "text": "{title}"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('by = "smoke"', "`notify[0].by` must be one of auto, terminal, desktop, command, webhook"),
        ('by = "auto"\nstates = ["idle"]', "`notify[0].states[0]` must be one of waiting, error, finished"),
        ('by = "auto"\nprojets = []', "unknown key `notify.0.projets`; did you mean `projects`?"),
        ('by = "auto"\nquiet = ["10-11"]', "`notify[0].quiet` must be times of the day"),
        ('by = "auto"\nquiet = ["24:00-07:00"]', "times of the day"),
        ('by = "command"', "`notify[0].command` is missing"),
        ('by = "webhook"', "`notify[0].url` is missing"),
        ('by = "webhook"\nurl = "ftp://x/secret"', "`notify[0].url` must be http"),
        ('by = "webhook"\nurl = "https://me:secret@x/"', "`notify[0].url` must be http"),
        ('by = "webhook"\nurl = "https://x/"\nheaders = { "a b" = "secret" }', "`notify[0].headers` must be"),
        ('by = "webhook"\nurl = "https://x/"\nheaders = { A = "secret\\r\\nB: c" }', "`notify[0].headers` must be"),
        ("states = []", "missing required field"),
    ],
)
def test_what_is_wrong_is_told(text: str, says: str) -> None:
    """The key, the reason, and what is allowed; never what may be a secret."""
    with pytest.raises(SettingsError) as error:
        parse(f"[[notify]]\n{text}\n")
    assert says in error.value.message
    assert "secret" not in error.value.message
