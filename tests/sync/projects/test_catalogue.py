"""Projects and todos, from real files, heard of through a real inotify."""

from __future__ import annotations

import logging
import os
import select
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify

from teleclaude.core.records import Todo
from teleclaude.core.settings import ProjectEntry, ProjectSettings
from teleclaude.sync.projects import folder_watch, reading
from teleclaude.sync.projects.catalogue import Catalogue
from tests.sync.projects.test_roots import make_repository


class Loop:
    """What the local half's loop does with Catalogue: sleep until something is due or readable, then look."""

    def __init__(self, settings: ProjectSettings) -> None:
        self.catalogue = Catalogue("here", settings)
        self.cwds: list[str] = []
        self.wakes = 0
        self.look()

    def look(self) -> bool:
        """One look."""
        return self.catalogue.look(time.monotonic(), self.cwds)

    def run_until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Run the loop until the condition holds; it is woken by nothing but what Catalogue asks for."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, (self.catalogue.projects, self.catalogue.todos)
            self.turn(deadline - time.monotonic())

    def turn(self, timeout: float) -> bool:
        """Sleep at most `timeout` seconds; True when Catalogue asked to be woken, and was."""
        due = self.catalogue.next_due()
        wait = timeout if due is None else min(timeout, max(0.0, due - time.monotonic()))
        readable, _, _ = select.select([self.catalogue], [], [], wait)
        if not readable and (due is None or due > time.monotonic()):
            return False
        self.wakes += 1
        self.look()
        return True

    @property
    def names(self) -> list[str]:
        """Names of the projects."""
        return [project.name for project in self.catalogue.projects]

    @property
    def slugs(self) -> list[str]:
        """Slugs of the todos."""
        return [todo.slug for todo in self.catalogue.todos]

    def todo(self, slug: str) -> Todo:
        """One todo."""
        return next(todo for todo in self.catalogue.todos if todo.slug == slug)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one repository, `app`."""
    made = Path(os.path.realpath(tmp_path)) / "code"
    make_repository(made / "app")
    return made


@pytest.fixture
def app(root: Path) -> Path:
    """The repository."""
    return root / "app"


@pytest.fixture
def loop(root: Path) -> Iterator[Loop]:
    """A loop that has looked once."""
    made = Loop(ProjectSettings(roots=(str(root),)))
    yield made
    made.catalogue.close()


def test_projects_of_the_settings(root: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries have their name and description, `~` and links are resolved, one that is missing is listed."""
    monkeypatch.setenv("HOME", str(root.parent))
    (root.parent / "link").symlink_to(root)
    settings = ProjectSettings(
        roots=("~/link",),
        list=(
            ProjectEntry(path="~/code/app", name="The App", description="what it is"),
            ProjectEntry(path=str(root.parent / "gone")),
            ProjectEntry(path="not/absolute"),
        ),
    )
    loop = Loop(settings)
    found = [(p.path, p.name, p.description, p.branch, p.configured) for p in loop.catalogue.projects]
    assert found == [
        (str(app), "The App", "what it is", "main", True),
        (str(root.parent / "gone"), "gone", "", "", True),
    ]
    assert "not/absolute" in loop.catalogue.trouble
    assert "gone is not there" in loop.catalogue.trouble
    (root.parent / "gone").mkdir()
    (root.parent / "gone" / "TODO.md").write_text("- [ ] now\n")
    loop.run_until(lambda: loop.slugs == ["now"])
    assert "gone" not in loop.catalogue.trouble
    loop.catalogue.close()


def test_sessions_elsewhere(root: Path, app: Path, loop: Loop, tmp_path: Path) -> None:
    """A session outside of all projects brings its git root, or its folder, for as long as it is there."""
    outside = make_repository(root.parent / "outside")
    (outside / "deep").mkdir()
    (root.parent / "plain").mkdir()
    (outside / "TODO.md").write_text("- [ ] there\n")
    loop.cwds = [str(app / "src"), str(outside / "deep"), str(root.parent / "plain"), ""]
    assert loop.look()
    assert [(p.name, p.configured) for p in loop.catalogue.projects] == [
        ("app", True),
        ("outside", False),
        ("plain", False),
    ]
    assert loop.slugs == ["there"]
    of = loop.catalogue.view().project_of
    assert [of(cwd) for cwd in loop.cwds] == [
        str(app),
        str(outside),
        str(root.parent / "plain"),
        "",
    ]
    assert not loop.look()
    loop.cwds = []
    assert loop.look()
    assert loop.names == ["app"]


