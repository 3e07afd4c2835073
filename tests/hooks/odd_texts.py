"""Settings files as people and programs leave them: any formatting that the format allows. For hypothesis."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

OURS = "/state/hooks/teleclaude-hook"
EVENTS = ("Stop", "SessionEnd", "PreToolUse")

_space = st.sampled_from(["", "", " ", "\n", "\n\t", "\r\n  ", "   ", "\n\n    "])
_comment = st.sampled_from(["// c\n", '/* , " } */', "//\n", "/* a\n b */", '// "x": [1,\n'])
_word = st.text(st.characters(blacklist_categories=["Cs"]), max_size=6)
_scalar = st.one_of(
    st.integers(-5, 5).map(str), st.sampled_from(["true", "false", "null", "1e3", "-0.5"]), _word.map(json.dumps)
)


def _gap(*, comments: bool) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(_space, _comment) if comments else _space, max_size=2).map("".join)


@st.composite
def _array(draw: Any, part: st.SearchStrategy[str], *, comments: bool) -> str:
    gap = _gap(comments=comments)
    parts = draw(st.lists(part, max_size=3))
    inner = ",".join(draw(gap) + text + draw(gap) for text in parts) if parts else draw(gap)
    return f"[{inner}]"


@st.composite
def _object(draw: Any, members: dict[str, st.SearchStrategy[str]], *, comments: bool) -> str:
    gap = _gap(comments=comments)
    names = draw(st.permutations(sorted(members)))[: draw(st.integers(0, len(members)))]
    inner = ",".join(
        draw(gap) + json.dumps(name) + draw(gap) + ":" + draw(gap) + draw(members[name]) + draw(gap) for name in names
    )
    return "{" + (inner or draw(gap)) + "}"


def _handler(*, comments: bool) -> st.SearchStrategy[str]:
    command = st.sampled_from(["say done", "/other/teleclaude-hook claude Stop", OURS + "s claude Stop", "'unended"])
    return _object({"type": st.just('"command"'), "command": command.map(json.dumps)}, comments=comments)


def json_texts(*, comments: bool) -> st.SearchStrategy[str]:
    """Settings in JSON: other members, and hooks of others, or none."""
    handlers = _array(_handler(comments=comments), comments=comments)
    group = _object({"matcher": st.just('"*"'), "hooks": handlers}, comments=comments)
    groups = _array(group, comments=comments)
    hooks = _object({"Stop": groups, "PreToolUse": groups, "Other": groups}, comments=comments)
    anything = st.one_of(_scalar, _array(_scalar, comments=comments), _object({"x": _scalar}, comments=comments))
    switch = _object({"enabled": st.just("true"), "other": _scalar}, comments=comments)
    root = _object({"hooks": hooks, "a": anything, "b": anything, "hooksConfig": switch}, comments=comments)
    gap = _gap(comments=comments)
    return st.tuples(st.sampled_from(["", "\ufeff"]), gap, root, gap).map("".join)


_toml_value = st.sampled_from(
    [
        "1",
        '"a # b"',
        "'''\n[[hooks.Stop]]\n'''",
        '"""\\"""\n[x]\n"""',
        '[\n  ["x"], # c\n  [],\n]',
        "{ a = 1, b = ['}'] }",
        '"""a""""',
        "1979-05-27T07:32:00Z",
    ]
)
_toml_table = st.sampled_from(
    [
        "[a.b]\n",
        '[projects."/x [y]"]\n',
        "[[list]]\n",
        '[hooks.state."x:stop:0:0"]\n',
        "[[hooks.Stop]]\n[[hooks.Stop.hooks]]\n",
        "[[hooks.Stop]]\nmatcher = '*'\n[[hooks.Stop.hooks]] # theirs\ncommand = \"say [x]\"\n",
        '  [ c . "d" ]   # c\n',
    ]
)


@st.composite
def toml_texts(draw: Any) -> str:
    """Settings in TOML, with hooks of others, or none."""
    line_end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    tables = ["", *draw(st.lists(_toml_table, max_size=4, unique=True))]
    out = draw(st.sampled_from(["", "\n", "# first\n"]))
    number = 0
    for table in tables:
        out += draw(st.sampled_from(["", "\n", "# c ]\n\n"])) + table
        for _ in range(draw(st.integers(0, 2))):
            number += 1
            out += f"k{number} = {draw(_toml_value)}{draw(st.sampled_from(['', '  # [[hooks.Stop]]']))}\n"
    out = str(out + draw(st.sampled_from(["", "\n", "# end"])))
    return (out.removesuffix("\n") if draw(st.booleans()) else out).replace("\n", line_end)
