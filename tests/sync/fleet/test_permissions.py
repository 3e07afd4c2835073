"""What another computer may do here, by its name and what it asks."""

from __future__ import annotations

import pytest

from teleclaude.core.settings import parse
from teleclaude.core.verbs import Args, End, Keys, Message, Output, Rename, Start
from teleclaude.sync.fleet.owner.permissions import lacking
from tests import make
from tests.sync.fleet.conftest import MakeNode
from tests.wait import until

SETTINGS = """
[fleet.allow]
"*" = ["view", "message", "start", "end"]
starter = ["start"]
teller = ["start", "message"]
admin = ["start", "message", "shell"]
nobody = []
[agents.sh]
command = "sh"
[agents.claude]
command = "claude"
"""


def start(agent: str = "claude", message: str = "") -> Start:
    """A start of a profile."""
    return Start(project="/p", agent=agent, message=message)


@pytest.mark.parametrize(
    ("sender", "args", "right"),
    [
        ("any", Output(session_id="x"), None),
        ("any", start(), None),
        ("any", start(message="do it"), None),
        ("any", start("shell"), "shell"),
        ("any", start("sh"), None),  # a profile that was written into the settings was asked for
        ("any", start("none such"), None),  # refused where it would run
        ("starter", start(), None),
        ("starter", start(message="id > /tmp/pwned"), "message"),
        ("starter", start("shell"), "shell"),
        ("starter", Message(session_id="x", text="x"), "message"),
        ("starter", Keys(session_id="x", keys=["Enter"]), "message"),
        ("starter", Rename(session_id="x", title="x"), "message"),
        ("starter", End(session_id="x"), "end"),
        ("teller", start(message="do it"), None),
        ("teller", start("shell", "id"), "shell"),
        ("admin", start("shell", "id"), None),
        ("nobody", Output(session_id="x"), "view"),
    ],
)
def test_the_first_right_that_is_lacking(sender: str, args: Args, right: str | None) -> None:
    """A first message needs `message`, a login shell needs `shell`, which nobody has unless it is written (F20)."""
    assert lacking(parse(SETTINGS), sender, args) == right


def test_a_start_is_no_free_shell(node: MakeNode) -> None:
    """By default no other computer starts a shell here, and is told what it lacks; an agent it may start and tell."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    request = make.request("far", start("shell", "id > /tmp/pwned"))
    near.half.submit(request)
    outcome = near.ended(request)
    assert (outcome.code, far.ran) == ("refused", [])
    assert '"shell" is not in its setting fleet.allow for near' in outcome.message
    near.half.submit(request := make.request("far", start(message="hello")))
    assert near.ended(request).status == "ok"
