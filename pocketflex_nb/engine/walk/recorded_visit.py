"""The visit of a node in a run with a journal: what is recorded is taken from there, what is not is done and recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter_ns as now
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.foreign_errors import raised_by_step
from pocketflex_nb.core.errors import RecordedError
from pocketflex_nb.engine.records.addresses import begin_visit
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.records.record import format_error
from pocketflex_nb.engine.walk.hop import record_changes

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.lifecycle import Journalled

__all__ = ["RecordedVisit", "visit_recorded"]


class RecordedVisit:
    """One visit, between its steps.

    Attributes
    ----------
    has_result : bool
        Whether `exec` was finished by an earlier process; `result` is what it gave then.
    """

    __slots__ = ("address", "has_result", "recording", "result")

    def __init__(self, recording: Journalled[Frame], address: str) -> None:
        self.recording, self.address = recording, address
        self.has_result, self.result = recording.result(address)

    async def keep(self, frame: Frame, result: object) -> None:
        """Record what `exec` gave, before `post` begins."""
        first = not self.recording.recorder.unkept
        if not await self.recording.keep_result(frame, self.address, result) and first:
            text = f"{frame.node_id}: what exec gave ({type(result).__name__}) cannot be kept in the journal; it runs again after a crash"
            frame.note("output", stream="log", text=text)


async def visit_recorded(frame: Frame, node: Any, visit: Callable[[RecordedVisit], Awaitable[Any]]) -> object:
    """Visit `node` by `visit`, unless the journal has it finished; its action."""
    run = frame.lifecycle
    recording = run.recording
    assert recording is not None  # no other run is visited so
    address = begin_visit(frame, node)
    row = recording.recorder.finished(address)
    if row is not None:
        run.hops += recording.recorder.inner_hops(address)
        if "error" in row.data:
            raise RecordedError(str(row.data["error"]), kind=str(row.data.get("class", "")))
        return row.value("a")
    start = now()
    try:
        action = await visit(RecordedVisit(recording, address))
    except Exception as caught:
        error = raised_by_step(caught)
        if getattr(node, "_pfx_on_error", None) is not None and error is not run.ending and isinstance(error, Exception):
            _settle(frame)
            await recording.failed(address, error, format_error(error), (now() - start) / 1e9)
        raise
    _settle(frame)
    await recording.hop(frame, address, action, (now() - start) / 1e9)
    return action


def _settle(frame: Frame) -> None:
    if frame.page is not None or frame.touched:
        record_changes(frame)
