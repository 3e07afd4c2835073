"""Git repositories: what they say of themselves, and finding them below a root."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleclaude.sync.projects import git
from teleclaude.sync.projects import roots as roots_module
from teleclaude.sync.projects.folder_watch import Folders
from teleclaude.sync.projects.roots import Roots, ScanNode
from tests.wait import until


def make_repository(folder: Path, head: str = "ref: refs/heads/main\n") -> Path:
    """The least that git itself takes for a repository."""
    for name in ("objects", "refs"):
        (folder / ".git" / name).mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text(head)
    return folder


def run_git(folder: Path, *args: str) -> None:
    """Run git with settings of its own."""
    env = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    name = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *name, *args], cwd=folder, env=env, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty root."""
    made = Path(os.path.realpath(tmp_path)) / "code"
    made.mkdir()
    return made


@pytest.fixture
def folders() -> Iterator[Folders]:
    """Watches."""
    made = Folders()
    yield made
    made.close()


def branch(repository: Path) -> str:
    """Branch of a repository."""
    folder = git.git_folder(str(repository))
    return "" if folder is None else git.branch_of(folder)


def test_branch_of_real_repositories(root: Path) -> None:
    """Branch, worktree, detached HEAD and submodule-like `.git` files of a real git are read."""
    run_git(root, "init", "one")
    one, two = root / "one", root / "two"
    assert branch(one) == "main"
    run_git(one, "commit", "--allow-empty", "-m", "x")
    run_git(one, "worktree", "add", "-b", "feature/x", str(two))
    assert branch(two) == "feature/x"
    assert (two / ".git").is_file()
    run_git(one, "checkout", "--detach")
    assert len(branch(one)) == 8
    run_git(root, "init", "--separate-git-dir", str(root / "apart.git"), "three")
    assert branch(root / "three") == "main"


@pytest.mark.parametrize(
    "head",
    ["", "\n", "ref:", "what", "\0\0", "ref: refs/heads/.invalid\n", "x" * 100_000, "zz" * 20],
)
def test_strange_head(root: Path, head: str) -> None:
    """A HEAD that names nothing gives no branch."""
    assert branch(make_repository(root, head)) == ""


def test_hostile_heads(root: Path) -> None:
    """A pipe, a folder or bytes in HEAD's or `.git`'s place neither block nor raise; a branch is safe to show."""
    repository = make_repository(root)
    head = repository / ".git" / "HEAD"
    head.write_bytes(b"ref: refs/heads/\x1b[31m\xff\n")
    assert "\x1b" not in branch(repository)
    head.unlink()
    os.mkfifo(head)
    assert branch(repository) == ""
    head.unlink()
    head.mkdir()
    assert branch(repository) == ""
    (root / "pipe").mkdir()
    os.mkfifo(root / "pipe" / ".git")
    assert not git.is_repository(str(root / "pipe"))
    (root / "off").mkdir()
    (root / "off" / ".git").write_text("gitdir: /nowhere/\0at all\n")
    assert branch(root / "off") == ""


def test_root_of(root: Path) -> None:
    """The nearest repository at or above a folder, also where the folder itself is gone."""
    outer, inner = make_repository(root / "outer"), make_repository(root / "outer" / "deep" / "inner")
    assert git.root_of(f"{inner}/gone/too") == str(inner)
    assert git.root_of(f"{outer}/deep") == str(outer)
    assert git.root_of(f"{outer}x") is None
    assert list(git.upwards("/a//b/")) == ["/a//b", "/a", "/"]
    assert list(git.upwards("/")) == ["/"]
    assert list(git.upwards("")) == list(git.upwards("a/b")) == []


def found(roots: Roots) -> set[str]:
    """Names of the repositories."""
    return {Path(path).name for path in roots.repositories}


def test_two_levels(root: Path, folders: Folders) -> None:
    """Repositories in and below the folders of a root are found; hidden, deeper and inner ones are not."""
    make_repository(root / "a")
    make_repository(root / "group" / "b")
    make_repository(root / "group" / "sub" / "too-deep")
    make_repository(root / ".hidden")
    make_repository(root / "a" / "inner")
    make_repository(root / "node_modules" / "c")
    (root / "file").write_text("")
    (root / "loop").symlink_to(root)
    (root / "group" / "link").symlink_to(root / "a")
    roots = Roots([str(root)], folders)
    roots.look_at_all()
    assert found(roots) == {"a", "b"}
    assert not roots.troubles


