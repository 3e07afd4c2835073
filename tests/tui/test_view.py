"""Golden screens: from records and a size to lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleclaude.client.events import Connected, Disconnected, HealthEvent, Malformed, Message
from teleclaude.core.records import Ask, Computer, Service, Todo
from teleclaude.core.text import has_control
from teleclaude.tui import row_lines
from teleclaude.tui.cells import Line
from teleclaude.tui.state import ClientState, Done, Looked, Resized, StartDaemon
from teleclaude.tui.tree import TreeRow
from teleclaude.tui.view import next_tick, view
from tests.tui.driving import SCREENS, Driver, ago, alpha, work


def busy(size: tuple[int, int] = (24, 80), **here: object) -> Driver:
    """A client that shows some of everything."""
    driver = Driver(size)
    local = Computer(name="here", is_local=True, counts={"working": 1, "waiting": 1, "idle": 1}, **here)  # type: ignore[arg-type]  # fields of the record
    driver.connect(
        Computer(name="raspi", status="offline", last_seen=ago(185), role="in the attic"),
        Computer(name="server", counts={"working": 2}, awaited=("sessions",)),
        local=local,
    )
    driver.load(
        "here",
        [
            alpha(),
            work("a", "Fix the reader thread", status="working"),
            work("b", "漢字 wide title 🎉", status="waiting", agent="codex", status_reason="approval", age=5),
            work("c", "shell", status="idle", agent="shell", command="vim", attached=1, age=7300),
        ],
    )
    driver.press("g")
    return driver


def test_sessions_at_80x24() -> None:
    """Columns align with wide characters in them; who waits stands out; nothing wraps."""
    driver = busy()
    driver.press("G", "l", "g")
    assert driver.lines() == [
        " teleclaude   1 Sessions  2 Preparation         ◆ 1 waiting   ● 3 working  here",
        "─" * 80,
        " ▾ here  this computer                     ◆ 1 waiting  ● 1 working  3 sessions",
        "   ▾ alpha  ~/code/alpha  main",
        "     ● Fix the reader thread                  claude  working             2 min",
        "     ◆ 漢字 wide title 🎉                     codex   needs approval        now",
        "     ○ shell                                  shell   vim            ◉      2 h",
        " ▸ raspi  in the attic                                            offline 3 min",
        " ▾ server                                               ● 2 working  2 sessions",
        "   loading…",
        *[""] * 12,
        "",
        " →← open, close   n new session   ? help   q quit   / find   Tab view",
    ]


WIDE = """
     ● Fix the reader thread                          claude   working                                            2 min
     ◆ 漢字 wide title 🎉                             codex    needs approval                                       now
     ○ shell                                          shell    idle              vim                         ◉      2 h