def test_longest_prefix_by_components(root: Path, app: Path) -> None:
    """The longest project that holds a folder wins, and `/code/app` does not hold `/code/apple`."""
    (root / "apple").mkdir()
    settings = ProjectSettings(
        list=(ProjectEntry(path=str(app)), ProjectEntry(path=str(root)), ProjectEntry(path=str(app / "in")))
    )
    loop = Loop(settings)
    of = loop.catalogue.view().project_of
    assert of(str(app / "in" / "x" / "y")) == str(app / "in")
    assert of(str(app / "inner")) == of(str(app)) == of(f"{app}/") == str(app)
    assert of(str(root / "apple")) == str(root)
    assert of("relative") == of("") == ""
    loop.catalogue.close()


def test_repository_made_at_a_session_s_folder(root: Path, loop: Loop) -> None:
    """A repository that is made where a session works becomes its project, and its branch follows."""
    place = root.parent / "plain"
    (place / "sub").mkdir(parents=True)
    loop.cwds = [str(place)]
    loop.look()
    make_repository(place)
    loop.run_until(lambda: [p.branch for p in loop.catalogue.projects] == ["main", "main"])
    shutil.rmtree(place / ".git")
    loop.run_until(lambda: [p.branch for p in loop.catalogue.projects] == ["main", ""])


def test_branch_follows(app: Path, loop: Loop) -> None:
    """Another branch, written as git does it, is seen."""
    lock = app / ".git" / "HEAD.lock"
    lock.write_text("ref: refs/heads/other\n")
    lock.rename(app / ".git" / "HEAD")
    loop.run_until(lambda: loop.catalogue.projects[0].branch == "other")


def test_new_and_removed_repositories(root: Path, loop: Loop) -> None:
    """A repository made or removed below a root is listed or gone, with its todos."""
    make_repository(root / "group" / "b")
    (root / "group" / "b" / "TODO.md").write_text("- [ ] x\n")
    loop.run_until(lambda: loop.names == ["app", "b"] and loop.slugs == ["x"])
    shutil.rmtree(root / "group")
    loop.run_until(lambda: loop.names == ["app"] and loop.slugs == [])


def test_roadmap_and_its_folders(app: Path, loop: Loop) -> None:
    """A roadmap, an item's folder and the files in it, each made after the other, are read as they come."""
    (app / "todos").mkdir()
    loop.turn(1)
    (app / "todos" / "roadmap.md").write_text("- [>] one: First\n    why\n- [ ] two\n")
    loop.run_until(lambda: loop.slugs == ["one", "two"])
    assert (loop.todo("one").title, loop.todo("one").description) == ("First", "why")
    assert (loop.todo("one").status, loop.todo("one").order, loop.todo("two").order) == ("in_progress", 0, 1)
    folder = app / "todos" / "one"
    folder.mkdir()
    loop.turn(1)
    (folder / "requirements.md").write_text("x")
    loop.run_until(lambda: loop.todo("one").has_requirements)
    (folder / "implementation-plan.md").write_text("x")
    loop.run_until(lambda: loop.todo("one").has_plan)
    (folder / "state.json").write_text('{"build": "complete", "review": "approved", "more": [1]}')
    loop.run_until(lambda: loop.todo("one").review_status == "approved")
    assert loop.todo("one").build_status == "complete"
    for bad in ('{"build": "compl', "[]", '{"build": 1, "review": null}', "[" * 100_000):
        (folder / "state.json").write_text('{"build": "complete"}')
        loop.run_until(lambda: loop.todo("one").build_status == "complete")
        (folder / "state.json").write_text(bad)
        loop.run_until(lambda: loop.todo("one").build_status == "")
    shutil.rmtree(folder)
    loop.run_until(lambda: not loop.todo("one").has_requirements)
    assert not loop.todo("two").has_plan


def save_in_place(path: Path, text: str) -> None:
    """Truncate and write."""
    path.write_text(text)