def follow(roots: Roots, folders: Folders) -> set[str]:
    """Look where a change was told; what is there then."""
    for owner in folders.changed(0.0):
        assert isinstance(owner, ScanNode)
        roots.look(owner)
    return found(roots)


def test_changes_are_heard_of(root: Path, folders: Folders) -> None:
    """A repository that is made, moved in, renamed or removed below a root, also folder by folder, is noticed."""
    (root / "group").mkdir()
    roots = Roots([str(root)], folders)
    roots.look_at_all()
    assert found(roots) == set()
    make_repository(root / "group" / "a")
    until(lambda: follow(roots, folders) == {"a"})
    (root / "new").mkdir()
    until(lambda: follow(roots, folders) == {"a"} and str(root / "new") in folders._folders)
    (root / "new" / "b").mkdir()
    until(lambda: follow(roots, folders) == {"a"} and str(root / "new" / "b") in folders._folders)
    make_repository(root / "new" / "b")
    until(lambda: follow(roots, folders) == {"a", "b"})
    (root / "group" / "a").rename(root / "c")
    until(lambda: follow(roots, folders) == {"b", "c"})
    (root / "c" / ".git").rename(root / "c" / "git")
    until(lambda: follow(roots, folders) == {"b"})
    (root / "new").rename(root / "other")
    until(lambda: follow(roots, folders) == {"b"} and roots.repositories == {str(root / "other" / "b")})
    make_repository(root / "other" / "d")
    until(lambda: follow(roots, folders) == {"b", "d"})


def test_folder_replaced_under_its_name(root: Path, folders: Folders) -> None:
    """A folder that is removed and made again between two looks is listened to again."""
    (root / "a").mkdir()
    roots = Roots([str(root)], folders)
    roots.look_at_all()
    (root / "a").rmdir()
    (root / "a").mkdir()
    follow(roots, folders)
    make_repository(root / "a")
    until(lambda: follow(roots, folders) == {"a"})


def test_missing_root(root: Path, folders: Folders) -> None:
    """A root that is not there is told, takes nothing from the others, and is looked at once it is made."""
    late = root / "x" / "y" / "late"
    make_repository(root / "x" / "here")
    (root / "file").write_text("")
    roots = Roots([str(late), str(root / "x"), str(root / "file")], folders)
    roots.look_at_all()
    assert found(roots) == {"here"}
    assert len(roots.troubles) == 2
    make_repository(late / "a")
    until(lambda: follow(roots, folders) == {"here", "a"})
    assert len(roots.troubles) == 1
    (root / "file").unlink()
    make_repository(root / "file")
    until(lambda: follow(roots, folders) == {"here", "a", "file"})
    assert not roots.troubles


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody whom permissions concern."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_unreadable(root: Path, folders: Folders) -> None:
    """A root or folder that may not be read is told, and is looked at once it may be."""
    make_repository(root / "open" / "a")
    make_repository(root / "open" / "closed" / "b")
    make_repository(root / "shut" / "c")
    for path in (root, *root.parents):
        if path == Path(tempfile.gettempdir()) or path.parent == path:
            break
        path.chmod(0o755)
    shut = [root / "shut", root / "open" / "closed"]
    for path in shut:
        path.chmod(0)
    roots = Roots([str(root / "open"), str(root / "shut")], folders)
    with as_nobody():
        roots.look_at_all()
        assert found(roots) == {"a"}
        assert len(roots.troubles) == 2
    for path in shut:
        path.chmod(0o755)
    with as_nobody():
        until(lambda: follow(roots, folders) == {"a", "b", "c"})
        assert not roots.troubles


def test_too_much(root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with too much in it is looked at in part, and said so; the others are not touched by it."""
    monkeypatch.setattr(roots_module, "CHILDREN_LIMIT", 3)
    for number in range(9):
        make_repository(root / "many" / f"m{number}")
    make_repository(root / "few" / "a")
    roots = Roots([str(root)], folders)
    roots.look_at_all()
    assert "a" in found(roots)
    assert len(found(roots)) == 4
    (trouble,) = roots.troubles
    assert "many" in trouble


def test_names_that_are_no_text(root: Path, folders: Folders) -> None:
    """A folder whose name holds bytes outside UTF-8 is left out; newline, ESC, tab and bidi marks are names."""
    make_repository(Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")))
    odd = ["a\nb", "\x1b[31mred", "a\tb", "\u202ex", "a|b", "#(touch x)", "--", "x;"]
    for name in odd:
        make_repository(root / name)
    roots = Roots([str(root)], folders)
    roots.look_at_all()
    assert found(roots) == set(odd)
