"""Projects for a loop that must not hang: whatever does not answer, the rest goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teleclaude.core.settings import ProjectEntry, ProjectSettings
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.projects import project_service
from teleclaude.sync.projects.progress import place_of
from teleclaude.sync.projects.project_service import ProjectService
from tests.dead_mount import DeadMount, can_mount
from tests.sync.projects.test_roots import make_repository
from tests.wait import until


class Loop:
    """What the loop does with its projects; it must come around whatever happens."""

    def __init__(self, *, roots: tuple[str, ...] = (), entries: tuple[ProjectEntry, ...] = ()) -> None:
        self.service = ProjectService("here", ProjectSettings(roots=roots, list=entries), ThreadGroup())
        self.changes = 0
        self.cwds: list[str] = []
        self.longest = 0.0
        self.service.start(self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def turn(self) -> dict[str, str]:
        """One turn; the branch of each project."""
        begin = time.monotonic()
        self.service.check(begin)
        view = self.service.view(self.cwds)
        self.longest = max(self.longest, time.monotonic() - begin)
        return {Path(project.path).name: project.branch for project in view.projects} if view else {}

    @property
    def reason(self) -> str:
        """What a person is told."""
        return "".join(f"{service.state}: {service.reason}" for service in self.service.services())


@pytest.fixture
def begin() -> Iterator[Callable[..., Loop]]:
    """Starts loops."""
    running: list[Loop] = []

    def start(**settings: object) -> Loop:
        running.append(Loop(**settings))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for loop in running:
        loop.service.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with repositories `app` and `far`."""
    made = Path(os.path.realpath(tmp_path)) / "code"
    make_repository(made / "app")
    make_repository(made / "far")
    return made


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[Callable[[Path], DeadMount]]:
    """Lets folders die; all are healed in the end."""
    (tmp_path / "probe").mkdir()
    if not can_mount(tmp_path / "probe"):
        pytest.skip("needs root, and FUSE in the kernel")
    mounts: list[DeadMount] = []

    def die(folder: Path) -> DeadMount:
        mounts.append(DeadMount(folder))
        return mounts[-1]

    yield die
    for mount in mounts:
        mount.close()


def head(repository: Path, branch: str) -> None:
    """Check out a branch."""
    (repository / ".git" / "HEAD").write_text(f"ref: refs/heads/{branch}\n")


Die = Callable[[Path], DeadMount]
Begin = Callable[..., Loop]


def test_a_project_that_dies_takes_no_other_along(begin: Begin, root: Path, dead: Die) -> None:
    """Its rows stay, its place is named, others are followed; when it answers again, so is it."""
    loop = begin(roots=(str(root),))
    until(lambda: loop.turn() == {"app": "main", "far": "main"})
    assert loop.reason == ""
    mount = dead(root / "far")
    loop.service.look_again(0)
    until(lambda: loop.turn() and loop.reason, 20)
    assert loop.reason == f"hung: {root}/far does not answer"
    head(root / "app", "other")
    until(lambda: loop.turn() == {"app": "other", "far": "main"})
    mount.close()
    head(root / "far", "healed")
    until(lambda: loop.turn() == {"app": "other", "far": "healed"})
    assert loop.reason == ""


def test_what_is_dead_from_the_start_is_named(begin: Begin, root: Path, dead: Die) -> None:
    """A root, a project behind a link and a session's folder that never answered: the rest is there all the same."""
    for name in ("root", "linked", "cwd"):
        (root.parent / name).mkdir()
        dead(root.parent / name)
    (root.parent / "link").symlink_to(root.parent / "linked")
    link = ProjectEntry(path=str(root.parent / "link"), name="Linked")
    loop = begin(roots=(str(root), str(root.parent / "root")), entries=(link,))
    loop.cwds = [str(root.parent / "cwd" / "deep"), str(root / "app")]
    until(lambda: loop.turn().items() >= {"app": "main", "far": "main", "link": "", "deep": ""}.items(), 30)
    assert loop.service.view(loop.cwds).project_of(str(root / "app" / "x")) == str(root / "app")  # type: ignore[union-attr]
    for name in ("root", "link", "cwd"):
        assert f"{root.parent}/{name}" in loop.reason


def test_the_number_of_stuck_threads_is_bounded(
    begin: Begin, root: Path, dead: Die, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many places die, few threads hang in them; once they answer, all is read."""
    monkeypatch.setattr(project_service, "STUCK_LIMIT", 2)
    monkeypatch.setattr(project_service, "PATIENCE", 0.2)
    names = [f"p{number}" for number in range(5)]
    for name in names:
        make_repository(root / name)
    loop = begin(roots=(str(root),))
    until(lambda: len(loop.turn()) == 7)
    mounts = [dead(root / name) for name in names]
    loop.service.look_again(0)
    until(lambda: loop.turn() and loop.reason.count("/code/p") == 2, 20)
    for _ in range(50):
        loop.turn()
        time.sleep(0.01)  # not waiting for anything: turns go on although nothing is to be had
    assert len(loop.service._stuck) == 2
    for mount in mounts:
        mount.close()
    head(root / "p4", "healed")
    until(lambda: loop.turn().get("p4") == "healed" and not loop.reason, 20)


def test_a_folder_that_is_new_has_its_project_at_once(begin: Begin, root: Path) -> None:
    """A session's row is complete when it is first shown."""
    loop = begin(roots=())
    outside = make_repository(root.parent / "outside")
    (outside / "in").mkdir()
    until(lambda: loop.service.view([]) is not None)
    view = loop.service.view([str(outside / "in")])
    assert view
    assert view.project_of(str(outside / "in")) == str(outside)


def test_what_does_not_answer_is_the_remote_mount() -> None:
    """The mount point of a network file system, the path itself on any other."""
    table = (
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "40 22 0:5 / /mnt/x\\040y rw,relatime shared:1 - fuse.sshfs me@there:/ rw\n"
        "41 22 0:6 / /home rw - xfs /dev/sdb rw\n"
        "42 40 0:7 / /mnt/x\\040y/deep rw - nfs4 nas:/ rw\n"
        "broken line\n"
    )
    assert place_of("/mnt/x y/code/app", table) == "/mnt/x y"
    assert place_of("/mnt/x y/deep", table) == "/mnt/x y/deep"
    assert place_of("/mnt/x yz", table) == "/mnt/x yz"
    assert place_of("/home/me/code", table) == "/home/me/code"
