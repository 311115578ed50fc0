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
    "PLAIN",
    "TRAFFIC",
    "TRAFFIC_KINDS",
    "AgentLog",
    "AgentRecord",
    "KeptRecord",
    "NamedMessage",
    "callable_name",
    "concerns",
    "full",
    "label",
    "resolved",
    "start_facts",
    "warn",
]

#: a record as it is kept: of a message, agents are named by their numbers
KeptRecord = tuple[int, int, str, AgentInfo | int, object, int | None, AgentInfo | int | None]
#: a record as it is read
AgentRecord = tuple[int, int, str, AgentInfo, object, int | None, AgentInfo | None]

#: records kept: messages, and everything else
TRAFFIC, LIFECYCLE = 10_000, 10_000

#: types of messages that are their own label
PLAIN = frozenset({int, float, bool, type(None)})
TRAFFIC_KINDS = frozenset({"call", "reply", "cast", "info"})


class NamedMessage:
    """The base of our own messages that have a label; of a user's message it is the name of its class."""

    __slots__ = ()
    label: str


def label(message: Any) -> object:
    """A short name of `message` that keeps nothing of it alive."""
    cls = message.__class__
    if cls in PLAIN:
        return message
    if cls is str:
        return message if len(message) <= 80 else message[:79] + "…"
    if cls is tuple and message and message[0].__class__ is str:
        return message[0]
    return message.label if isinstance(message, NamedMessage) else cls.__name__


def full(message: object) -> object:
    """The text of `message` while a trace runs."""
    return short(message)


class AgentLog:
    """The records of one host.

    Attributes
    ----------
    count : iterator of int
        The next record's number.
    traffic, lifecycle : deque
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
        self.traffic: deque[KeptRecord] = deque(maxlen=TRAFFIC)
        self.add = self.traffic.append
        self.lifecycle: deque[KeptRecord] = deque(maxlen=LIFECYCLE)
        self.watchers: tuple[Callable[[AgentRecord], object], ...] = ()
        self.describe: Callable[[object], object] = label

    def note(self, kind: str, info: AgentInfo, data: object = None, cause: int | None = None, by: AgentInfo | None = None) -> int:
        """Append a record and return its number."""
        seq = next(self.count)
        record: KeptRecord = (seq, perf_counter_ns(), kind, info, data, cause, by)
        (self.traffic if kind in TRAFFIC_KINDS else self.lifecycle).append(record)
        if self.watchers:
            self.notify(record)
        return seq

    def notify(self, kept: KeptRecord) -> None:
        """Pass a record to the watchers."""
        record = resolved(kept)
        for watcher in self.watchers:
            watcher(record)

    def watch(self, watcher: Callable[[AgentRecord], object]) -> None:
        """Call `watcher` with each record from now on."""
        with self.lock:
            self.watchers = (*self.watchers, watcher)
            self.describe = full

    def unwatch(self, watcher: Callable[[AgentRecord], object]) -> None:
        """Stop calling `watcher`."""
        with self.lock:
            self.watchers = tuple(w for w in self.watchers if w != watcher)  # bound methods: equal, not the same
            self.describe = full if self.watchers else label

    def messages(self) -> list[KeptRecord]:
        """The kept records of messages, which name agents by their numbers."""
        return _copied(self.traffic)

    def records(self, slot: TreePosition | None = None) -> list[AgentRecord]:
        """The kept records of the tree under `slot` (of all), oldest first."""
        both = [resolved(record) for record in (*_copied(self.lifecycle), *self.messages())]
        both.sort(key=lambda record: record[0])
        return both if slot is None else [record for record in both if concerns(record, slot)]


def _copied(ring: deque[KeptRecord]) -> list[KeptRecord]:
    while True:
        try:
            return list(ring)
        except RuntimeError:  # it grew meanwhile, on its own thread
            continue


def resolved(record: KeptRecord) -> AgentRecord:
    """A message's record with the descriptions of its agents in place of their numbers."""
    seq, ns, kind, info, data, cause, by = record
    return seq, ns, kind, info_of(info), data, cause, info_of(by)


def concerns(record: AgentRecord, slot: TreePosition) -> bool:
    """Whether `record` is about an agent in the tree under `slot`."""
    by = record[6]
    return record[3].slot.is_under(slot) or (by is not None and by.slot.is_under(slot))


def start_facts(info: AgentInfo) -> dict[str, object]:
    """The facts of a start event."""
    facts = {"type": info.type, "cls": info.cls, "restarts": info.restarts}
    if info.type == "task":
        facts["owner"] = info.callers[0] if info.callers else ""
    return facts


def callable_name(fn: object) -> str:
    """The name of a class or function."""
    fn = getattr(fn, "func", fn)
    return str(getattr(fn, "__qualname__", None) or type(fn).__name__)


def warn(text: str, *, level: int = 30) -> None:
    """Write one line to the log ``pocketflex_nb``."""
    import logging  # not at the top: it would be most of this room's import time where nobody logs

    logging.getLogger("pocketflex_nb").log(level, text)
