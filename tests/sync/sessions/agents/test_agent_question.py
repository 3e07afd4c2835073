"""The tables of agents, on what the agents themselves were seen to show."""

# ruff: noqa: RUF001  (the agents' own characters)

from __future__ import annotations

import pytest

from teleclaude.sync.sessions.agents.agent_question import is_unsent, question
from teleclaude.sync.sessions.agents.agent_table import Shown
from teleclaude.sync.sessions.agents.agent_tables import TABLES

RULE = "─" * 60
CLAUDE_AT_PROMPT = f"""
❯ 1. hello there

● 1. Stub answer: done.

✻ Churned for 0s

{RULE}
❯\xa0
{RULE}
  ? for shortcuts · ← for agents
"""
CLAUDE_DRAFT = CLAUDE_AT_PROMPT.replace("❯\xa0", "❯\xa01. a draft")
CLAUDE_TRUST = f"""
{RULE}
 Accessing workspace:

 /work/proj

 Quick safety check: Is this a project you created or one you trust?

 ❯ 1. Yes, I trust this folder
   2. No, exit

 Enter to confirm · Esc to cancel
"""
CLAUDE_PERMISSION = f"""
❯ do it

● Bash(touch made-by-agent.txt)
  ⎿  Waiting…

{RULE}
 Do you want to proceed?
 ❯ 1. Yes
   2. Yes, and always allow access to work/ from this project
   3. No

 Esc to cancel · Tab to amend · ctrl+e to explain
"""
CLAUDE_QUESTION = f"""
❯ do ASKUSER

● I will use a tool.
{RULE}
 ☐ Colour

Which colour?

  1. Red
❯ 2. Blue
  3. Type something.
{RULE}
Enter to select · ↑/↓ to navigate · Esc to cancel
"""
CODEX_AT_PROMPT = """
› 1. hello

• Stub answer: done.

› Ask Codex to do anything

  gpt-5-stub default · /work/proj
"""
CODEX_TRUST = """
  Folder access
  /work/proj

  Trust this folder? Codex can read, edit, and run files here, subject to your permission settings.

› 1. Trust and continue
  2. Back to Agent Command Center

  enter continue · esc back
"""
GEMINI_TRUST = """
 │ Do you trust the files in this folder?                     │
 │                                                            │
 │ ● 1. Trust folder (proj)                                   │
 │   2. Trust parent folder (work)                            │
 │   3. Don't trust                                           │
"""
GEMINI_AT_PROMPT = """
 > 1. hello
✦ Stub answer: done.
 >   Type your message or @path/to/file
"""


def shown(screen: str, title: str, **more: str) -> Shown:
    return Shown(title=title, untitled="vm", folder="/work/proj", screen=screen, **more)


@pytest.mark.parametrize(
    ("agent", "what", "kind"),
    [
        ("claude", shown(CLAUDE_TRUST, "vm"), "approval"),
        ("claude", shown(CLAUDE_TRUST, "✳ of another run"), "approval"),
        ("claude", shown(CLAUDE_PERMISSION, "✳ title"), "approval"),
        ("claude", shown(CLAUDE_QUESTION, "✳ title"), "approval"),
        (
            "claude",
            shown(CLAUDE_AT_PROMPT, "✳ title", file_status="waiting", waiting_for="permission prompt"),
            "approval",
        ),
        ("claude", shown(CLAUDE_PERMISSION, "✳ title", file_status="idle"), "approval"),
        ("claude", shown("", "vm"), "unready"),
        ("claude", shown("", ""), "unready"),
        ("codex", shown(CODEX_TRUST, "vm"), "approval"),
        ("codex", shown(CODEX_AT_PROMPT, "vm"), "unready"),
        ("codex", shown(CODEX_AT_PROMPT, "[ ! ] Action Required | proj"), "approval"),
        ("codex", shown(CODEX_AT_PROMPT, "[ . ] Action Required | proj"), "approval"),
        ("gemini", shown(GEMINI_TRUST, "◇  Ready (proj)"), "approval"),
        ("gemini", shown(GEMINI_AT_PROMPT, "✋  Action Required (proj)"), "approval"),
    ],
)
def test_an_agent_that_asks_is_seen_to(agent: str, what: Shown, kind: str) -> None:
    """Each of the questions that an agent was seen to ask is one, and then it is not ready."""
    asked = question(TABLES[agent], what)
    assert asked is not None
    assert asked.kind == kind


@pytest.mark.parametrize(
    ("agent", "what"),
    [
        ("claude", shown(CLAUDE_AT_PROMPT, "✳ title")),
        ("claude", shown(CLAUDE_DRAFT, "✳ title", file_status="idle")),
        ("claude", shown(CLAUDE_AT_PROMPT, "vm", file_status="idle")),
        ("codex", shown(CODEX_AT_PROMPT, "proj")),
        ("gemini", shown(GEMINI_AT_PROMPT, "◇  Ready (proj)")),
    ],
)
def test_an_agent_at_its_prompt_takes_a_text(agent: str, what: Shown) -> None:
    """No answer, numbered list or draft on the screen is taken for a question."""
    assert question(TABLES[agent], what) is None
    assert TABLES[agent].ready(what)


@pytest.mark.parametrize(
    ("agent", "what"),
    [
        ("claude", shown(CLAUDE_AT_PROMPT, "⠂ title")),
        ("claude", shown(CLAUDE_AT_PROMPT, "✳ title", file_status="busy")),
        ("codex", shown(CODEX_AT_PROMPT, "⠂ proj")),
        ("codex", shown(CODEX_AT_PROMPT, "somebody@vm: ~")),
        ("gemini", shown("Authenticated", "◇  Ready (proj)")),
    ],
)
def test_no_sign_is_not_ready(agent: str, what: Shown) -> None:
    """An agent that works may be told more, but a first message waits for the agent's own sign."""
    assert question(TABLES[agent], what) is None
    assert not TABLES[agent].ready(what)


@pytest.mark.parametrize(
    ("agent", "screen", "text", "unsent"),
    [
        ("claude", CLAUDE_DRAFT, "1. a draft\nand more", True),
        ("claude", CLAUDE_AT_PROMPT, "1. hello there", False),
        ("claude", CLAUDE_AT_PROMPT.replace("❯\xa0", "❯\xa0[Pasted text #1 +30 lines]"), "long", True),
        ("claude", CLAUDE_PERMISSION, "do it", False),
        ("codex", CODEX_AT_PROMPT, "1. hello", False),
        ("codex", CODEX_AT_PROMPT.replace("Ask Codex to do anything", "1. hello"), "1. hello", True),
        ("gemini", GEMINI_AT_PROMPT, "1. hello", False),
        ("opencode", "anything", "anything", False),
        ("claude", CLAUDE_DRAFT, " \n ", False),
    ],
)
def test_what_still_stands_at_the_prompt(agent: str, screen: str, text: str, unsent: bool) -> None:
    """A text that was pasted is found at the prompt, and not where it stands once it was sent."""
    assert is_unsent(TABLES[agent], screen, text) == unsent


def test_a_folder_named_as_the_computer_tells_nothing() -> None:
    """Codex' title is the folder's name: where tmux' own title is the same, it is no sign."""
    what = Shown(title="vm", untitled="vm", folder="/work/vm", screen=CODEX_AT_PROMPT)
    assert not TABLES["codex"].ready(what)
