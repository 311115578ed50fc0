"""`trace`: the messages and lifetimes of agents while a block ran, as events and as a sequence diagram."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from pocketflex_nb.agents.host.agent_host import Hosted, host_for, hosts
from pocketflex_nb.agents.host.agent_log import AgentLog, AgentRecord, concerns, warn
from pocketflex_nb.agents.host.log_events import to_event
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.core import ports
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.self_display import SelfDisplay

__all__ = ["TRACE_LIMIT", "Supervised", "Trace", "incarnation_of", "logs_of", "trace", "trace_to_log"]

#: records that a trace keeps
TRACE_LIMIT = 10_000


class Trace(SelfDisplay):
    """The result of `trace`.

    Attributes
    ----------
    events : list of Event
        What happened since its beginning: the last 10 000.
    dropped : int
        How many older ones are gone.

    Examples
    --------
    >>> from pocketflex_nb import Agent, trace
    >>> class Echo(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return message
    >>> ref = Echo.start_sync(name="echo")
    >>> with trace(ref) as seen:
    ...     reply = ref.call_sync("hello")
    >>> seen
    <Trace of 2 events>
    >>> print(seen.to_mermaid().splitlines()[0])
    sequenceDiagram
    >>> ref.stop_sync()
    """

    def __init__(self, targets: tuple[Ref | Supervised, ...], limit: int = TRACE_LIMIT) -> None:
        self._slots = [incarnation_of(target).slot for target in targets]
        self._logs: list[AgentLog] = list({id(log): log for log in logs_of(targets)}.values())
        self._records: deque[AgentRecord] = deque(maxlen=limit)
        self.dropped = 0

    def __enter__(self) -> Trace:
        for log in self._logs:
            log.watch(self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop tracing; what was traced stays."""
        for log in self._logs:
            log.unwatch(self._hear)

    def _hear(self, record: AgentRecord) -> None:
        if not self._slots or any(concerns(record, slot) for slot in self._slots):
            if len(self._records) == self._records.maxlen:
                self.dropped += 1
            self._records.append(record)

    @property
    def events(self) -> list[Event]:
        """The events since the beginning; the last 10 000."""
        return [to_event(record) for record in list(self._records)]

    def to_mermaid(self, **options: object) -> str:
        """The messages as a Mermaid ``sequenceDiagram``.

        Raises
        ------
        RuntimeError
            The views are not there.
        """
        if ports.export is None:
            raise RuntimeError("the views are not loaded: `import pocketflex_nb` first")
        return str(ports.export(self, "mermaid", **options))

    def show(self, **options: Any) -> object:
        """Show it in the notebook."""
        return ports.display(self, **options)

    def __repr__(self) -> str:
        return f"<Trace of {len(self._records)} events>"


class Supervised(Protocol):
    """A supervisor's object, which has a ref."""

    @property
    def ref(self) -> Ref:
        """The supervisor's address."""
        ...


def incarnation_of(target: Any) -> Hosted:
    """The incarnation of a ref, or of a supervisor."""
    ref = getattr(target, "ref", target)
    incarnation: Hosted = ref._incarnation
    return incarnation


def logs_of(targets: tuple[Ref | Supervised, ...]) -> list[AgentLog]:
    """The logs of the hosts of `targets`; of every host if there are none."""
    if targets:
        return [incarnation_of(target).host.log for target in targets]
    host_for()
    return [host.log for host in hosts()]


def trace(*targets: Ref | Supervised) -> Trace:
    """Trace supervisors or agents (all, if none is given): ``with trace(sup) as t: ...``, then ``t.events``, ``t.to_mermaid()``.

    While it runs, events tell messages by a short `repr`; outside of it, only by a label.

    Parameters
    ----------
    *targets : SupervisorRef or AgentRef
        Whose messages; none: everybody's.

    Returns
    -------
    Trace

    Examples
    --------
    >>> from pocketflex_nb import Agent, trace
    >>> class Echo(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return message
    >>> echo = Echo.start_sync(name="echo")
    >>> with trace(echo) as seen:
    ...     echo.call_sync("hello")
    'hello'
    >>> [event.kind for event in seen.events]
    ['call', 'reply']
    >>> echo.stop_sync()
    """
    return Trace(targets)


class _ToLog:
    """Writes one agent's events to the log."""

    __slots__ = ("incarnation",)

    def __init__(self, incarnation: Hosted) -> None:
        self.incarnation = incarnation

    def __call__(self, record: AgentRecord) -> None:
        if self.incarnation.info in (record[3], record[6]):
            event = to_event(record)
            warn(f"{event.kind} {event.address} {dict(event.data)}", level=20)


def trace_to_log(incarnation: Hosted, on: bool) -> None:
    """Start or stop writing the events of `incarnation` to the log ``pocketflex_nb``."""
    log = incarnation.host.log
    for watcher in log.watchers:
        if isinstance(watcher, _ToLog) and watcher.incarnation is incarnation:
            log.unwatch(watcher)
    if on:
        log.watch(_ToLog(incarnation))
