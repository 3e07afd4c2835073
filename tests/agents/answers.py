"""What the stub of the models answers: chosen by a word in the newest message of the user, `do BASH` or `say TEXT`.

The words: TEXT (a short text; also without a word), SLOW (a text over some seconds), BASH (a command that needs a
permission), LONG (one that runs for some seconds), FAIL (one that exits 3), WRITE (a file), ASK (a question with
choices), PLAN (a plan to be allowed), SUBAGENT, and ERR400, ERR401, ERR429, ERR500 (that HTTP status).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAID = "Stub answer: done."
SLOW_PARTS, SLOW_PAUSE = 10, 0.4  # seconds between the parts
QUESTION = "Which colour?"
COLOURS = ("Red", "Blue")
_WORD = re.compile(
    r"\b(?:do|say) (TEXT|SLOW|BASH|LONG|FAIL|WRITE|ASK|PLAN|SUBAGENT|ERR4(?:00|01|29)|ERR500)(?![A-Z0-9])"
)
_ERRORS = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 500: "api_error"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answers. `error`: an HTTP status in its place; `pause`: seconds before each part of the text."""

    parts: tuple[str, ...] = (SAID,)
    pause: float = 0.0
    error: int = 0
    tool: str = ""  # a word, such as BASH

    @property
    def error_type(self) -> str:
        """The name of its error."""
        return _ERRORS.get(self.error, "api_error")


def has_word(text: str) -> bool:
    """Tell whether a message says what to answer."""
    return bool(_WORD.search(text))


def answer_to(text: str, *, is_result: bool, has_tools: bool) -> Answer:
    """Choose the answer to a message; to a tool's result, and to side questions without tools, it is a text."""
    found = _WORD.findall(text)
    word = found[-1] if found and has_tools and not is_result else "TEXT"
    if word.startswith("ERR"):
        return Answer(error=int(word[3:]))
    if word == "SLOW":
        return Answer(tuple(f"slow part {number}\n" for number in range(SLOW_PARTS)), SLOW_PAUSE)
    return Answer() if word == "TEXT" else Answer(tool=word)


class Tools:
    """The input of each tool, by its word. `folder`: where commands leave their marks."""

    def __init__(self, folder: Path) -> None:
        self.marker, self._written = folder / "made-by-agent.txt", folder / "written.txt"

    def clean(self) -> None:
        """Remove what they left: a file that is there is not written again without having been read."""
        self.marker.unlink(missing_ok=True)
        self._written.unlink(missing_ok=True)

    def command(self, word: str) -> str:
        """The shell command of a word; empty when it is none."""
        touch = f"touch {self.marker}"
        return {"BASH": touch, "LONG": f"sleep 4; {touch}", "FAIL": f"{touch}; exit 3"}.get(word, "")

    def file(self, word: str) -> dict[str, str]:
        """What a word writes."""
        return {"path": str(self._written), "content": "hello\n"} if word == "WRITE" else {}

    def of(self, word: str) -> str:
        """What a permission for a word shows of it: the command, or the file."""
        return self.command(word) or self.file(word)["path"]

    def question(self, word: str, **more: Any) -> dict[str, Any]:
        """What a word asks, with what one agent wants besides."""
        options = [{"label": label, "description": label.lower()} for label in COLOURS]
        asked = {"question": QUESTION, "header": "Colour", "options": options, **more}
        return {"questions": [asked]} if word == "ASK" else {}