"""


def test_sessions_at_120x35() -> None:
    """With more room there is a column for what a session does, where it says more than the agent does."""
    lines = busy((35, 120)).lines()
    assert lines[4:7] == WIDE.strip("\n").splitlines()
    assert len(lines) == 35


ASKED = Ask(kind="approval", tool="Bash", text="rm -r build\n\x1b[2J")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"status": "waiting", "status_reason": "approval", "asks": ASKED}, "needs approval    Bash: rm -r build"),
        ({"status": "waiting", "status_reason": "plan", "asks": Ask(kind="plan")}, "plan to approve"),
        ({"status": "working", "last_prompt": "mend it", "last_answer": "done"}, "working           mend it"),
        ({"status": "idle", "last_prompt": "mend it", "last_answer": "All is well."}, "idle              All is well."),
        ({"status": "idle", "background": "2 shells", "last_answer": "Now"}, "idle              2 shells · Now"),
        ({"status": "error", "status_reason": "rate limit until 14:00"}, "rate limit until"),
        ({"status": "running", "agent": "shell", "command": "vim"}, "running           vim"),
    ],
)
def test_row_tells_what_a_session_waits_for_or_does(told: dict[str, Any], shown: str) -> None:
    """One need not attach to know what is asked, what was asked for, or what came of it."""
    driver = Driver((35, 120))
    driver.connect(local=Computer(name="here", is_local=True))
    driver.load("here", [work("a", "title", **told)])
    line = next(line for line in driver.lines() if "title" in line)
    assert shown[:18] in line
    assert shown[18:] in line


@pytest.mark.parametrize(
    ("told", "keys"),
    [
        ({"status": "waiting", "asks": Ask(kind="approval", id="x")}, " a allow   d deny   Enter attach"),
        ({"status": "waiting", "asks": Ask(kind="question", id="x")}, " a answer   d deny   Enter attach"),
        ({"status": "waiting", "asks": Ask(kind="approval")}, " Enter attach   v watch"),
        ({"status": "lost"}, " Enter bring back   R all of them   x forget"),
    ],
)
def test_keys_are_those_of_the_session_as_it_is(told: dict[str, Any], keys: str) -> None:
    """Who sees that something is asked sees beside it how it is answered, where it can be."""
    driver = Driver((24, 80))
    driver.connect(local=Computer(name="here", is_local=True))
    driver.load("here", [work("a", "title", **told)])
    driver.press("G")
    assert driver.lines()[-1].startswith(keys)
    assert "q quit" in driver.lines()[-1]


def test_what_the_selected_session_asks_is_told_in_words_at_80x24() -> None:
    """Where the row has no room for it, the line below the tree has."""
    driver = Driver((24, 80))
    driver.connect(local=Computer(name="here", is_local=True))
    driver.load("here", [work("a", "title", status="waiting", status_reason="approval", asks=ASKED)])
    driver.press("G")
    assert driver.lines()[-2].startswith(" needs approval: Bash: rm -r build")


def test_preparation_at_80x24() -> None:
    """Todos with their state, and what there is of each."""
    driver = busy()
    todos = [
        Todo(computer="here", project=alpha().path, slug="a", title="Seal the messages", status="in_progress", order=1),
        Todo(computer="here", project=alpha().path, slug="b", title="漢字", status="ready", order=2, has_plan=True),
        Todo(computer="here", project=alpha().path, slug="c", title="Done it", status="done", order=3),
    ]
    driver.load("here", [alpha(), *todos])
    driver.press("2", "g")
    assert driver.lines()[2:7] == [
        " ▾ here  this computer",
        "   ▾ alpha  ~/code/alpha  main",
        "     ● Seal the messages                                            in progress",
        "     ◆ 漢字                                   plan                  ready",
        "     ✓ Done it                                                      done",
    ]


@pytest.mark.parametrize("size", SCREENS)
@pytest.mark.parametrize("keys", [[], ["n"], ["m"], ["x"], ["?"], ["2"], ["h"], ["n", "tab", "tab"]])
def test_no_line_overflows_with_any_dialog(size: tuple[int, int], keys: list[str]) -> None:
    """Every screen has exactly its lines, each exactly its cells; the frame of a dialog is whole."""
    driver = busy(size)
    driver.press("j", "j", *keys)
    text = driver.text()
    assert text.count("╭") == text.count("╯") == (1 if driver.state.dialog else 0)


@given(st.integers(1, 60), st.integers(1, 200), st.sampled_from(["", "n", "m", "x", "?", "2"]))
@settings(max_examples=60, deadline=None)
def test_any_size_is_drawn(rows: int, columns: int, key: str) -> None:
    """No size, however small, is an error or overflows."""
    driver = busy()
    driver.press("j", "j", *([key] if key else []))
    driver.tell(Resized(rows, columns))
    driver.frame()
    driver.press("j", "tab", "G", "pgdn", "l")
    driver.frame()


NASTY = st.text(st.characters() | st.sampled_from("\x1b]\x07\x9b\n\r\t\u202e\u200b漢🎉\ud800e\u0301"), max_size=40)


@given(NASTY, NASTY, NASTY)
@settings(max_examples=60, deadline=None)
def test_no_text_reaches_the_terminal_as_a_command(title: str, path: str, reason: str) -> None:
    """Newlines, escapes and bidi in any field neither break a row nor act on the terminal."""
    driver = Driver()
    service = Service(name="tmux", state="down", reason=reason)
    driver.connect(Computer(name="raspi", role=title), local=Computer(name="here", is_local=True, services=(service,)))
    driver.load("here", [work("a", title, where="/" + path, status_reason=reason, command=title, status="waiting")])
    for key in ("g", "j", "j", "x", "esc", "m", "esc", "n", "esc", "2", "G"):
        driver.press(key)
        for line in driver.frame().lines:
            assert not any(has_control(text) for text, _ in line)


def test_a_bad_row_is_a_mark_and_a_traceback() -> None:
    """One record that lies costs its row, not the screen, and the traceback is not lost."""
    driver = busy()
    lying = work("z", 5)  # what no decoder lets through, and a bug might
    driver.put(lying)
    frame, text = driver.frame(), driver.text()
    assert "⚠ this row cannot be shown: see tui.log" in text
    assert "Fix the reader thread" in text
    assert any("Traceback" in problem for problem in frame.problems)


def test_what_waits_stands_out() -> None:
    """A waiting session has a look of its own, in the tree and in the header."""
    driver = busy()
    assert driver.style_of("needs approval") == "waiting"
    assert driver.style_of("漢字 wide") == "title-on"
    assert driver.style_of("◆ 1 waiting ") == "badge-waiting"


def test_offline_computers_are_dimmed_with_their_age() -> None:
    """Rows of a computer that does not answer stay, dimmed, and its age is told and grows."""
    driver = busy()
    driver.press("j", "G", "k")
    driver.tick(0)
    driver.load("raspi", [work("r", "remote work", computer="raspi", where="/r")])
    while driver.selected() != "raspi":
        driver.press("k")
    driver.press("l", "g")
    assert driver.style_of("remote work") == "gone"
    assert "offline 3 min" in driver.text()
    driver.tick(60)
    assert "offline 4 min" in driver.text()


def test_services_that_are_wrong_are_told_in_words() -> None:
    """What ails a computer stands in its row, and whole below when it is selected."""
    trouble = (
        Service(name="tmux", state="hung", reason="tmux does not answer since 5 s"),
        Service(name="redis", state="down"),
    )
    driver = busy(services=trouble)
    assert "⚠ tmux does not a…" in driver.lines()[2]
    assert driver.lines()[-2] == " tmux does not answer since 5 s; redis is down"
    calm = busy(services=(Service(name="tmux", state="ok"), Service(name="redis", state="off")))
    assert "⚠" not in calm.text()


def test_ids_are_shown_whole_or_not_at_all() -> None:
    """An id that is shown can be copied; where there is no room for all of it, it is left out."""
    driver = busy()
    driver.put(work("0123456789abcdef", "long", cwd="/home/me/code/alpha"))
    while driver.selected() != "0123456789abcdef":
        driver.press("j")
    assert driver.lines()[-2].endswith("id 0123456789abcdef")
    driver.put(work("0123456789abcdef", "long", cwd="/home/me/" + "x" * 60))
    assert "0123" not in driver.text()


def down(driver: Driver, reason: str = "the daemon has gone", delay: float = 3.0) -> None:
    """Lose the connection."""
    driver.push(Disconnected(reason=reason, retry_at=driver.state.mono + delay))


def test_without_the_daemon_the_last_tree_stays_dimmed_and_says_so() -> None:
    """A banner counts down to the next try; the tree stays, and lives again when the daemon is back."""
    driver = busy()
    down(driver)
    assert "daemon not reachable · reconnecting in 3 s" in driver.lines()[1]
    assert driver.style_of("Fix the reader") == "gone"
    driver.tick(1)
    assert "reconnecting in 2 s" in driver.lines()[1]
    driver.push(Connected(epoch="e1", version=9, computer="here"))
    assert "reconnecting" not in driver.text()
    assert driver.style_of("Fix the reader") == "title"


def test_stale_data_is_marked() -> None:
    """While a worker is away, what is shown is said to be the last known state, and why."""
    driver = busy()
    driver.push(HealthEvent(stale=True, reason="the sync process is starting again"))
    assert "showing the last known state: the sync process is starting again" in driver.lines()[1]
    driver.push(HealthEvent())
    assert driver.lines()[1] == "─" * 80


def test_the_daemon_is_started_when_it_is_not_there() -> None:
    """The screen is there at once and says what happens; a start that fails is told with its reason."""
    driver = Driver()
    assert driver.tell(Looked([], is_running=False)) == [StartDaemon()]
    assert "starting the daemon…" in driver.text()
    down(driver)
    assert "starting the daemon…" in driver.text()
    driver.tell(Done(StartDaemon(), code="unavailable", reason="tmux is not installed"))
    assert "The daemon did not start: tmux is not installed" in driver.text()
    assert "Press r to start it" in driver.text()


def test_a_daemon_that_answers_before_its_start_is_told_is_connected() -> None:
    """The connection may be there before the command that starts the daemon has ended; it stays "up" then."""
    driver = Driver()
    driver.tell(Looked([], is_running=False))
    driver.connect()
    driver.tell(Done(StartDaemon()))
    assert driver.state.link.phase == "up"
    driver.tell(Done(StartDaemon(), code="unavailable", reason="it runs already"))
    assert driver.state.link.phase == "up"


def test_empty_states_say_what_to_do() -> None:
    """Nowhere is there a blank screen without a word."""
    driver = Driver()
    assert "Connecting…" in driver.text()
    driver.connect()
    assert "No sessions. Press n to start one, or run tmux." in driver.text()
    driver.press("2")
    assert "No todos. Write them into todos/roadmap.md" in driver.text()


def test_a_record_that_cannot_be_read_is_told() -> None:
    """What was left out is not left out silently."""
    driver = busy()
    driver.push(Malformed(reason="one of the sessions: no"))
    assert "cannot be read: see tui.log" in driver.text()


def test_the_clock_is_needed_only_when_words_change() -> None:
    """Nothing on the screen that ages: no tick at all. Else the next tick is when the first age changes."""
    driver = Driver()
    driver.connect()
    assert next_tick(driver.state) is None
    driver.load("here", [alpha(), work("a", "one", age=90), work("b", "two", age=3599)])
    wait = next_tick(driver.state)
    assert wait is not None
    before = view(driver.state)
    driver.tick(wait - 0.1)
    assert view(driver.state) == before
    driver.tick(wait)
    assert view(driver.state) != before
    down(driver, delay=7.0)
    wait = next_tick(driver.state)
    assert wait is not None
    assert wait <= 1.01


def test_words_above_the_keys_go_by_themselves() -> None:
    """A notice is shown for some seconds, and the clock is set for its end."""
    driver = busy()
    driver.press("m")
    assert driver.state.notice is not None
    wait = next_tick(driver.state)
    assert wait is not None
    driver.tick(driver.state.notice.until - 1000.0 + 0.1)
    assert driver.state.notice is None


def test_of_ten_thousand_sessions_only_those_in_sight_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing costs a screenful, however many there are."""
    driver = Driver()
    driver.connect()
    driver.load("here", [alpha(), *(work(f"s{n:05}", f"title {n}") for n in range(10_000))])
    driver.press("G")
    drawn: list[str] = []
    original = row_lines.line_of

    def counted(row: TreeRow, state: ClientState) -> Line:
        drawn.append(row.ref)
        return original(row, state)

    monkeypatch.setattr(row_lines, "line_of", counted)
    lines = driver.lines()
    assert len(drawn) == driver.state.page
    assert "10002/10002" in lines[-1]


def test_messages_that_say_nothing_new_change_nothing() -> None:
    """The same state gives the same frame."""
    driver = busy()
    before = driver.frame()
    empty: list[Message] = []
    driver.push(*empty)
    assert driver.frame() == before