def save_by_rename(path: Path, text: str) -> None:
    """Write beside it, then rename over it."""
    other = path.with_name(".TODO.md.swp")
    other.write_text(text)
    other.rename(path)


def save_with_backup(path: Path, text: str) -> None:
    """Rename the old away, write a new one, remove the old: as vim does."""
    backup = path.with_name("TODO.md~")
    if path.exists():
        path.rename(backup)
    path.write_text(text)
    backup.unlink(missing_ok=True)


def save_slowly(path: Path, text: str) -> None:
    """Write line by line."""
    with path.open("w") as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            file.flush()


@pytest.mark.parametrize("save", [save_in_place, save_by_rename, save_with_backup, save_slowly])
def test_every_way_of_saving(app: Path, loop: Loop, save: Callable[[Path, str], None]) -> None:
    """A file that is saved, in whichever way, again and again with another content of the same size, is read."""
    for number in range(10, 20):
        save(app / "TODO.md", f"- [ ] task {number}\n")
        loop.run_until(lambda number=number: loop.slugs == [f"task-{number}"])  # type: ignore[misc]  # bound at once
    (app / "TODO.md").unlink()
    loop.run_until(lambda: loop.slugs == [])


def test_many_saves_and_the_last_one_counts(app: Path, loop: Loop) -> None:
    """Of many saves in a row none is lost for good: what is read in the end is the last."""
    for number in range(300):
        save_by_rename(app / "TODO.md", f"- [ ] task {number}\n")
        if number % 7 == 0:
            loop.turn(0)
    loop.run_until(lambda: loop.slugs == ["task-299"])


def test_same_content_is_no_change(app: Path, loop: Loop) -> None:
    """A file that is saved as it was changes nothing, though it is looked at."""
    (app / "TODO.md").write_text("- [ ] a\n")
    loop.run_until(lambda: loop.slugs == ["a"])
    before = loop.catalogue.todos
    save_by_rename(app / "TODO.md", "- [ ] a\n")
    wakes = loop.wakes
    loop.run_until(lambda: loop.wakes >= wakes + 2)
    assert loop.catalogue.todos is before


def test_idle_costs_nothing(app: Path, loop: Loop) -> None:
    """With nothing changed there is nothing to wake up for."""
    (app / "TODO.md").write_text("- [ ] a\n")
    loop.run_until(lambda: loop.slugs == ["a"])
    while loop.turn(0):
        pass
    assert loop.catalogue.next_due() is None
    assert not loop.turn(1.2)


def test_hostile_files(app: Path, loop: Loop, caplog: pytest.LogCaptureFixture, root: Path) -> None:
    """A pipe, a folder, a link out, bytes, NUL and a huge file in a plan's place lose nothing of the others."""
    (app / "todos").mkdir()
    (app / "todos" / "roadmap.md").write_text("- [ ] safe\n")
    make_repository(root / "b")
    (root / "b" / "TODO.md").write_text("- [ ] other\n")
    loop.run_until(lambda: sorted(loop.slugs) == ["other", "safe"])
    todo = app / "TODO.md"
    secret = root.parent / "secret.md"
    secret.write_text("- [ ] secret\n")

    todo.symlink_to(secret)
    loop.run_until(lambda: "leads out" in loop.catalogue.trouble)
    todo.unlink()
    todo.symlink_to(todo)
    os.mkfifo(app / "pipe")
    (app / "pipe").replace(todo)
    loop.run_until(lambda: "is no file" in loop.catalogue.trouble)
    todo.unlink()
    todo.mkdir()
    (todo / "x").mkdir()
    loop.run_until(lambda: loop.catalogue.trouble.count("is no file") == 1)
    assert sorted(loop.slugs) == ["other", "safe"]
    shutil.rmtree(todo)
    todo.write_bytes(b"- [ ] \xff\xfe bytes\n- [ ] nul \0 here\n")
    loop.run_until(lambda: len(loop.slugs) == 4)
    todo.write_bytes(b"- [ ] first\n" + b"x" * 10_000_000 + b"\n- [ ] last\n")
    loop.run_until(lambda: "first" in loop.slugs and "over 1024 KiB" in loop.catalogue.trouble)
    todo.write_text("- [ ] well\n")
    loop.run_until(lambda: "well" in loop.slugs)
    assert loop.catalogue.trouble == ""
    assert not any("secret" in todo.slug for todo in loop.catalogue.todos)


