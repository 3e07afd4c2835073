"""Looking for something: what is typed, what fits, and where one is afterwards."""

from __future__ import annotations

import pytest

from teleclaude.core.records import Computer
from teleclaude.tui.state import Follow
from tests.make import todo
from tests.tui.driving import Driver, alpha, work

EVERYWHERE = {(name, kind) for name in ("here", "raspi") for kind in ("sessions", "projects")}


def busy(size: tuple[int, int] = (24, 80)) -> Driver:
    """A client with sessions here, and a closed computer on which somebody waits."""
    driver = Driver(size)
    driver.connect(
        Computer(name="quiet"),
        Computer(name="raspi", counts={"waiting": 1}),
        local=Computer(name="here", is_local=True),
    )
    driver.load(
        "here",
        [
            alpha(),
            work("a", "Fix the reader", status="working", last_prompt="make it quick"),
            work("b", "Login form", status="waiting", agent="codex"),
            work("c", "shell", status="idle", agent="shell", where="/home/me/other"),
        ],
    )
    driver.press("g")
    return driver


def raspi(driver: Driver, *statuses: str) -> None:
    """Tell what sessions there are on the other computer."""
    driver.load("raspi", [work(f"r{n}", f"far {n}", computer="raspi", status=s) for n, s in enumerate(statuses)])


def titles(driver: Driver) -> list[str]:
    """Titles of the sessions in the tree."""
    rows = [(row.computer, row.ref) for row in driver.state.tree if row.kind == "session"]
    return [driver.state.model.machines[computer].sessions[ref].title for computer, ref in rows]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("login", ["Login form"]),
        ("@wait", ["Login form"]),
        ("quick", ["Fix the reader"]),
        ("alpha -@wait", ["Fix the reader"]),
        ("agent:shell", ["shell"]),
        ("nothing like it", []),
        ("@", ["Fix the reader", "Login form", "shell"]),
    ],
)
def test_with_each_key_only_what_fits_is_there(words: str, found: list[str]) -> None:
    """Rows keep their order and what they are in; a session that is found is selected."""
    driver = busy()
    driver.press("/")
    driver.type(words)
    assert titles(driver) == found
    assert not found or driver.state.session is not None
    assert driver.lines()[-2].startswith(f" /{words}")
    assert (f"{len(found)} found" if found else "nothing found") in driver.lines()[-2]


def test_esc_shows_all_again_and_stays_where_one_is() -> None:
    """One looks for a session to be there, not to lose it with the words."""
    driver = busy()
    driver.press("/")
    driver.type("shell")
    driver.press("enter")
    assert driver.state.search is None
    assert "─ shell · 1 found · Esc shows all" in driver.lines()[1]
    driver.press("esc")
    assert len(titles(driver)) == 3
    assert driver.selected() == "c"
    assert driver.lines()[1] == "─" * 80


def test_while_words_are_typed_keys_are_letters() -> None:
    """`q` ends nothing, `x` ends no session; arrows move, and a paste is taken."""
    driver = busy()
    driver.press("/")
    driver.type("qx")
    driver.paste("n\nm")
    assert driver.state.query == "qxn m"
    assert driver.state.dialog is None
    assert not driver.state.is_over
    driver.press("ctrl+u", "down")
    assert (driver.state.query, driver.state.search is not None) == ("", True)
    driver.press("backspace")
    assert driver.state.search is None


def test_a_state_that_is_none_is_told() -> None:
    """What cannot be read is said in words, beside what is typed."""
    driver = busy((24, 120))
    driver.press("/")
    driver.type("@wating")
    assert "no state is called so" in driver.lines()[-2]
    assert titles(driver) == []


def test_what_fits_changes_with_the_records() -> None:
    """A session that begins to wait appears, one that goes on vanishes, while the words stay."""
    driver = busy()
    driver.press("@")
    assert titles(driver) == ["Login form"]
    driver.put(work("a", "Fix the reader", status="waiting"))
    assert titles(driver) == ["Fix the reader", "Login form"]
    driver.put(work("b", "Login form", status="working", agent="codex"))
    assert titles(driver) == ["Fix the reader"]
    driver.press("@")
    assert len(titles(driver)) == 3


def test_all_computers_are_searched() -> None:
    """Words are no use if they find only what is open; what is followed for them is let go afterwards."""
    driver = busy()
    effects = driver.press("/", "f")
    followed = next(effect.scopes for effect in effects if isinstance(effect, Follow))
    assert followed >= EVERYWHERE
    raspi(driver, "idle", "waiting")
    assert titles(driver) == ["Fix the reader", "Login form", "far 0", "far 1"]
    effects = driver.press("esc")
    assert not any(name == "raspi" for effect in effects if isinstance(effect, Follow) for name, _ in effect.scopes)


def test_todos_are_found_too() -> None:
    """In the other view the same words find todos, with their own states."""
    driver = busy()
    driver.load("here", [alpha(), todo("write-docs", path=alpha().path)])
    driver.press("2", "/")
    driver.type("docs")
    assert [row.kind for row in driver.state.tree] == ["computer", "project", "todo"]
    driver.type(" @wai")
    assert "no state is called so" in driver.text()


def test_w_goes_to_who_waits_and_around() -> None:
    """Also into what is closed, and from the last to the first."""
    driver = busy()
    driver.put(work("c", "shell", status="waiting", agent="shell", where="/home/me/other"))
    for expected in ("b", "c"):
        driver.press("w")
        assert driver.selected() == expected
    driver.press("W")
    assert driver.selected() == "b"
    driver.press("g", "h", "w")
    assert driver.selected() == "b"


def test_w_opens_a_computer_that_says_that_somebody_waits_there() -> None:
    """It is gone to at once, and to the session as soon as it is told of."""
    driver = busy()
    driver.press("w", "w")
    assert driver.selected() == "raspi"
    assert "Asking raspi who waits" in driver.lines()[-2]
    raspi(driver, "idle", "waiting")
    assert driver.selected() == "r1"
    driver.press("w")
    assert driver.selected() == "b"


def test_who_waits_there_may_be_gone() -> None:
    """What a computer said may be over when its sessions come."""
    driver = busy()
    driver.press("w", "w")
    raspi(driver, "idle")
    assert "No session on raspi waits any more." in driver.lines()[-2]


def test_nobody_waits() -> None:
    """That is told, and nothing moves."""
    driver = Driver()
    driver.connect(local=Computer(name="here", is_local=True))
    driver.load("here", [work("a", "one", status="working")])
    before = driver.selected()
    driver.press("w")
    assert "No session waits for you." in driver.lines()[-2]
    assert driver.selected() == before
