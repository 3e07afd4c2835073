"""Where things are, and that they are ours alone."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from teleclaude.core.errors import InvalidField, Refused
from teleclaude.core.files import private_folder, unlink_socket, write_atomic
from teleclaude.core.paths import places


def test_the_environment_moves_everything() -> None:
    """Four variables place a daemon, so that several live side by side."""
    found = places(
        {
            "TELECLAUDE_CONFIG_DIR": "/a",
            "TELECLAUDE_STATE_DIR": "/b",
            "TELECLAUDE_RUNTIME_DIR": "/c",
            "TELECLAUDE_TMUX_SOCKET": "work",
        }
    )
    assert (found.settings_file, found.log_file, found.api_socket) == (
        Path("/a/config.toml"), Path("/b/daemon.log"), Path("/c/api.sock"),
    )  # fmt: skip
    assert found.tmux_socket == "work"


def test_without_it_the_runtime_folder_is_the_users() -> None:
    """XDG_RUNTIME_DIR, or a folder in /tmp that carries the user's id."""
    assert places({"XDG_RUNTIME_DIR": "/run/user/7"}).runtime == Path("/run/user/7/teleclaude")
    runtime = places({"XDG_RUNTIME_DIR": "relative"}).runtime
    usual = Path(f"/run/user/{os.geteuid()}")
    assert runtime == (usual / "teleclaude" if usual.is_dir() else Path(f"/tmp/teleclaude-{os.geteuid()}"))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TELECLAUDE_STATE_DIR", "relative", "absolute path"),
        ("TELECLAUDE_RUNTIME_DIR", "/" + "x" * 100, "too long for a unix socket"),
        ("TELECLAUDE_TMUX_SOCKET", "/tmp/x", "must be a name"),
        ("TELECLAUDE_TMUX_SOCKET", "..", "must be a name"),
        ("TELECLAUDE_TMUX_SOCKET", "a;b", "must be a name"),
    ],
)
def test_a_wrong_place_is_refused_by_name(name: str, value: str, says: str) -> None:
    """The error names the variable and the reason."""
    with pytest.raises(InvalidField, match=says) as caught:
        places({name: value})
    assert caught.value.field == name


def test_a_private_folder_is_made_or_made_private(tmp_path: Path) -> None:
    """The folder is 0700 after, whatever it was before."""
    made = private_folder(tmp_path / "new" / "deep")
    loose = tmp_path / "loose"
    loose.mkdir(mode=0o755)
    for folder in (made, private_folder(loose)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_planted_link_or_file_is_refused(tmp_path: Path) -> None:
    """Somebody else's link in our place is not followed."""
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(Refused, match="must be a folder"):
            private_folder(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """A folder that another user made beforehand is not used."""
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(Refused, match="belongs to user 12345"):
        private_folder(tmp_path / "theirs")


def test_only_a_socket_of_ours_is_unlinked(tmp_path: Path) -> None:
    """An old socket goes; a link or a file in its place stays and is told."""
    path = tmp_path / "s"
    unlink_socket(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(Refused, match="in the way"):
        unlink_socket(tmp_path / "link")
    unlink_socket(path)
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(Refused, match="in the way"):
        unlink_socket(path)
    assert path.read_text() == "precious"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """Old or new, never a mixture, and no litter."""
    path = tmp_path / "f"
    write_atomic(path, b"old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(TypeError):
        write_atomic(path, "no bytes")  # type: ignore[arg-type]  # that is the fault under test
    assert path.read_bytes() == b"old"
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["f"]


def test_a_runtime_folder_that_others_could_have_filled_is_not_looked_into(tmp_path: Path) -> None:
    """A link, a file, or a folder that others can write to is refused before anything in it is read."""
    folder = tmp_path / "run"
    env = {f"TELECLAUDE_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "STATE")}
    env["TELECLAUDE_RUNTIME_DIR"] = str(folder)
    assert places(env).runtime == folder  # not there: nothing is wrong
    folder.mkdir()
    folder.chmod(0o755)
    assert places(env).runtime == folder
    folder.chmod(0o775)
    with pytest.raises(Refused, match="others can write to"):
        places(env)
    folder.chmod(0o700)
    folder.rename(tmp_path / "real")
    folder.symlink_to(tmp_path / "real")
    with pytest.raises(Refused, match="must be a folder"):
        places(env)
