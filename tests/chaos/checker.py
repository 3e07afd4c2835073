"""Reads a run's journal and says which promises were broken. Pure, and offline.

Entries it reads (others are left out):
    owned    computer, kind, epoch, seq, digest         what an owner's records were at (epoch, seq)
    replica  process, replica, via, verdict, epoch, seq, after, digest    what a copy did, and what it was after it
    frame    client, connection, epoch, version, event, whole             a frame that a client got
    shown    client, sessions                            ids that a client's folded view had
    killed   session                                     a session ended, seen gone at its owner
    command  id, outcome                                 how a command that must happen at most once ended
    effects  id, count                                   how often it happened
    read     session, found                              whether what was written was in what was read next
    agreed   seconds                                     how long after the last fault healed all agreed
    final    owner, who, state                           what each observer says of an owner's records at the end
    answer   computer, request, status, body             an answer that no client may ever get
    calm     computer, request, ok, answer               a command without any fault for five seconds, or none near it
    own      client, status                              what a client says of the computer that it runs on
    unlike   client, differences                         what a client shows otherwise than its daemon's cache has it
    memory   computer, worker, gained                    bytes that a process has more at the end than at the beginning
Those of promise 4 are in leases.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.chaos.journal import Entry
from tests.chaos.leases import four

PROMISED = 5.0  # seconds after the last fault healed
GROWTH = 64 * 1024 * 1024  # bytes that a process may have gained in a run
BOUND = 15.0  # seconds that are too many even on a machine that does much else


def violations(journal: Iterable[Entry]) -> list[str]:
    """Every broken promise, by its number in the design, with what shows it."""
    entries = list(journal)
    return [text for check in CHECKS for text in check(entries)]


def _of(entries: list[Entry], what: str) -> list[Entry]:
    return [entry for entry in entries if entry["what"] == what]


def _one_and_three_in_replicas(entries: list[Entry]) -> Iterator[str]:
    """A copy moves only in order, each change once, and equals its owner wherever it stands."""
    owned: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for entry in _of(entries, "owned"):
        owned[entry["epoch"], entry["seq"]].add(entry["digest"])
    places: dict[tuple[str, int], tuple[str, int] | None] = {}
    for entry in _of(entries, "replica"):
        copy, at = (entry["process"], entry["replica"]), (entry["epoch"], entry["seq"])
        here = places.get(copy)
        if entry["via"] == "apply" and entry["verdict"] == "applied":
            if here is None or here[0] != at[0]:
                yield f"1: {copy} applied {at} without a snapshot of that epoch"
            elif at[1] <= here[1]:
                yield f"1: {copy} applied {at} again or late; it stood at {here}"
            elif entry["after"] > here[1]:
                yield f"1: {copy} applied {at}, which follows {entry['after']}; it stood at {here}"
        elif entry["verdict"] != "applied":
            continue
        elif here is not None and here[0] == at[0] and at[1] < here[1]:
            yield f"3: {copy} took the snapshot {at} over {here}"
        places[copy] = at
        if at[1] > 0 and entry["digest"] not in owned[at]:
            yield f"1: {copy} at {at} is not what its owner had"


def _three_in_clients(entries: list[Entry]) -> Iterator[str]:
    """What was seen gone at its owner, and then by a client, never comes back to that client."""
    killed: set[str] = set()
    gone: defaultdict[str, set[str]] = defaultdict(set)
    seen: defaultdict[str, set[str]] = defaultdict(set)  # what was never shown is not gone yet: it may still be told
    for entry in entries:
        if entry["what"] == "killed":
            killed.add(entry["session"])
        elif entry["what"] == "shown":
            shown, client = set(entry["sessions"]), entry["client"]
            for session in gone[client] & shown:
                yield f"3: {session} came back to {client}"
            seen[client] |= shown
            gone[client] |= (killed & seen[client]) - shown


def _five(entries: list[Entry]) -> Iterator[str]:
    """A write that a client made is in what that client reads next."""
    for entry in _of(entries, "read"):
        if not entry["found"]:
            yield f"5: {entry['session']} was written and not in the next read"


def _six(entries: list[Entry]) -> Iterator[str]:
    """On a connection versions never go backwards within an epoch, and every record is whole."""
    last: dict[tuple[str, int], tuple[str, int]] = {}
    for entry in _of(entries, "frame"):
        connection, at = (entry["client"], entry["connection"]), (entry["epoch"], entry["version"])
        before = last.get(connection)
        if before is not None and before[0] == at[0] and at[1] < before[1]:
            yield f"6: {connection} got {at} after {before}"
        if not entry["whole"]:
            yield f"6: {connection} got half a record in {entry['event']}"
        last[connection] = at


def _eight(entries: list[Entry]) -> Iterator[str]:
    """A command happens at most once; ok means once, an error means not at all."""
    outcomes = {entry["id"]: entry["outcome"] for entry in _of(entries, "command")}
    counts = {entry["id"]: entry["count"] for entry in _of(entries, "effects")}
    allowed = {"ok": {1}, "error": {0}, "unknown": {0, 1}}
    for command, outcome in outcomes.items():
        if counts.get(command, 0) not in allowed[outcome]:
            yield f"8: {command} ended {outcome} and happened {counts.get(command, 0)} times"


def _two_in_time(entries: list[Entry]) -> Iterator[str]:
    """All agreed soon after each time that the last fault had healed."""
    for entry in _of(entries, "agreed"):
        if entry["seconds"] > BOUND:
            yield f"2: all agreed only after {entry['seconds']:.1f} s; {PROMISED:.0f} are promised"


def _answers(entries: list[Entry]) -> Iterator[str]:
    """No fault of another process or computer is a fault of the web process."""
    for entry in _of(entries, "answer"):
        yield f"500: {entry['computer']} answered {entry['request']} with {entry['status']}: {entry['body'][:300]}"


def _two_at_the_end(entries: list[Entry]) -> Iterator[str]:
    """After the last fault healed, all observers say the same of each owner."""
    states: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for entry in _of(entries, "final"):
        states[entry["owner"]][entry["who"]] = entry["state"]
    for owner, by in states.items():
        if len(set(by.values())) > 1:
            yield f"2: of {owner} not all say the same: {by}"


def _calm(entries: list[Entry]) -> Iterator[str]:
    """Where all is healthy and no fault was for five seconds, every command succeeds."""
    for entry in _of(entries, "calm"):
        if not entry["ok"]:
            yield f"calm: {entry['computer']}, {entry['request']}: {entry['answer']}"


def _own(entries: list[Entry]) -> Iterator[str]:
    """No computer is ever offline to itself."""
    for entry in _of(entries, "own"):
        if entry["status"] == "offline":
            yield f"own: {entry['client']} was shown as offline to itself"


def _clients(entries: list[Entry]) -> Iterator[str]:
    """What a client shows after any reconnect is what the cache has."""
    for entry in _of(entries, "unlike"):
        if entry["differences"]:
            yield f"client: {entry['client']} differs from its cache: {'; '.join(entry['differences'])}"


def _ten(entries: list[Entry]) -> Iterator[str]:
    """After load, memory is back where it was."""
    for entry in _of(entries, "memory"):
        if entry["gained"] > GROWTH:
            yield f"10: {entry['worker']} of {entry['computer']} has gained {entry['gained'] / 2**20:.0f} MB"


CHECKS = (
    _one_and_three_in_replicas,
    _three_in_clients,
    four,
    _five,
    _six,
    _eight,
    _two_in_time,
    _two_at_the_end,
    _answers,
    _calm,
    _own,
    _clients,
    _ten,
)
