"""Names of looks, and the SGR sequences they become.

Colours come from the 256-colour table, in shades that read on dark and on light ground; whatever is selected has both
its colours set. Without colours (NO_COLOR, a dumb terminal) bold, dim and reverse remain.
"""

from __future__ import annotations

from collections.abc import Mapping

_AGENT_COLOURS = {
    "black": 240, "red": 167, "green": 71, "yellow": 178, "blue": 68, "magenta": 133, "cyan": 73, "white": 250,
    "orange": 173, "pink": 175, "purple": 97, "grey": 245, "gray": 245,
}  # fmt: skip

# What each name looks like: bold, dim, colour.
_LOOKS: dict[str, tuple[bool, bool, int | None]] = {
    "": (False, False, None),
    "brand": (True, False, 68),
    "tab": (False, False, 245),
    "tab-on": (True, False, None),
    "rule": (False, False, 240),
    "text": (False, False, None),
    "soft": (False, False, 245),
    "computer": (True, False, None),
    "project": (False, False, 68),
    "title": (False, False, None),
    "title-on": (True, False, None),
    "key": (True, False, None),
    "running": (False, False, 68),
    "working": (False, False, 71),
    "waiting": (True, False, 178),
    "idle": (False, False, 245),
    "starting": (False, False, 73),
    "error": (True, False, 167),
    "ended": (False, False, 240),
    "lost": (False, False, 178),
    "unknown": (False, False, 245),
    "ready": (False, False, 73),
    "done": (False, False, 71),
    "attached": (False, False, 68),
    "warning": (True, False, 178),
    "gone": (False, True, 243),
    "box": (False, False, 68),
    "field": (False, False, None),
    "hint": (False, False, 245),
}
SELECTED, SELECTED_GONE = ":on", ":on-gone"
_GROUND = {SELECTED: (236, 255), SELECTED_GONE: (236, 245)}


def agent_style(colour: str) -> str:
    """Name of the look of an agent whose profile says `colour`."""
    return f"agent-{colour}" if colour in _AGENT_COLOURS else "agent-white"


def palette(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the SGR of each name, and of each name on a selected row (with `SELECTED` behind it)."""
    has_colours = not environ.get("NO_COLOR") and environ.get("TERM", "") not in {"", "dumb", "vt100", "vt220"}
    looks = dict(_LOOKS) | {f"agent-{name}": (False, False, code) for name, code in _AGENT_COLOURS.items()}
    found: dict[str, str] = {}
    for name, (bold, dim, colour) in looks.items():
        base = ("1;" if bold else "") + ("2;" if dim else "")
        found[name] = _sgr(base + (f"38;5;{colour};" if has_colours and colour is not None else ""))
        for suffix, (ground, text) in _GROUND.items():
            found[name + suffix] = _sgr(
                base + (f"48;5;{ground};38;5;{_on_dark(colour, text)};" if has_colours else "7;")
            )
    found["button-on"] = _sgr("1;48;5;68;38;5;231;" if has_colours else "7;")
    found["field-on"] = _sgr("48;5;236;38;5;255;" if has_colours else "4;")
    found["badge-waiting"] = _sgr("1;48;5;178;38;5;16;" if has_colours else "7;")
    found["banner"] = _sgr("1;48;5;130;38;5;231;" if has_colours else "7;")
    return found


def has_colours(looks: Mapping[str, str]) -> bool:
    """Tell whether a palette has colours."""
    return "38;5;" in looks.get("running", "")


def without_colours(sgr: str) -> str:
    """Give the looks of a sequence (bold, reverse and their kind) without its colours."""
    from teleclaude.core.sgr import Pen, runs  # only where a session's screen is shown without colours

    return Pen([pen for _, pen in runs(sgr)][-1].looks).sgr


def _on_dark(colour: int | None, text: int) -> int:
    """Colour on the selected row's dark ground: greys that would vanish there are lifted."""
    return text if colour is None else 250 if colour >= 240 else colour


def _sgr(codes: str) -> str:
    return f"\x1b[{codes.rstrip(';')}m" if codes else ""
