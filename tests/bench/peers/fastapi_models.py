"""Peer: FastAPI with response models, on uvicorn with uvloop and httptools."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class TmuxModel(BaseModel):
    """Where a session lives in tmux."""

    name: str
    session: str
    window: str
    pane: str


class SessionModel(BaseModel):
    """A session."""

    session_id: str
    computer: str
    project: str = ""
    cwd: str = ""
    title: str = ""
    agent: str = "shell"
    thinking_mode: str = ""
    status: str = "unknown"
    status_reason: str = ""
    status_since: str = ""
    command: str = ""
    created_at: str = ""
    last_activity: str = ""
    last_input: str = ""
    last_output: str = ""
    attached: int = 0
    parent: str = ""
    tmux: TmuxModel


app = FastAPI()
rows: list[SessionModel] = []


@app.get("/sessions", response_model=list[SessionModel])
async def sessions() -> list[SessionModel]:
    """All sessions."""
    return rows


def main() -> None:
    """Serve the JSON in the file argv[2] on the unix socket argv[1]."""
    rows.extend(SessionModel(**row) for row in msgspec.json.decode(Path(sys.argv[2]).read_bytes()))
    uvicorn.run(app, uds=sys.argv[1], loop="uvloop", http="httptools", log_level="critical", access_log=False)


main()