def test_trouble_is_logged_once(app: Path, loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    """A trouble that stays is logged once, however often its project is read; one that comes back, again."""
    caplog.set_level(logging.WARNING)
    todo = app / "TODO.md"
    todo.mkdir()
    loop.run_until(lambda: bool(loop.catalogue.trouble))
    for number in range(5):
        (app / "todos").mkdir()
        (app / "todos" / "roadmap.md").write_text(f"- [ ] n{number}\n")
        loop.run_until(lambda number=number: loop.slugs == [f"n{number}"])  # type: ignore[misc]  # bound at once
        shutil.rmtree(app / "todos")
        loop.run_until(lambda: loop.slugs == [])
    assert len(caplog.records) == 1
    todo.rmdir()
    loop.run_until(lambda: not loop.catalogue.trouble)
    todo.mkdir()
    loop.run_until(lambda: bool(loop.catalogue.trouble))
    assert len(caplog.records) == 2


def test_links_inside(app: Path, loop: Loop) -> None:
    """A plan that is a link within its project is read, and followed where it is; one that leads out is not."""
    (app / "docs").mkdir()
    (app / "docs" / "list.md").write_text("- [ ] a\n")
    (app / "TODO.md").symlink_to("docs/list.md")
    loop.run_until(lambda: loop.slugs == ["a"])
    save_by_rename(app / "docs" / "list.md", "- [ ] b\n")
    loop.run_until(lambda: loop.slugs == ["b"])
    outside = app.parent.parent / "todos"
    outside.mkdir()
    (outside / "roadmap.md").write_text("- [ ] secret\n")
    (app / "todos").symlink_to(outside)
    loop.run_until(lambda: "leads out" in loop.catalogue.trouble)
    assert loop.slugs == ["b"]


def test_odd_names(root: Path, loop: Loop) -> None:
    """Projects whose names hold a newline or ESC are listed with a name that is safe to show and their true path."""
    for name in ("a\nb", "\x1b]0;x\x07", "#(touch x)", "-R"):
        make_repository(root / name)
    loop.run_until(lambda: len(loop.catalogue.projects) == 5)
    assert {Path(p.path).name for p in loop.catalogue.projects} >= {"a\nb", "\x1b]0;x\x07"}
    assert not any(c in name for name in loop.names for c in "\n\x1b\x07")
    bad = os.fsdecode(os.fsencode(root) + b"/\xff")
    make_repository(Path(bad))
    loop.cwds = [bad]
    loop.look()
    assert loop.catalogue.view().project_of(bad) == ""
    assert len(loop.catalogue.projects) == 5


def test_reload(root: Path, app: Path, loop: Loop) -> None:
    """Other settings are taken in place: what they no longer name is gone, what they name is there."""
    make_repository(root.parent / "two" / "b")
    loop.catalogue.reload(ProjectSettings(roots=(str(root.parent / "two"),)))
    assert loop.catalogue.next_due() is not None
    assert loop.look()
    assert loop.names == ["b"]
    make_repository(root / "unheard")
    make_repository(root.parent / "two" / "c")
    loop.run_until(lambda: loop.names == ["b", "c"])


def test_moved_above(root: Path, app: Path, loop: Loop) -> None:
    """A folder above a project that is moved away and replaced is noticed by the check that rides along."""
    root.rename(root.parent / "old")
    make_repository(root / "new")
    loop.run_until(lambda: loop.names == ["new"])
    root.parent.rename(root.parent.with_name("elsewhere"))
    make_repository(root / "newer")
    loop.catalogue.look(time.monotonic() + 61, [])
    loop.catalogue.look(time.monotonic() + 62, [])
    assert loop.names == ["newer"]


def test_overrun_queue(root: Path, app: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """More events than the kernel keeps, with the one that counts among the lost: everything is looked at again."""
    monkeypatch.setattr(folder_watch, "BUSY", 10**9)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for name in ("f0", "f1"):
        (app / name).touch()
    for number in range(limit):  # one event each, of names in turn so that none are merged
        (app / f"f{number % 2}").touch()
    (app / "TODO.md").write_text("- [ ] lost\n")
    loop.run_until(lambda: loop.slugs == ["lost"])


def test_busy_folder(app: Path, loop: Loop) -> None:
    """A folder that is flooded with other files is no longer listened to, but looked at, and its todos are true."""
    for number in range(folder_watch.BUSY):
        (app / f"f{number}").touch()
    loop.turn(1)
    assert loop.catalogue.next_due() is not None
    (app / "TODO.md").write_text("- [ ] a\n")
    loop.run_until(lambda: loop.slugs == ["a"])
    for number in range(1000):
        (app / f"g{number}").touch()
    wakes = loop.wakes
    loop.turn(0.3)
    assert loop.wakes <= wakes + 1


def test_no_watches_left(
    root: Path, app: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the kernel gives no more watches, it is said once, and files are looked at by the clock."""
    make_repository(root / "b")

    class Few(INotify):  # type: ignore[misc]  # it has no types
        """An inotify with two watches, as the kernel behaves at its limit."""

        given = 0

        def add_watch(self, path: str, mask: int) -> int:
            """Give two, then ENOSPC."""
            self.given += 1
            if self.given > 2:
                raise OSError(28, "No space left on device")
            return int(super().add_watch(path, mask))

    monkeypatch.setattr(folder_watch, "INotify", Few)
    loop = Loop(ProjectSettings(roots=(str(root),)))
    for name in ("app", "b"):
        (root / name / "TODO.md").write_text(f"- [ ] in {name}\n")
    loop.run_until(lambda: loop.slugs == ["in-app", "in-b"])
    make_repository(root / "c" / "d")
    loop.run_until(lambda: loop.names == ["app", "b", "d"])
    assert sum("max_user_watches" in record.message for record in caplog.records) == 1
    loop.catalogue.close()


def test_no_inotify_at_all(root: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no inotify at all, everything is looked at by the clock."""

    def none_left(**_: bool) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(folder_watch, "INotify", none_left)
    loop = Loop(ProjectSettings(roots=(str(root),)))
    (app / "TODO.md").write_text("- [ ] a\n")
    loop.run_until(lambda: loop.slugs == ["a"])
    make_repository(root / "b")
    loop.run_until(lambda: loop.names == ["app", "b"])
    loop.catalogue.close()


def test_nothing_is_left_over(root: Path, app: Path, loop: Loop) -> None:
    """Watches of what is gone are given back."""
    before = len(loop.catalogue._folders._folders), len(loop.catalogue._folders._by_wd)
    for number in range(5):
        make_repository(root / f"r{number}")
        (root / f"r{number}" / "todos" / "a").mkdir(parents=True)
        (root / f"r{number}" / "todos" / "roadmap.md").write_text("- [ ] a\n")
    loop.run_until(lambda: len(loop.slugs) == 5)
    for number in range(5):
        shutil.rmtree(root / f"r{number}")
    loop.run_until(lambda: loop.names == ["app"])
    while loop.turn(0.1):
        pass
    assert (len(loop.catalogue._folders._folders), len(loop.catalogue._folders._by_wd)) == before


def test_saved_between_reading_and_listening(root: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is saved after its project was read first, and before it is listened to, is not lost."""
    real = reading.read_project

    def read_then_saved(computer: str, project: str) -> reading.Reading:
        reading = real(computer, project)
        (app / "TODO.md").write_text("- [ ] a\n")
        return reading

    monkeypatch.setattr("teleclaude.sync.projects.catalogue.read_project", read_then_saved)
    loop = Loop(ProjectSettings(roots=(str(root),)))
    assert loop.slugs == ["a"]
    loop.catalogue.close()


def test_reads_only_what_changed(root: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among many projects, one that changed is read, and the others are not."""
    for number in range(50):
        make_repository(root / f"r{number}")
    loop.run_until(lambda: len(loop.names) == 51)
    while loop.turn(0.1):
        pass
    read: list[str] = []
    real = reading.read_project

    def counted(computer: str, project: str) -> reading.Reading:
        read.append(project)
        return real(computer, project)

    monkeypatch.setattr("teleclaude.sync.projects.catalogue.read_project", counted)
    (root / "r7" / "TODO.md").write_text("- [ ] a\n")
    loop.run_until(lambda: loop.slugs == ["a"])
    assert set(read) == {str(root / "r7")}
