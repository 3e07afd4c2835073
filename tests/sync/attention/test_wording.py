"""Words that are safe wherever they go, and say what matters."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.session_notice import NOTICE_STATES, SessionNotice
from teleclaude.sync.attention.wording import (
    as_json,
    fields_of,
    filled_in,
    sequence_of,
    terminal_bytes,
    without_markup,
    words_for,
)

ONE = SessionNotice(
    computer="raspi",
    session_id="ab12",
    state="waiting",
    title="fix the login",
    text="Bash: rm -rf build",
    agent="claude",
    project="/home/me/code/shop",
)


def test_one_says_who_and_what() -> None:
    """The session and what it does; then what is asked, and where."""
    (words,) = words_for([ONE])
    assert words.title == "◆ fix the login waits for an answer"
    assert words.text == "Bash: rm -rf build · claude on raspi, shop"
    bare = words_for([SessionNotice(computer="here", session_id="1", state="finished")])[0]
    assert bare[:2] == ("✓ a session finished", "session on here")


def test_many_are_one_summary() -> None:
    """How many of each, and the names of the most urgent."""
    notices = [
        SessionNotice(computer="here", session_id=str(n), state=NOTICE_STATES[n % 3], title=f"job {n}")
        for n in range(20)
    ]
    (words,) = words_for(notices)
    assert words.title == "20 sessions: 7 wait, 7 failed, 6 finished"
    assert words.text == "◆ job 0, ◆ job 3, ◆ job 6, ◆ job 9, ◆ job 12, and 15 more"
    assert words.state == "waiting"
    assert len(words_for(notices[:3])) == 3


@given(*[st.text()] * 4)
def test_no_text_can_act_on_a_terminal(title: str, text: str, agent: str, project: str) -> None:
    """Whatever a record holds, each sequence is one whole of its kind and nothing else."""
    notice = SessionNotice(
        computer="here", session_id="a1", state="error", title=title, text=text, agent=agent, project=project
    )
    for words in (words_for([notice])[0], words_for([notice] * 5)[0]):
        plain = r"[^\x00-\x1f\x7f-\x9f]*"
        assert re.fullmatch(rf"\x1b\]9; [◆✗✓5]{plain}\x07", terminal_bytes(words, "osc9").decode())
        assert re.fullmatch(
            r"\x1b\]777;notify;[^;\x00-\x1f]*;[^;\x00-\x1f]*\x07", terminal_bytes(words, "osc777").decode()
        )
        st99 = rf"\x1b\]99;i=[a-z0-9-]*:d=0;{plain}\x1b\\\x1b\]99;i=[a-z0-9-]*:p=body;{plain}\x1b\\"
        assert re.fullmatch(st99, terminal_bytes(words, "osc99").decode())
        assert terminal_bytes(words, "bell") == b"\x07"
        assert not re.search("[<>]", without_markup(words.text))


@pytest.mark.parametrize(
    ("term", "term_type", "sequence"),
    [
        ("xterm-kitty", "", "osc99"),
        ("xterm-256color", "iTerm2 3.5.0", "osc9"),
        ("xterm-256color", "foot(1.16.2)", "osc777"),
        ("xterm-ghostty", "", "osc777"),
        ("xterm-256color", "XTerm(388)", "bell"),
        ("linux", "", "bell"),
        ("", "", "bell"),
    ],
)
def test_a_terminal_is_sent_what_it_knows(term: str, term_type: str, sequence: str) -> None:
    """By what it calls itself; one that is not known gets a bell, which every terminal has."""
    assert sequence_of(term, term_type) == sequence


def test_a_template_is_filled_once() -> None:
    """What is filled in is data: its braces mean nothing, and other braces stay."""
    fields = fields_of(words_for([ONE])[0]) | {"title": "{text}"}
    made = filled_in({"chat_id": 7, "text": "{title} {nope} {session}", "list": ["{agent}"], "on": True}, fields)
    assert made == {"chat_id": 7, "text": "{text} {nope} ab12", "list": ["claude"], "on": True}
    assert fields_of(words_for([ONE] * 4)[0])["session"] == ""
    assert json.loads(as_json(words_for([ONE])[0]))["notices"][0]["project"] == "/home/me/code/shop"
