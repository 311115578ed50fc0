"""`Recorder`: records what agents do, for assertions in tests."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

from pocketflex_nb.agents.host.agent_host import running_loop
from pocketflex_nb.agents.host.agent_log import AgentRecord, concerns
from pocketflex_nb.agents.host.log_events import to_event
from pocketflex_nb.agents.host.trace import incarnation_of, logs_of
from pocketflex_nb.core.events import Event

__all__ = ["Recorder"]


class Recorder:
    """Records events of a tree (of all trees, if none is given): ``with Recorder(sup) as seen: ...``.

    Parameters
    ----------
    *targets : Supervisor, SupervisorRef or AgentRef
        Whose events; none: everybody's.

    Attributes
    ----------
    events : list of Event
        All of it.
    order : list of str
        Starts and exits: ``["start a", "exit b", ...]``.

    Examples
    --------
    >>> from pocketflex_nb import Agent, Supervisor, child
    >>> from pocketflex_nb.testing import Recorder
    >>> class Divider(Agent):
    ...     async def handle_cast(self, message):
    ...         1 / message
    >>> sup = Supervisor([child(Divider, id="divider")]).start_sync()
    >>> with Recorder(sup) as seen:
    ...     sup["divider"].cast(0)
    ...     event = seen.wait("start", "divider")        # until it was restarted
    >>> seen.order
    ['exit divider', 'start divider']
    >>> sup.stop_sync()
    """

    def __init__(self, *targets: Any) -> None:
        self._slots = [incarnation_of(target).slot for target in targets]
        self._logs = list({id(log): log for log in logs_of(targets)}.values())
        self._records: list[AgentRecord] = []
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Any, Any]] = deque()

    def __enter__(self) -> Recorder:
        for log in self._logs:
            log.watch(self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        for log in self._logs:
            log.unwatch(self._hear)

    def _hear(self, record: AgentRecord) -> None:
        if self._slots and not any(concerns(record, slot) for slot in self._slots):
            return
        with self._changed:
            self._records.append(record)
            self._changed.notify_all()
            waiting = list(self._waiting)
        for loop, event in waiting:
            if loop is running_loop():
                event.set()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    @property
    def events(self) -> list[Event]:
        """What was recorded, oldest first."""
        return [to_event(record) for record in list(self._records)]

    @property
    def order(self) -> list[str]:
        """Starts and exits: ``["start a", "exit b", ...]``."""
        return [f"{event.kind} {event['id']}" for event in self.events if event.kind in ("start", "exit")]

    def find(self, kind: str, id: object = None, *, times: int = 1) -> Event | None:
        """The `times`-th event of `kind` (about `id`), or None.

        Parameters
        ----------
        kind : str
            Kind of event: ``"start"``, ``"exit"``, ``"call"``, ...; see :mod:`pocketflex_nb.agents.host.agent_log`.
        id : hashable, optional
            Of the agent that it is about; without it, any.
        times : int
            Which of them; 1 is the first.
        """
        found = [event for event in self.events if event.kind == kind and id in (None, event["id"])]
        return found[times - 1] if len(found) >= times else None

    async def until(self, kind: str, id: object = None, *, times: int = 1, timeout: float = 10.0) -> Event:
        """Wait for that event; real seconds.

        Parameters
        ----------
        kind, id, times
            See `find`.
        timeout : float
            Seconds.

        Raises
        ------
        TimeoutError
            It did not come; the message tells what came.
        """
        wake = asyncio.Event()
        entry = (asyncio.get_running_loop(), wake)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(timeout):
                while (found := self.find(kind, id, times=times)) is None:
                    wake.clear()
                    await wake.wait()
        except TimeoutError:
            raise TimeoutError(self._missed(kind, id, timeout)) from None
        finally:
            self._waiting.remove(entry)
        return found

    def wait(self, kind: str, id: object = None, *, times: int = 1, timeout: float = 10.0) -> Event:
        """`until`, in plain code.

        Parameters
        ----------
        kind, id, times
            See `find`.
        timeout : float
            Seconds.

        Raises
        ------
        TimeoutError
            It did not come; the message tells what came.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.find(kind, id, times=times) is not None, timeout):
                raise TimeoutError(self._missed(kind, id, timeout))
        found = self.find(kind, id, times=times)
        assert found is not None
        return found

    def _missed(self, kind: str, id: object, timeout: float) -> str:
        about = f" of {id!r}" if id is not None else ""
        return f"no {kind!r}{about} within {timeout} s; there were: {[f'{e.kind} {e.address}' for e in self.events]}"
