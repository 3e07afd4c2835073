"""The parser of plans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.text import has_control
from teleclaude.sync.projects.markdown import (
    DESCRIPTION_LIMIT,
    ITEMS_LIMIT,
    TITLE_LIMIT,
    Item,
    parse_roadmap,
    parse_tasks,
    slug_from,
    unique,
)

ROADMAP = """# Roadmap

Some words.

- [ ] first-thing: Make the first thing
    Why it matters.

      An inner line.
    - [ ] a step of it
- [.] second \N{EN DASH} The second
- [>] `third` - The third
- [x] fourth
* [X] **T-5**: A ticket
1. [ ] a plain sentence without a slug
- [ ] Fix: a capital word is no slug
"""


def test_roadmap() -> None:
    """Marks, slugs in each way of writing, titles, and the description below are read."""
    assert parse_roadmap(ROADMAP) == [
        Item(
            "first-thing",
            "Make the first thing",
            "pending",
            "Why it matters.\n\n  An inner line.\n- [ ] a step of it",
            "first-thing",
        ),
        Item("second", "The second", "ready", "", "second"),
        Item("third", "The third", "in_progress", "", "third"),
        Item("fourth", "fourth", "done", "", "fourth"),
        Item("T-5", "A ticket", "done", "", "T-5"),
        Item("a-plain-sentence-without-a-slug", "a plain sentence without a slug", "pending"),
        Item("fix-a-capital-word-is-no-slug", "Fix: a capital word is no slug", "pending"),
    ]


def test_tasks() -> None:
    """A task list gives nested items after their parent, each with the plain lines below it."""
    text = "- [ ] Build it\r\n  with care\r\n  - [x] Cut\r\n    sharp\r\n  - [>] Glue\r\n- [ ] Paint it\r\nNo more.\r\n"
    assert [(item.slug, item.title, item.status, item.description) for item in parse_tasks(text)] == [
        ("build-it", "Build it", "pending", "with care"),
        ("cut", "Cut", "done", "sharp"),
        ("glue", "Glue", "in_progress", ""),
        ("paint-it", "Paint it", "pending", ""),
    ]


@pytest.mark.parametrize(
    "line",
    ["- [a](link)", "- [ ]", "-[ ] x", "[ ] x", "- [xx] x", "text - [ ] x", "- [ ]x", "# - [ ] x", ""],
)
def test_no_item(line: str) -> None:
    """A link, a mark without text and text with a mark inside are no items."""
    assert parse_roadmap(line) == parse_tasks(line) == []


@pytest.mark.parametrize(
    "hidden",
    [
        "```\n- [ ] b: B\n```\n",
        "~~~~\n- [ ] b: B\n~~~\n- [ ] b: B\n~~~~\n",
        "<!--\n- [ ] b: B\n-->\n",
        "<!-- - [ ] b -->\n",
    ],
)
def test_hidden(hidden: str) -> None:
    """What stands in fenced code or a comment is no item; what stands behind it is."""
    assert [item.slug for item in parse_roadmap(f"- [ ] a: A\n{hidden}- [ ] c: C\n")] == ["a", "c"]


@pytest.mark.parametrize("opener", ["```", "<!--", "  ```sh", "  <!-- x"])
def test_unclosed(opener: str) -> None:
    """A fence or comment that somebody forgot to close hides nothing behind it."""
    assert [item.slug for item in parse_roadmap(f"- [ ] a: A\n{opener}\n- [ ] c: C\n")] == ["a", "c"]


def test_unique_slugs() -> None:
    """Two items never share a slug; a slug that was written is nobody else's, wherever it stands."""
    items = parse_roadmap("- [ ] a\n- [ ] a\n- [ ] a-2\n- [ ] a\n")
    assert [item.slug for item in unique(items)] == ["a", "a-3", "a-2", "a-4"]
    assert [item.folder for item in unique(items)] == ["a", "a", "a-2", "a"]


def test_made_slugs() -> None:
    """A slug made from a text depends on the text alone, and there is one for every text."""
    assert slug_from("Größe, ändern! (now)") == "grösse-ändern-now"
    assert slug_from("🎉").startswith("todo-")
    long = slug_from("word " * 100)
    assert len(long) <= 64
    assert long != slug_from("word " * 100 + "end")


def test_what_no_terminal_should_get() -> None:
    """Escape sequences, NUL and bidi overrides become marks in slugs and titles."""
    (item,) = parse_roadmap("- [ ] ab: \x1b]0;x\x07 \0 \u202eevil\n")
    assert not has_control(item.title)
    assert "evil" in item.title
    assert not has_control(parse_tasks("- [ ] \x1b[31m \0 x")[0].slug)


def test_limits() -> None:
    """A hostile file gives at most so many items, of at most such a length, in time that grows with its size."""
    # A parser that is quadratic in one of these takes hours, and pytest's time limit ends it.
    for text in ("<!--\n" * 200_000, "```\n" * 200_000, " " * 1_000_000 + "x", "- [ ] " * 200_000, "- [" * 300_000):
        parse_tasks(text)
    assert len(parse_tasks("- [ ] same\n" * 5000)) == ITEMS_LIMIT
    (item,) = parse_roadmap("- [ ] a: " + "x" * 9999 + "\n" + "  y\n" * 9999)
    assert (len(item.title), len(item.description)) == (TITLE_LIMIT, DESCRIPTION_LIMIT - 1)


MARKDOWN = st.lists(
    st.one_of(
        st.sampled_from(
            ["- [ ] a: A", "  - [x] b", "\t* [>] c - d", "```", "<!--", "-->", "", "    text", "- [.] `e`"]
        ),
        st.text(max_size=30),
    ),
    max_size=30,
).map("\n".join)


@given(MARKDOWN)
def test_never_raises(text: str) -> None:
    """Whatever a file holds, there is a list of items whose slugs differ and are not empty."""
    for parse in (parse_roadmap, parse_tasks):
        slugs = [item.slug for item in unique(parse(text))]
        assert len(set(slugs)) == len(slugs)
        assert all(slugs)


@given(MARKDOWN)
def test_idempotent(text: str) -> None:
    """A list written as a roadmap again is read as the same list: same order, slugs, titles, marks."""
    marks = {"pending": " ", "ready": ".", "in_progress": ">", "done": "x"}
    items = [item for item in parse_roadmap(text) if item.folder]
    again = parse_roadmap("".join(f"- [{marks[item.status]}] {item.folder}: {item.title}\n" for item in items))
    assert [(i.slug, i.title, i.status) for i in again] == [(i.slug, i.title, i.status) for i in items]


@given(st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)), st.data())
def test_order_kept(slugs: list[str], data: st.DataObject) -> None:
    """Items come in the order of their lines, whatever stands between them."""
    noise = st.sampled_from(["", "\n", "words\n", "  more\n", "## head\n"])
    text = "".join(f"- [ ] {slug}: T\n{data.draw(noise)}" for slug in slugs)
    assert [item.slug for item in parse_roadmap(text)] == slugs


@given(st.lists(st.sampled_from(["a", "a-2", "a-3", "b"])))
def test_unique_keeps_what_is_unique(slugs: list[str]) -> None:
    """Making slugs unique leaves the first of each as it is, and a list that is unique wholly."""
    items = [Item(slug, "t", "pending") for slug in slugs]
    made = unique(items)
    assert unique(made) == made
    assert [item for item in made if item in items] == list(dict.fromkeys(items))
