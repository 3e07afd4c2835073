"""Promise 4, from a journal: no computer is shown as live after its lease ran out. Pure, and offline.

The lease counts from the moment at which the owner sealed the youngest sign of life that the reader's computer had of
it by then: a heartbeat, or the answer to a question. How long that lay in Redis takes nothing from the owner's word
that it was alive, and adds nothing. A client that says itself that it is cut off from its daemon, or that what it has
is stale, shows nothing as live. A computer whose processes are all stopped can show nothing new: it is not judged until
a moment after it goes on.

Entries it reads:
    clock   computer, ahead, lease      what its clock is ahead of the journal's, in seconds, and the lease there
    heard   computer, owner, sealed     what counted as a sign of life; sealed by the owner's clock
    view    client, live, online        what the client on that computer shows as online
    away, back   computer, why
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.journal import Entry

READ = frozenset({"clock", "heard", "view", "away", "back"})
BLIP = (
    2.0  # seconds for which an old heartbeat may bring it back: one that was on its way when its link was cut for long
)
SLACK = 5.0  # seconds from the end of a lease to the client's view, on a machine that does much else


def four(entries: list[Entry]) -> Iterator[str]:
    """What was shown as live, and for how long, after its owner's lease ran out."""
    last = max((entry["t"] for entry in entries if "t" in entry), default=0.0)
    entries = [entry for entry in entries if entry["what"] in READ]
    entries = [*sorted(entries, key=lambda entry: float(entry["t"])), {"what": "end", "t": last}]
    clocks = {entry["computer"]: entry for entry in entries if entry["what"] == "clock"}
    asleep = _asleep(entries)
    for reader in sorted({entry["client"] for entry in entries if entry["what"] == "view"}):
        for owner in sorted(clocks.keys() - {reader}):
            late = _late(reader, owner, entries, clocks[owner], asleep[reader])
            if late > BLIP:
                yield f"4: {reader} showed {owner} as live for {late:.1f} s after its lease and {SLACK:.0f} s more"


def _late(reader: str, owner: str, entries: list[Entry], clock: Entry, asleep: list[tuple[float, float]]) -> float:
    """Most seconds in a row that `owner` was shown as live without the right to it."""
    worst, good_until, since, live = 0.0, float("-inf"), 0.0, False
    for entry in entries:
        at = entry["t"]
        if live:
            worst = max(worst, _outside(max(since, good_until), at, asleep))
        if entry["what"] == "heard" and (entry["computer"], entry["owner"]) == (reader, owner):
            sealed = entry["sealed"] - clock["ahead"]
            good_until = max(good_until, sealed + clock["lease"] + SLACK)
        elif entry["what"] == "view" and entry["client"] == reader:
            is_live = entry["live"] and owner in entry["online"]
            since, live = (since if live and is_live else at), is_live
    return worst


def _outside(begin: float, end: float, asleep: list[tuple[float, float]]) -> float:
    """Seconds from `begin` to `end` that are in no sleep; 0 or less when there are none."""
    return end - begin - sum(max(0.0, min(end, awake) - max(begin, sleep)) for sleep, awake in asleep)


def _asleep(entries: list[Entry]) -> defaultdict[str, list[tuple[float, float]]]:
    """When each computer was stopped, until a moment after it went on."""
    begun: dict[str, float] = {}
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for entry in entries:
        if entry["what"] == "away" and entry["why"] == "stopped":
            begun[entry["computer"]] = entry["t"]
        elif entry["what"] == "back" and entry["why"] == "stopped":
            found[entry["computer"]].append((begun.pop(entry["computer"]), entry["t"] + SLACK))
    for computer, since in begun.items():
        found[computer].append((since, float("inf")))
    return found
