"""The log of one host: two bounded rings of plain tuples that become events when they are read.

A record is ``(seq, ns, kind, info, data, cause, by)``; `info` describes an agent, `by` another one, or None. Messages (call, reply,
cast, info) go to a ring of their own, so that a flood of them does not displace starts, exits and restarts. Of a message only a short
label is kept, and of an agent only its description, or its number: a ring must not keep the user's data alive. While a trace runs, the
label is a short `repr`.

==========  ==============================================================================================================
kind        data (besides ``id``, ``pid`` and, where known, ``by``: the address of who caused it)
==========  ==============================================================================================================
start       type, cls, restarts; of a task also owner (address, "" for plain code)
exit        reason, error (text or None), where (file:line or None), zombie; of a task also owner, and value, as of a message
restart     reason, attempt (number of entries within the period), strategy, restarts
giveup      restarts, max_restarts, max_seconds
call        what, from, to
reply       what, from, to, seconds, error
cast, info  what, from, to
down        of (address), reason, from, to
lag         seconds, handler, where
flood       waiting (number of messages)
zombie      reason
unhandled   what
==========  ==============================================================================================================
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from time import perf_counter_ns
from typing import Any

from pocketflex_nb.agents.protocol.exit_reasons import short
from pocketflex_nb.agents.protocol.tree_position import AgentInfo, TreePosition, info_of

__all__ = [
    "LIFECYCLE",
    "MESSAGE_KINDS",
    "PLAIN",
    "TRAFFIC",
    "AgentLog",
    "Record",
    "callable_name",
    "concerns",
    "full",
    "label",
    "resolved",
    "start_facts",
    "warn",
]

Record = tuple[int, int, str, Any, Any, Any, Any]

#: records kept: messages, and everything else
TRAFFIC, LIFECYCLE = 10_000, 10_000

#: types of messages that are their own label
PLAIN = frozenset({int, float, bool, type(None)})
MESSAGE_KINDS = frozenset({"call", "reply", "cast", "info"})


def label(message: Any) -> Any:
    """A short name of `message` that keeps nothing of it alive."""
    cls = message.__class__
    if cls in PLAIN:
        return message
    if cls is str:
        return message if len(message) <= 80 else message[:79] + "…"
    if cls is tuple and message and message[0].__class__ is str:
        return message[0]
    return message.label if hasattr(cls, "pfx_label") else cls.__name__


def full(message: Any) -> Any:
    """The text of `message` while a trace runs."""
    return short(message, type(message).told if hasattr(type(message), "pfx_label") else repr)


class AgentLog:
    """The records of one host.

    Attributes
    ----------
    count : iterator of int
        The next record's number.
    traffic, incarnations : deque
        The rings.
    add : callable
        ``traffic.append``.
    watchers : tuple of callable
        Called with each record, on the thread where it happens.
    describe : callable
        How a message becomes its label.
    lock : threading.Lock
        For what threads may make once only.
    """

    __slots__ = ("add", "count", "describe", "lifecycle", "lock", "traffic", "watchers")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = count()
        self.traffic: deque[Record] = deque(maxlen=TRAFFIC)
        self.add = self.traffic.append
        self.lifecycle: deque[Record] = deque(maxlen=LIFECYCLE)
        self.watchers: tuple[Callable[[Record], Any], ...] = ()
        self.describe: Callable[[Any], Any] = label

    def note(self, kind: str, info: AgentInfo, data: Any = None, cause: int | None = None, by: AgentInfo | None = None) -> int:
        """Append a record and return its number."""
        seq = next(self.count)
        record = (seq, perf_counter_ns(), kind, info, data, cause, by)
        (self.traffic if kind in MESSAGE_KINDS else self.lifecycle).append(record)
        if self.watchers:
            self.tell(record)
        return seq

    def tell(self, record: Record) -> None:
        """Pass `record` to the watchers."""
        record = resolved(record)
        for watcher in self.watchers:
            watcher(record)

    def watch(self, watcher: Callable[[Record], Any]) -> None:
        """Call `watcher` with each record from now on."""
        with self.lock:
            self.watchers = (*self.watchers, watcher)
            self.describe = full

    def unwatch(self, watcher: Callable[[Record], Any]) -> None:
        """Stop calling `watcher`."""
        with self.lock:
            self.watchers = tuple(w for w in self.watchers if w != watcher)  # bound methods: equal, not the same
            self.describe = full if self.watchers else label

    def messages(self) -> list[Record]:
        """The kept records of messages, which name agents by their numbers."""
        return _copied(self.traffic)

    def records(self, slot: TreePosition | None = None) -> list[Record]:
        """The kept records of the tree under `slot` (of all), oldest first."""
        both = [*_copied(self.lifecycle), *map(resolved, self.messages())]
        both.sort(key=lambda record: record[0])
        return both if slot is None else [record for record in both if concerns(record, slot)]


def _copied(ring: deque[Record]) -> list[Record]:
    while True:
        try:
            return list(ring)
        except RuntimeError:  # it grew meanwhile, on its own thread
            continue


def resolved(record: Record) -> Record:
    """A message's record with the descriptions of its agents in place of their numbers."""
    seq, ns, kind, info, data, cause, by = record
    return seq, ns, kind, info_of(info), data, cause, info_of(by)


def concerns(record: Record, slot: TreePosition) -> bool:
    """Whether `record` is about an agent in the tree under `slot`."""
    by = record[6]
    return record[3].slot.is_under(slot) or (by is not None and by.slot.is_under(slot))


def start_facts(info: AgentInfo) -> dict[str, Any]:
    """The facts of a start event."""
    facts = {"type": info.type, "cls": info.cls, "restarts": info.restarts}
    if info.type == "task":
        facts["owner"] = info.callers[0] if info.callers else ""
    return facts


def callable_name(fn: Any) -> str:
    """The name of a class or function."""
    fn = getattr(fn, "func", fn)
    return str(getattr(fn, "__qualname__", None) or type(fn).__name__)


def warn(text: str, *, level: int = 30) -> None:
    """Write one line to the log ``pocketflex_nb``."""
    import logging  # not at the top: it would be most of this room's import time where nobody logs

    logging.getLogger("pocketflex_nb").log(level, text)
