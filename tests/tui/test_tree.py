"""The tree: what stands where, what is open, what is selected."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from teleclaude.client.events import Changed
from teleclaude.core.records import Computer, Project
from teleclaude.tui.saved import Saved
from teleclaude.tui.state import Follow
from teleclaude.tui.tree import Expansion, counts_of
from tests.tui.driving import Driver, ago, alpha, todo, work

BETA = Project(computer="here", path="/home/me/code/beta", name="beta")
RASPI = Computer(name="raspi", counts={"working": 2}, last_seen=ago(10))


@pytest.fixture
def driver() -> Driver:
    """Make a client that is connected, with two projects and three sessions."""
    found = Driver()
    found.connect(RASPI)
    sessions = [work("a", "one"), work("b", "two"), work("c", "three", where=BETA.path)]
    found.load("here", [alpha(), BETA, *sessions])
    return found


def refs(driver: Driver) -> list[str]:
    """References of the rows."""
    return [row.ref or row.computer for row in driver.state.tree]


def test_computer_project_session_in_a_steady_order(driver: Driver) -> None:
    """This computer first; projects by name; sessions in order of creation, whatever they do."""
    order = ["here", "/home/me/code/alpha", "a", "b", "/home/me/code/beta", "c", "raspi"]
    assert refs(driver) == order
    driver.put(work("a", "zzz", status="waiting", age=0))
    assert refs(driver) == order


def test_a_session_below_a_project_is_grouped_under_the_longest_path(driver: Driver) -> None:
    """A folder within a project within a project belongs to the inner one; a likely name is no prefix."""
    inner = Project(computer="here", path="/home/me/code/alpha/sub", name="inner")
    driver.load("here", [alpha(), inner])
    driver.put(work("in", "inside", where="", cwd="/home/me/code/alpha/sub/deep/down", project=""))
    driver.put(work("next", "beside", where="", cwd="/home/me/code/alpha/subway", project=""))
    assert refs(driver)[1:5] == ["/home/me/code/alpha", "next", "/home/me/code/alpha/sub", "in"]


def test_a_session_in_no_project_is_shown_all_the_same(driver: Driver) -> None:
    """A session somewhere else has a row below its own folder."""
    driver.put(work("e", "else", where="/srv/x"))
    assert "e" in refs(driver)
    assert "/srv/x" in refs(driver)


def test_sessions_that_an_agent_started_follow_it(driver: Driver) -> None:
    """Children stand below their parent; a ring of parents loses nobody."""
    driver.put(work("z", "child", parent="a"))
    assert refs(driver)[2:4] == ["a", "z"]
    driver.put(work("r1", "ring", parent="r2"))
    driver.put(work("r2", "ring", parent="r1"))
    assert {"r1", "r2"} <= set(refs(driver))


def test_the_tree_is_rebuilt_on_every_pushed_change(driver: Driver) -> None:
    """What is pushed is on the screen with no key pressed: made, renamed, gone."""
    driver.put(work("new", "just made"))
    assert "just made" in driver.text()
    driver.put(work("new", "renamed"))
    assert "renamed" in driver.text()
    assert "just made" not in driver.text()
    driver.remove("new")
    assert "renamed" not in driver.text()


def test_the_selection_stays_on_its_row(driver: Driver) -> None:
    """Rows that come, go and move around it leave the selection where it is."""
    driver.press("g", "j", "j", "j")
    assert driver.selected() == "b"
    driver.put(work("aa", "before"))
    assert driver.selected() == "b"
    driver.remove("a")
    assert driver.selected() == "b"
    driver.put(work("b", "two", where=BETA.path))
    assert driver.selected() == "b"
    driver.put(work("remote", "x", computer="raspi"))
    assert driver.selected() == "b"


def test_when_its_row_goes_the_next_of_the_same_parent_is_selected(driver: Driver) -> None:
    """The row that took its place, else the one above: never somewhere else."""
    driver.press("g", "j", "j")
    driver.remove("a")
    assert driver.selected() == "b"
    driver.put(work("bb", "above"))
    driver.press("down")
    assert driver.selected() == "bb"
    driver.remove("bb")
    assert driver.selected() == "b"
    driver.remove("b")
    assert driver.selected() == BETA.path


def test_when_the_only_session_of_a_project_ends_a_neighbour_is_selected(driver: Driver) -> None:
    """Its project goes to the quiet ones, far below, open or not: the selection stays where it was on the screen."""
    gamma = Project(computer="here", path="/home/me/code/gamma", name="gamma")
    quiet = Project(computer="here", path="/home/me/code/quiet", name="quiet")
    sessions = [work("a", "one"), work("c", "three", where=BETA.path), work("d", "four", where=gamma.path)]
    for is_quiet_open in (False, True):
        driver.load("here", [alpha(), BETA, gamma, quiet, *sessions])
        if is_quiet_open:
            place = next(place for place, row in enumerate(driver.state.tree) if row.kind == "quiet")
            driver.press("g", *["j"] * place, "l")
        while driver.selected() != "c":
            driver.press("k" if driver.state.cursor > 4 else "j")
        driver.remove("c")
        assert driver.selected() == gamma.path
        driver.press("j")
        driver.remove("d")
        assert driver.selected() == "a"
        driver.remove("a")
        assert driver.selected() == "here"


def test_sessions_of_the_same_moment_stand_in_tmux_order(driver: Driver) -> None:
    """What was created in one tick of the clock stands as tmux counted it, whatever ids it got."""
    sessions = [work("z", "first"), work("y", "second"), work("x", "third")]
    numbers = ["$9", "$10", "$11"]
    numbered = [replace(s, tmux=replace(s.tmux, session=n)) for s, n in zip(sessions, numbers, strict=True)]
    driver.load("here", [alpha(), *reversed(numbered)])
    assert refs(driver)[2:5] == ["z", "y", "x"]
    driver.put(replace(numbered[2], tmux=replace(numbered[2].tmux, session="$1")))
    assert refs(driver)[2:5] == ["x", "z", "y"]


def test_nothing_that_is_pushed_takes_focus_or_selection(driver: Driver) -> None:
    """A session started elsewhere appears, and that is all; an open dialog keeps what was typed."""
    driver.press("g", "j", "j")
    driver.put(work("other", "started elsewhere"))
    assert driver.selected() == "a"
    driver.press("m")
    driver.type("half a sen")
    driver.put(work("third", "also", status="waiting"))
    driver.remove("third")
    assert "half a sen" in driver.text()


def test_opening_and_closing(driver: Driver) -> None:
    """Right opens, then goes in; left closes, then goes out; Enter and Space do both."""
    driver.press("g", "l", "l")
    assert driver.selected() == "a"
    driver.press("h")
    assert driver.selected() == "/home/me/code/alpha"
    driver.press("left")
    assert "a" not in refs(driver)
    driver.press("enter")
    assert "a" in refs(driver)
    driver.press(" ")
    assert "a" not in refs(driver)
    driver.press("h", "h")
    assert refs(driver) == ["here", "raspi"]


def test_moving_stops_at_the_ends_and_steps_over_words(driver: Driver) -> None:
    """Up at the top and down at the bottom stay; a note between rows is never selected."""
    driver.load("here", [])
    assert any(row.kind == "note" for row in driver.state.tree)
    driver.press("g", "up", "k")
    assert driver.selected() == "here"
    driver.press("j")
    assert driver.selected() == "raspi"
    driver.press("down", "pgdn", "end", "G")
    assert driver.selected() == "raspi"
    driver.press("k")
    assert driver.selected() == "here"
    for key in ("home", "pgup", "pgdn", "g", "up"):
        driver.press(key)
        row = driver.state.row
        assert row is not None
        assert row.kind != "note"


def test_a_note_at_the_end_is_not_selected() -> None:
    """With nothing but a computer and a note below it, the computer stays selected."""
    driver = Driver()
    driver.connect()
    for key in ("j", "G", "pgdn", "down"):
        driver.press(key)
        assert driver.selected() == "here"


def test_a_long_tree_scrolls_with_the_selection_in_sight(driver: Driver) -> None:
    """Whatever is pressed, the selected row is on the screen."""
    driver.load("here", [alpha(), *(work(f"s{n:03}", f"title {n}") for n in range(300))])
    for keys in (["G"], ["g"], ["pgdn"] * 7, ["pgup"] * 2, ["j"] * 40, ["k"] * 90):
        driver.press(*keys)
        frame = driver.frame()
        assert any(style.endswith(":on") for line in frame.lines for _, style in line)
    driver.press("G")
    assert "title 299" in driver.text()


def test_interest_follows_what_is_open() -> None:
    """This computer is followed at once; another one only while its node is open, and only what the view needs."""
    driver = Driver()
    driver.connect(RASPI)
    follows = [e.scopes for e in driver.effects if isinstance(e, Follow)]
    here = {("here", "sessions"), ("here", "projects"), ("here", "todos")}
    assert follows[-1] == here
    driver.press("G")
    assert driver.selected() == "raspi"
    (opened,) = [e.scopes for e in driver.press("l") if isinstance(e, Follow)]
    assert opened == here | {("raspi", "sessions"), ("raspi", "projects")}
    (closed,) = [e.scopes for e in driver.press("h") if isinstance(e, Follow)]
    assert closed == here
    assert not [e for e in driver.press("j", "k", "G") if isinstance(e, Follow)]
    driver.press("2", "G")
    (planned,) = [e.scopes for e in driver.press("l") if isinstance(e, Follow)]
    assert planned == here | {("raspi", "projects"), ("raspi", "todos")}


def test_a_remote_computer_is_open_at_the_start_only_if_it_was_left_open() -> None:
    """Interest is not a matter of being there: without a saved state nothing is asked of other computers."""
    kept = Saved(opened=(("sessions", "computer", "raspi"),))
    for saved, expected in ((Saved(), False), (kept, True)):
        driver = Driver(saved=saved)
        driver.connect(RASPI)
        assert any(computer == "raspi" for computer, _ in driver.state.scopes) is expected


def test_todos_stand_below_their_project_in_their_order() -> None:
    """Preparation shows projects with todos, in the order of the file; the others are behind one row."""
    driver = Driver()
    driver.connect()
    first = todo("later", path=alpha().path, title="Later")
    driver.load("here", [alpha(), BETA, first, todo("soon", path=alpha().path, title="Soon")])
    driver.press("2")
    assert [row.kind for row in driver.state.tree] == ["computer", "project", "todo", "todo", "quiet"]
    driver.press("G", "l")
    assert driver.state.tree[-1].ref == BETA.path


def test_a_forgotten_computer_leaves_the_tree(driver: Driver) -> None:
    """A computer that is removed takes its row with it, and the selection goes to one that is there."""
    driver.press("G")
    assert driver.selected() == "raspi"
    gone = Changed(epoch="e1", version=9, kind="computers", computer="raspi", removes=["raspi"])
    driver.push(gone)
    assert "raspi" not in refs(driver)
    assert driver.selected() in refs(driver)


def test_an_open_computer_counts_the_rows_that_are_there(driver: Driver) -> None:
    """What another computer said of itself a while ago counts only while its rows are not followed."""
    raspi = driver.state.model.machines["raspi"]
    assert counts_of(raspi, "sessions", driver.state.expansion) == {"working": 2}
    driver.load("raspi", [work("r", "one", computer="raspi", status="waiting")])
    raspi = driver.state.model.machines["raspi"]
    opened: Expansion = {("sessions", "computer", "raspi"): True}
    assert counts_of(raspi, "sessions", opened) == {"waiting": 1}
    assert counts_of(raspi, "sessions", {}) == {"working": 2}
    assert counts_of(raspi, "preparation", opened) == {"working": 2}
