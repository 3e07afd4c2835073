"""Why an agent's turn failed, in a few words, from what it told. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from teleclaude.core.text import one_line

# In order: what is looked for in what was told, in small letters, and what it is.
_WORDS: Final = (
    (r"rate.?limit|usage.?limit|too many requests|quota|\b429\b|limit reached", "rate limit"),
    (r"overloaded|\b529\b", "overloaded"),
    (r"authenticat|unauthori[sz]ed|invalid api key|log ?in|oauth|\b401\b|\b403\b", "authentication"),
    (r"billing|credit|payment", "billing"),
    (r"max_output_tokens|output.?length|too long|context.?(length|window)", "too long"),
    (r"invalid_request|bad request|\b400\b", "request refused"),
    (r"connect|network|timed? ?out|unreachable", "no connection"),
    (r"server_error|internal|api error|\b5\d\d\b", "server error"),
)
_RESET: Final = re.compile(
    r"reset(?:s|ting)?(?: (?:at|on|in))?[ :]+((?:in )?[A-Za-z0-9][A-Za-z0-9:, ]{0,30}(?:\([A-Za-z0-9_/+-]{2,32}\))?)"
)
_TRY_AGAIN: Final = re.compile(r"try again (in [0-9][0-9a-z .]{0,20}|at [A-Za-z0-9:, ]{2,30})", re.IGNORECASE)


def failure_words(*told: str) -> str:
    """Give the reason of an error; the first of `told` (the agent's own word for it) goes before the rest."""
    texts = [text[:4000] for text in told if text]
    for text in texts:
        found = next((words for pattern, words in _WORDS if re.search(pattern, text.lower())), "")
        if found:
            reset = next((when for text in texts if (when := _reset(text))), "") if found == "rate limit" else ""
            return f"{found}, {reset}" if reset else found
    return "error"


def _reset(text: str) -> str:
    found = _RESET.search(text)
    if found:
        return one_line(f"resets {found[1].strip(' ,')}", 60)
    again = _TRY_AGAIN.search(text)
    return one_line(f"try again {again[1].strip(' .,')}", 60) if again else ""


def texts_of_error(body: dict[str, Any]) -> tuple[str, ...]:
    """Give what a hook's body tells of an error: a word, an object with a name and a message, a message."""
    error = body.get("error")
    told: list[object] = [error, body.get("last_assistant_message"), body.get("message")]
    if isinstance(error, dict):
        data = error.get("data")
        inner = data if isinstance(data, dict) else {}
        told = [error.get("name"), str(inner.get("statusCode", "")), inner.get("message"), error.get("message")]
    return tuple(text for text in told if isinstance(text, str) and text)
