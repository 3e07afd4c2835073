"""Key file, join string, and changes to the user's settings."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.cli.config_file import change, changed
from teleclaude.core.errors import InvalidField, Refused, SettingsError
from teleclaude.core.paths import Places
from teleclaude.sync.fleet.keyring import (
    Invitation,
    KeyRing,
    join_string,
    key_file,
    keys_now,
    load_ring,
    new_key,
    read_join_string,
    save_ring,
)

INVITATION = Invitation("rediss://user:pässword@redis.lan:6380/1", "teleclaude:", True, b"k" * 32, "-----BEGIN")


def test_a_join_string_says_all() -> None:
    """What one computer invites to is what the next one reads, also when a mail program broke the line."""
    text = join_string(INVITATION)
    assert read_join_string(text) == INVITATION
    assert read_join_string(f"  {text[:40]}\n   {text[40:]}\n") == INVITATION
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), "one word in any shell"


@given(st.integers(0, 200), st.sampled_from("AZaz09-_ !"))
def test_a_damaged_join_string_is_told_as_that(place: int, char: str) -> None:
    """A string that was cut off or changed is refused in a sentence that does not show it."""
    text = join_string(INVITATION)
    place = min(place, len(text) - 1)
    damaged = text[:place] + char + text[place + 1 :]
    with pytest.raises(InvalidField, match="is not one, or was cut off"):
        read_join_string(text[:place])
    if damaged.replace(" ", "") != text:
        with pytest.raises(InvalidField, match="is not one, or was cut off"):
            read_join_string(damaged)


def test_the_key_file_is_the_owners_alone(tmp_path: Path) -> None:
    """It is written 0600; one that others can read, or that is none, is refused with what to do."""
    place = Places(tmp_path, tmp_path, tmp_path)
    assert load_ring(place) is None
    save_ring(place, KeyRing(b"k" * 32))
    assert stat.S_IMODE(key_file(place).stat().st_mode) == 0o600
    assert keys_now(place) == [b"k" * 32]
    key_file(place).chmod(0o644)
    with pytest.raises(Refused, match="can be read by others"):
        load_ring(place)
    key_file(place).chmod(0o600)
    key_file(place).write_bytes(b"{}")
    with pytest.raises(Refused, match="not a key file"):
        load_ring(place)
    key_file(place).write_text('{"key": "aGk="}')
    with pytest.raises(Refused, match="wrong size"):
        load_ring(place)


def test_a_replaced_key_opens_for_its_grace() -> None:
    """After a change of keys the new one seals, and the old ones open until their time."""
    first, second, third = new_key(), new_key(), new_key()
    ring = KeyRing(first).replaced(second, 1000.0, 100.0).replaced(third, 1050.0, 100.0)
    assert ring.opening(1060.0) == [third, second, first]
    assert ring.opening(1100.0) == [third, second]
    assert ring.opening(1150.0) == [third]
    assert ring.replaced(second, 1060.0, 50.0).opening(1060.0) == [second, third, first]


def test_without_grace_no_older_key_opens_anything() -> None:
    """After a theft all keys that were are gone, also those that had some grace left."""
    first, second, third = new_key(), new_key(), new_key()
    ring = KeyRing(first).replaced(second, 1000.0, 100.0).replaced(third, 1050.0)
    assert ring.opening(1050.0) == [third]


CONFIG = """# my settings, by hand
[computer]
name = "a"   # short

[[projects.list]]
path = "~/notes"

[redis]
url = "redis://old"
prefix = "p:"
"""


def test_other_settings_stay_as_they_are() -> None:
    """Only the keys that are meant change; comments, order and all else stay, byte for byte."""
    text = changed(CONFIG, {"redis.url": "redis://new", "fleet.embedded": "127.0.0.1:1"})
    assert text.startswith(CONFIG.partition("[redis]")[0])
    assert tomllib.loads(text)["redis"] == {"url": "redis://new", "prefix": "p:"}
    assert tomllib.loads(text)["fleet"] == {"embedded": "127.0.0.1:1"}
    back = changed(text, {"redis.url": None, "redis.prefix": None, "fleet.embedded": None})
    assert back.strip() == CONFIG.partition("[redis]")[0].strip()


def test_nothing_is_written_into_settings_that_are_wrong(tmp_path: Path) -> None:
    """A file that cannot be read stays untouched, and the error names what is wrong with it."""
    path = tmp_path / "config.toml"
    for wrong in ("[redis\n", "[redis]\nurll = 'x'\n"):
        path.write_text(wrong)
        with pytest.raises(SettingsError):
            change(path, {"redis.url": "redis://new"})
        assert path.read_text() == wrong


def test_a_linked_settings_file_stays_a_link(tmp_path: Path) -> None:
    """Who keeps the settings in a repository of their own has the change there, and it is 0600."""
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "t.toml", tmp_path / "config.toml"
    real.write_text('[computer]\nname = "a"\n')
    real.chmod(0o644)
    link.symlink_to(real)
    change(link, {"redis.url": "redis://:secret@x"})
    assert link.is_symlink()
    assert "secret" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
