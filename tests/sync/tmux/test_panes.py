"""One look, read: whole or not at all, and no row spoils another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.errors import PeerError
from teleclaude.sync.tmux.imsg import Answer
from teleclaude.sync.tmux.panes import PaneReader, Peek

HEAD = b"<n!>77<n!>1700000000<n!>3.3a<n!>vm<n!>\n"
NUMBERS = [b"4242", b"0", b"", b"", b"1", b"1", b"2", b"1700000001", b"1700000002", b"1700000003", b"1", b"0"]


def row(pane: bytes = b"%1", texts: tuple[bytes, ...] = (b"/dev/pts/1", b"a", b"t", b"sh", b"/", b"", b"")) -> bytes:
    """A row as tmux prints it."""
    return b"<n>".join([b"$1", b"@1", pane, *NUMBERS, *texts]) + b"<n/>\n"


def read(output: bytes, *, ok: bool = True, error: str = "") -> list[str]:
    """Ids of the panes of an answer."""
    return [pane.id for pane in PaneReader("n").read(Answer(ok, output, error)).panes]


def test_command_matches_the_reader() -> None:
    """The question names as many fields as a row has, the head first."""
    words = PaneReader("n").command()
    assert words[0] == "display-message"
    assert words[-1].count("<n>") == row().count(b"<n>")


@given(
    st.binary(max_size=50).filter(lambda text: b"<n" not in text),
    st.binary(max_size=50).filter(lambda t: b"<n" not in t),
)
def test_any_bytes_in_any_text(title: bytes, path: bytes) -> None:
    """Whatever a title and a path hold, the row is read, next to its neighbours, as text that can be encoded."""
    texts = (b"/dev/pts/1", title, title, title, path, title, title)
    look = PaneReader("n").read(Answer(True, HEAD + row() + row(b"%2", texts) + row(b"%3")))
    assert [pane.id for pane in look.panes] == ["%1", "%2", "%3"]
    pane = look.panes[1]
    assert pane.path == path.decode("utf-8", "replace").replace("\0", "")
    for text in (pane.title, pane.command, pane.mark, pane.session_name):
        assert "\0" not in text.encode().decode()
    assert (pane.pid, pane.attached, pane.is_active, pane.is_dead) == (4242, 2, True, False)


def test_every_part_of_an_answer_is_no_answer() -> None:
    """An answer that is cut short anywhere, or empty, is refused: never fewer panes, never none."""
    whole = HEAD + row() + row(b"%2")
    assert read(whole) == ["%1", "%2"]
    ends = {len(HEAD), len(HEAD + row()), len(whole)}
    for end in range(len(whole)):
        if end not in ends:
            with pytest.raises(PeerError):
                read(whole[:end])


def test_errors_are_no_answer() -> None:
    """A complaint is no list; only that there is no session at all is an empty one."""
    for error in ("lost server", "no server running", ""):
        with pytest.raises(PeerError):
            read(HEAD, ok=False, error=error)
    with pytest.raises(PeerError):
        read(b"", ok=False, error="no current target")
    assert read(HEAD, ok=False, error="no current target") == []


def test_spoilt_row_spoils_no_other() -> None:
    """Rows with too few or too many fields are counted and left out."""
    look = PaneReader("n").read(Answer(True, HEAD + b"<n>x<n/>\n" + row() + row(texts=(b"",) * 10) + row(b"nopane")))
    assert ([pane.id for pane in look.panes], look.spoilt) == (["%1"], 3)


def test_unchanged_rows_are_read_once() -> None:
    """A row that is the same as in the last look is the same object."""
    reader = PaneReader("n")
    first = reader.read(Answer(True, HEAD + row() + row(b"%2"))).panes
    second = reader.read(Answer(True, HEAD + row() + row(b"%2", (b"", b"b", b"", b"", b"", b"", b"")))).panes
    assert second[0] is first[0]
    assert second[1] != first[1]


PEEK = b"<n>".join([b"%1", b"$1", b"0", b"", b"", b"1700000009", b"new title"]) + b"<n/>\n"
PEEK_ALL = b"<n>".join([b"%2", b"$1", b"1", b"3", b"", b"5", b"t", b"vim", b"/a\n"]) + b"<n/>\n"


def peek(output: bytes, *, ok: bool = True) -> list[Peek] | None:
    """What is read of an answer about some panes."""
    return PaneReader("n").read_peek(Answer(ok, output))


def test_peek() -> None:
    """Of some panes what changes is asked and read; what was not asked for stays as it was."""
    words = PaneReader("n").peek_command([("%1", False), ("%2", True)])
    assert [words[2:4], words[8:10]] == [["-t", "%1"], ["-t", "%2"]]
    assert (words[4].count("<n>"), words[10].count("<n>")) == (PEEK.count(b"<n>"), PEEK_ALL.count(b"<n>"))
    found = peek(PEEK + PEEK_ALL)
    assert found is not None
    pane = PaneReader("n").read(Answer(True, HEAD + row())).panes[0]
    now = found[0].applied_to(pane)
    assert (now.title, now.command, now.path, now.session_activity) == ("new title", "sh", "/", 1700000009)
    assert found[0].applied_to(now) is now
    ended = found[1].applied_to(pane)
    assert (ended.command, ended.path, ended.is_dead, ended.exit_status) == ("vim", "/a\n", True, 3)


def test_peek_that_is_not_whole_is_none() -> None:
    """An answer that is cut short, an error, and a pane that is gone, are no peek: nobody guesses."""
    for end in range(1, len(PEEK)):
        assert peek(PEEK_ALL + PEEK[:end]) is None
    assert peek(PEEK, ok=False) is None
    assert peek(PEEK + b"<n>" * 6 + b"<n/>\n") is None
