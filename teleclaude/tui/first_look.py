"""The first look at the daemon, by plain GETs, for the first screen: the reader's imports take longer than that."""

from __future__ import annotations

from teleclaude.client.api import Api, Reply
from teleclaude.client.dial import NotRunning
from teleclaude.client.events import Connected, Message, Replaced, read_records
from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.records import Computer, Kind
from teleclaude.tui.state import Looked

PATIENCE = 0.25  # seconds for each answer; what has not come then, the reader brings


def first_look(api: Api) -> Looked:
    """Ask for this computer's records."""
    try:
        answer = api.call("GET", "/computers", timeout=PATIENCE)
        messages = _replaced(answer, "computers", "*")
    except NotRunning:
        return Looked([], is_running=False)
    except TeleclaudeError:
        return Looked([])  # it is starting, or hangs: the reader will say
    records = [r for m in messages if isinstance(m, Replaced) for r in m.records if isinstance(r, Computer)]
    local = next((record.name for record in records if record.is_local), "")
    if not local:
        return Looked(messages)
    told: list[Message] = [Connected(epoch=answer.epoch, version=answer.version, computer=local), *messages]
    kinds: tuple[Kind, ...] = ("projects", "sessions")
    for kind in kinds:
        try:
            told += _replaced(_of(api, kind, local), kind, local)
        except TeleclaudeError:
            break
    return Looked(told)


def _of(api: Api, kind: Kind, computer: str) -> Reply:
    return api.call("GET", f"/{kind}?computer={computer}", timeout=PATIENCE)


def _replaced(answer: Reply, kind: Kind, computer: str) -> list[Message]:
    records, bad = read_records(kind, answer.body)
    return [Replaced(epoch=answer.epoch, version=answer.version, kind=kind, computer=computer, records=records), *bad]
