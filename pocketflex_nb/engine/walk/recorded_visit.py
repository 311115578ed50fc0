"""The visit of a node in a run with a journal, a tape or a cache: what is known is taken from there, what is not is done and recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter_ns as now
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.foreign_errors import raised_by_step
from pocketflex_nb.core.errors import RecordedError
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.records.addresses import begin_visit, step_address
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.records.record import format_error
from pocketflex_nb.engine.records.reuse import CACHED, CALLED, TAPED
from pocketflex_nb.engine.walk.hop import record_changes

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.lifecycle import Journalled, Reusing

__all__ = ["RecordedVisit", "visit_recorded"]


class RecordedVisit:
    """One visit, between its steps.

    Attributes
    ----------
    address : str
        Where it is.
    """

    __slots__ = ("_origins", "address", "recording", "reuse")

    def __init__(self, recording: Journalled[Frame] | None, reuse: Reusing[Frame] | None, address: str) -> None:
        self.recording, self.reuse, self.address = recording, reuse, address
        self._origins: set[str] = set()

    @property
    def origin(self) -> str:
        """``"cached"`` or ``"taped"`` when no `exec` was called; else ``""``."""
        if not self._origins or CALLED in self._origins:
            return ""
        return CACHED if CACHED in self._origins else TAPED

    async def exec(self, frame: Frame, node: Any, prep_res: object, call: Callable[[], Awaitable[object]]) -> object:
        """What `exec` of the visit gives, by `call` unless it is known; recorded before `post` begins."""
        return await self._result(frame, node, prep_res, self.address, call, is_item=False)

    async def item(self, frame: Frame, node: Any, item: object, call: Callable[[], Awaitable[object]]) -> object:
        """What `exec` gives for an item of the visit, whose step is `frame`; recorded at once."""
        return await self._result(frame, node, item, step_address(frame, frame.node), call, is_item=True)

    async def _result(
        self, frame: Frame, node: object, prep_res: object, address: str, call: Callable[[], Awaitable[object]], *, is_item: bool
    ) -> object:
        recording, reuse = self.recording, self.reuse
        if recording is not None:
            is_known, result = recording.result(address)
            if is_known:
                return result
        if reuse is None:
            result = await call()
        else:
            from pocketflex_nb.engine.walk.exec_results import exec_result  # most runs have no tape and no cache

            result, origin = await exec_result(reuse, frame, node, prep_res, address, call)
            self._origins.add(origin)
        if recording is not None and not isinstance(prep_res, Store):  # what `exec` wrote into the store is recorded with the hop
            await _keep(recording, frame, address, result, is_item=is_item)
        return result


async def _keep(recording: Journalled[Frame], frame: Frame, address: str, result: object, *, is_item: bool) -> None:
    """Record what `exec` gave."""
    first = not recording.recorder.unkept
    if not await recording.keep_result(frame, address, result, is_item=is_item) and first:
        text = f"{frame.node_id}: what exec gave ({type(result).__name__}) cannot be kept in the journal; it runs again after a crash"
        frame.note("output", stream="log", text=text)


async def visit_recorded(frame: Frame, node: Any, visit: Callable[[RecordedVisit], Awaitable[Any]]) -> object:
    """Visit `node` by `visit`, unless the journal has it finished; its action."""
    run = frame.lifecycle
    recording, reuse = run.recording, run.reuse
    address = begin_visit(frame, node)
    if recording is not None and (row := recording.recorder.finished(address)) is not None:
        run.hops += recording.recorder.inner_hops(address)
        if "error" in row.data:
            raise RecordedError(str(row.data["error"]), kind=str(row.data.get("class", "")))
        return row.value("a")
    start = now()
    made = frame.visit = RecordedVisit(recording, reuse, address)
    try:
        action = await visit(made)
    except Exception as caught:
        error = raised_by_step(caught)
        handled = getattr(node, "_pfx_on_error", None) is not None and error is not run.ending and isinstance(error, Exception)
        if recording is not None and handled:
            _settle(frame)
            await recording.failed(frame, address, error, format_error(error), (now() - start) / 1e9)
        raise
    finally:
        frame.visit = None
    if reuse is not None and made.origin:
        reuse.mark(address, made.origin)
    if recording is not None:
        _settle(frame)
        await recording.hop(frame, address, action, (now() - start) / 1e9, made.origin)
    return action


def _settle(frame: Frame) -> None:
    if frame.page is not None or frame.touched:
        record_changes(frame)
