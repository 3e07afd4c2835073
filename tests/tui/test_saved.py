"""What is kept over a restart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teleclaude.tui.saved import FILE_NAME, Saved, load, save
from teleclaude.tui.state import Save
from tests.tui.driving import Driver, alpha, work

KEPT = Saved(view="preparation", opened=(("sessions", "computer", "raspi"),), selected={"sessions": ("computer", "x")})


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    """View, open nodes and selection survive."""
    folder = tmp_path / "state"
    save(folder, KEPT)
    assert load(folder) == (KEPT, "")
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_nothing_kept_is_no_error(tmp_path: Path) -> None:
    """The first start has defaults, and nothing to say."""
    assert load(tmp_path) == (Saved(), "")


@pytest.mark.parametrize("junk", [b"", b"{", b'{"view": 3}', b"\xff\xfe", b'{"opened": [[1]]}', b"[" * 5000])
def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path, junk: bytes) -> None:
    """A file that cannot be read costs the saved view, never the start; it is kept for who wants to look."""
    (tmp_path / FILE_NAME).write_bytes(junk)
    found, note = load(tmp_path)
    assert found == Saved()
    assert "set aside" in note
    assert (tmp_path / "tui.broken").read_bytes() == junk
    assert load(tmp_path) == (Saved(), "")


def test_a_crash_amid_a_write_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the new file is whole, the old one stands."""
    save(tmp_path, KEPT)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, Saved())
    monkeypatch.undo()
    assert load(tmp_path) == (KEPT, "")
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_the_view_is_kept_when_it_changes_and_comes_back_with_the_data() -> None:
    """Opening, closing and switching are kept; a new start shows the same, its selection once the row is there."""
    driver = Driver()
    driver.connect()
    driver.load("here", [alpha(), work("a", "one"), work("b", "two")])
    driver.press("g", "j", "j", "j")
    assert driver.selected() == "b"
    (effect,) = [e for e in driver.press("tab") if isinstance(e, Save)]
    assert effect.saved.view == "preparation"
    driver.press("tab")
    driver.press("h", "h")
    kept = [e.saved for e in driver.effects if isinstance(e, Save)][-1]
    assert ("sessions", "project", "here", "/home/me/code/alpha") in kept.closed
    again = Driver(saved=Saved(selected={"sessions": ("session", "here", "b")}))
    again.connect()
    again.load("here", [alpha(), work("a", "one"), work("b", "two")])
    assert again.selected() == "b"
