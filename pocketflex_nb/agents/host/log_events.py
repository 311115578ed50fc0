"""The records of agents read as events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import overload

from pocketflex_nb.agents.host.agent_log import TRAFFIC_KINDS, AgentLog, AgentRecord, concerns, start_facts
from pocketflex_nb.agents.protocol.tree_position import AgentInfo, TreePosition
from pocketflex_nb.core.events import EPOCH, Event

__all__ = ["EventView", "to_event"]


def to_event(record: AgentRecord) -> Event:
    """The record as an event."""
    seq, ns, kind, info, data, cause, by = record
    facts: dict[str, object] = {"id": info.slot.id, "pid": info.pid}
    if kind in TRAFFIC_KINDS:
        facts |= _message_facts(kind, info, data, by)
    else:
        facts |= start_facts(info) if kind == "start" else data if isinstance(data, dict) else {}
        if by is not None:
            facts["by"] = by.address
    if info.callers:
        facts["callers"] = list(info.callers)
    return Event(seq, ns, kind, info.slot.root.path, info.address, "", facts, cause, (ns + EPOCH) / 1e9)


def _message_facts(kind: str, info: AgentInfo, data: object, by: AgentInfo | None) -> dict[str, object]:
    here, there = info.address, by.address if by is not None else ""
    if kind != "reply":
        return {"what": data, "from": there, "to": here}
    assert isinstance(data, tuple)
    what, ns, error = data
    return {"what": what, "from": here, "to": there, "seconds": ns / 1e9, "error": error}


class EventView:
    """The events of one tree: a list of the kept ones, and an async iterator of those and the coming ones.

    The iterator ends when the tree's top has ended.
    """

    def __init__(self, log: AgentLog, slot: TreePosition, is_over: Callable[[], bool]) -> None:
        self._log, self._slot, self._is_over = log, slot, is_over

    def __iter__(self) -> Iterator[Event]:
        return iter([to_event(record) for record in self._log.records(self._slot)])

    def __len__(self) -> int:
        return len(self._log.records(self._slot))

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        records = self._log.records(self._slot)[index]
        return [to_event(r) for r in records] if isinstance(records, list) else to_event(records)

    def __repr__(self) -> str:
        return f"<{len(self)} events of {self._slot.path}>"

    async def __aiter__(self) -> AsyncIterator[Event]:
        pending: deque[AgentRecord] = deque()
        wake = asyncio.Event()
        loop = asyncio.get_running_loop()

        def heard(record: AgentRecord) -> None:
            if concerns(record, self._slot):
                pending.append(record)
                loop.call_soon_threadsafe(wake.set)

        self._log.watch(heard)
        try:
            last = -1
            for record in self._log.records(self._slot):
                last = record[0]
                yield to_event(record)
            while True:
                wake.clear()
                while pending:
                    record = pending.popleft()
                    if record[0] > last:
                        yield to_event(record)
                if self._is_over():
                    return
                await wake.wait()
        finally:
            self._log.unwatch(heard)
