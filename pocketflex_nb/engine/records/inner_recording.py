"""`InnerRecording`: a run that a step of a journalled run began writes into the journal of that run, below the address of the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.errors import EncodingError
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.records.addresses import step_address
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.records.recording import Recording, store_scope

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import BaseNode
    from pocketflex_nb.engine.records.record import Failure

__all__ = ["InnerRecording", "record_inside"]

#: begins the part of an address that names a run inside
_MARK = "/~>"


def record_inside(runs: list[Any]) -> None:
    """Have runs that wait to be started, and that steps of journalled runs began, recorded with those."""
    stores: dict[int, str] = {}  # of a store that several of them share, where it is recorded
    for run in runs:
        outer = None if run.outer is None else run.outer.lifecycle.recording
        if outer is None:
            continue
        try:
            run.record_in(_begun(outer, run, stores))
        except EncodingError as exc:
            run.outer.note("output", stream="log", text=f"run {run.name!r} inside is not recorded: {exc}")


def _begun(outer: Recording, run: Any, stores: dict[int, str]) -> InnerRecording:
    """The recording of a new inner run; what an earlier process has recorded of it is put into its store."""
    frame, store = run.outer, run.store
    where = f"{step_address(frame, frame.node)}{_MARK}{run.flow_id}"
    number = outer.inner_begun[where] = outer.inner_begun.get(where, 0) + 1
    made = InnerRecording(outer, frame, f"{where}#{number}")
    known_at = store_scope(frame, store)
    if known_at is None:
        known_at = stores.get(id(store))
    if known_at is not None:
        made.scope = known_at
        return made
    if type(store) is Store:
        outer.recorder.leave_out(store._transient)
        known = outer.recorder.begun_content(made.root)
        if known is None:
            content = {key: dict.__getitem__(store, key) for key in dict.keys(store)}
            made.early(outer.recorder.content(made.root, content))
        else:
            _fill(store, known[0])
    stores[id(store)] = made.scope
    return made


def _fill(store: Store, content: Mapping[Any, Any]) -> None:
    """Make the content of a store what was recorded; keys that are not kept stay as they are given now."""
    token = CURRENT_FRAME.set(None)  # no change of the step that begins the run
    try:
        for key in [key for key in dict.keys(store) if key not in content and key not in store._transient]:
            del store[key]
        store.update(content)
    finally:
        CURRENT_FRAME.reset(token)


class InnerRecording(Recording):
    """What a run inside writes: its nodes below an address of its own; its events and what it spends are told by the run around.

    Parameters
    ----------
    outer : Recording
        Of the run around.
    frame : Frame
        The step there that began it.
    root : str
        The address of its outermost walk.
    """

    def __init__(self, outer: Recording, frame: Frame, root: str) -> None:
        super().__init__(outer.recorder, f"{outer.uid} {root}")
        self.outer, self.frame, self.root, self.scope = outer, frame, root, root

    def known_end(self) -> tuple[object] | None:
        """Its last action, when an earlier process has finished it."""
        row = self.recorder.finished(self.root)
        return None if row is None else (row.value("a"),)

    def note(self, frame: Frame, kind: str, facts: Mapping[str, Any], when: int) -> None:
        """Its events are not recorded."""

    def failed_at_last(self, frame: Frame, node: BaseNode, failure: Failure, start: int, end: int) -> None:
        """Its events are not recorded."""

    def asking(self, question: int, place: tuple[str, int]) -> None:
        """Its questions have the numbers in which it asks them."""

    def asked(self) -> None:
        """Its events are not recorded."""

    def _used(self, frame: Frame, address: str) -> tuple[float, float] | None:
        return self.outer._used(self.frame, step_address(self.frame, self.frame.node))

    async def over(self, action: object) -> None:
        """It is done; the run around goes on."""
        await self.save(self.recorder.hop(self.root, action, self._taken()))

    def ended(self, status: str, told: str) -> None:
        """It has failed or was cancelled: when its step is made again, it goes on with the node that was in flight."""

