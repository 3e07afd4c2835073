"""All records of one kind of one computer, with their encoded bytes in small blocks.

A block is what is joined, summed up, copied and read as a whole, so a change costs one block and not the partition.
Records stay in the order in which they came. Blocks that have become few are put together again, now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from teleclaude.core.records import Record

BLOCK = 64  # records


class Partition:
    """Records by key. `filled`: time.monotonic() of the last word from their owner, None before."""

    __slots__ = ("_block_of", "_blocks", "_changed", "_next", "_records", "filled")

    def __init__(self) -> None:
        self.filled: float | None = None
        self._records: dict[str, Record] = {}
        self._blocks: dict[int, dict[str, bytes]] = {}  # by numbers that only grow
        self._block_of: dict[str, int] = {}
        self._next = 0
        self._changed: set[int] = set()

    @property
    def records(self) -> Mapping[str, Record]:
        """The records, by key. A view, not a copy."""
        return self._records

    def __bool__(self) -> bool:
        """Tell whether there is a record."""
        return bool(self._records)

    def put(self, key: str, record: Record, body: bytes) -> None:
        """Put a record and its bytes."""
        number = self._block_of.get(key)
        if number is None:
            number = self._next - 1
            if len(self._blocks.get(number, ())) >= BLOCK or number not in self._blocks:
                number = self._next
                self._next += 1
                self._blocks[number] = {}
            self._block_of[key] = number
        self._records[key] = record
        self._blocks[number][key] = body
        self._changed.add(number)

    def note(self, key: str, record: Record) -> None:
        """Replace a record that is there by one whose bytes need not be told."""
        self._records[key] = record

    def remove(self, key: str) -> bool:
        """Remove a record. False when it is not there."""
        if self._records.pop(key, None) is None:
            return False
        number = self._block_of.pop(key)
        block = self._blocks[number]
        del block[key]
        self._changed.add(number)
        if not block:
            del self._blocks[number]
        if len(self._blocks) * BLOCK > 4 * len(self._records) + 4 * BLOCK:
            self._put_together()
        return True

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Keys and bytes, in order."""
        for block in self._blocks.values():
            yield from block.items()

    def take_changed(self) -> dict[int, list[bytes]]:
        """Give the blocks that changed since the last call, by number; one without bytes is gone."""
        changed = {number: list(self._blocks.get(number, {}).values()) for number in self._changed}
        self._changed.clear()
        return changed

    def _put_together(self) -> None:
        bodies = list(self.items())
        self._changed.update(self._blocks)
        self._blocks.clear()
        self._block_of.clear()
        for key, body in bodies:
            self.put(key, self._records[key], body)
