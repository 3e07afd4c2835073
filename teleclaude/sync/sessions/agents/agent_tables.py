"""All agents that are known, by the name of their program."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from teleclaude.sync.sessions.agents.agent_table import AgentTable
from teleclaude.sync.sessions.agents.claude import CLAUDE
from teleclaude.sync.sessions.agents.codex import CODEX
from teleclaude.sync.sessions.agents.gemini import GEMINI
from teleclaude.sync.sessions.agents.opencode import OPENCODE

TABLES: Final[Mapping[str, AgentTable]] = MappingProxyType(
    {table.name: table for table in (CLAUDE, CODEX, GEMINI, OPENCODE)}
)
UNKNOWN_AGENT: Final = AgentTable(name="")  # of a profile that runs something else


def table_of(program: str) -> AgentTable:
    """Give the table of a program; of one that is not known, the marks that many set in their titles, and no more."""
    return TABLES.get(program, UNKNOWN_AGENT)
