"""`Recording`: the engine's side of a journalled run: what its steps change and spend, on its way into the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.events import spent_in
from pocketflex_nb.core.store.change_log import KEY, places_in
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.user_traceback import line_text, user_frames
from pocketflex_nb.engine.records.addresses import QuestionCounts, step_address, walk_address
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.records.record import Failure, format_error

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import BaseNode
    from pocketflex_nb.core.port_types import JournalRecorder

__all__ = ["Recording", "store_scope", "traced"]

#: events that have records of their own
_TOLD_OTHERWISE = frozenset({"node_started", "node_retried"})
#: kind, address, whether it is a node's, when (s, `perf_counter`), facts
_Noted = tuple[str, str, bool, float, Mapping[str, Any]]
#: of sums of fractions
_ROUNDING = 1e-9
#: lines of a traceback that are kept
_LINES = 6


class Recording:
    """What one run writes into its journal.

    Parameters
    ----------
    recorder : JournalRecorder
        The journal's side.
    uid : str
        The same for the run in every process.

    Attributes
    ----------
    is_resumed : bool
        Whether an earlier process began the run.
    root : str
        The address of the outermost walk; ``""``: the flow's id.
    scope : str
        Where changes of the run's own store are recorded.
    inner_begun : dict of str to int
        How many runs of a flow each visit has begun, by address.
    """

    root = scope = ""

    def __init__(self, recorder: JournalRecorder, uid: str) -> None:
        self.recorder, self.uid = recorder, uid
        self.is_resumed = False
        self._changes: list[tuple[Frame, list[object]]] = []
        self._early: list[object] = []
        self._spent: tuple[float, float] = (0.0, 0.0)
        self._told = self._spent
        self.questions = QuestionCounts()
        self._places: dict[int, tuple[str, int]] = {}
        self._notes: deque[_Noted] = deque()
        self.inner_begun: dict[str, int] = {}

    # what is known ---------------------------------------------------------------------------------------------------
    def attempts(self, frame: Frame) -> int:
        """How many attempts of the step at `frame` an earlier process has spent."""
        return self.recorder.attempts(step_address(frame, frame.node))

    def result(self, address: str) -> tuple[bool, object]:
        """Whether the result of a step is recorded, and the result."""
        row = self.recorder.result(address)
        return (False, None) if row is None else (True, row.value("e"))

    def answer(self, where: str, number: int) -> tuple[bool, object]:
        """Whether an earlier process has the answer, and the answer."""
        return self.recorder.answer(where, number)

    def known_end(self) -> tuple[object] | None:
        """The last action, when an earlier process has finished the run; such a one of its own is not begun again."""
        return None

    def number(self, place: tuple[str, int]) -> int:
        """The number that the question asked at `place` had in an earlier process; 0: it was not asked there."""
        return self.recorder.asked_number(*place)

    # what is written with the next record ----------------------------------------------------------------------------
    def changed(self, frame: Frame, changes: list[object]) -> None:
        """Keep changes of a store for the next record."""
        self._changes.append((frame, changes))

    def note(self, frame: Frame, kind: str, facts: Mapping[str, Any], when: int) -> None:
        """Keep an event for the next transaction; `when` in ns (`perf_counter_ns`)."""
        if kind not in _TOLD_OTHERWISE:
            if kind == "asked" and (place := self._places.pop(facts["ask"], None)) is not None:
                facts = {**facts, "place": list(place)}
            if kind in ("usage", "message"):
                tokens, cost = spent_in(facts)
                self._told = self._told[0] + tokens, self._told[1] + cost
            self._notes.append((kind, step_address(frame, frame.node), frame.node is not None, when / 1e9, facts))

    def failed_at_last(self, frame: Frame, node: BaseNode, failure: Failure, start: int, end: int) -> None:
        """A visit whose failure ends the walk that it is in."""
        facts = {"error": format_error(failure.error), "handled": False, "status": failure.status, "seconds": (end - start) / 1e9}
        if failure.status == "failed" and (lines := traced(failure.error)):
            facts["trace"] = lines
        self._notes.append(("node_failed", step_address(frame, node), True, end / 1e9, facts))

    def _noted(self) -> Sequence[object]:
        return self.recorder.noted(_joined(self._notes)) if self._notes else ()

    def early(self, statements: Sequence[object]) -> None:
        """Keep statements for the next transaction."""
        self._early += statements

    def _taken(self, walk: Frame | None = None) -> list[tuple[str, Mapping[object, object], list[object]]]:
        """The changes since the last record, of `walk` and what is inside of it: of each store its address, the changed keys, and these."""
        changes, self._changes = self._changes, []
        found: dict[int, tuple[str, dict[object, object], list[object]]] = {}
        for frame, places in changes:
            if walk is not None and frame is not walk and not _is_within(frame, walk):  # its own record takes it
                self._changes.append((frame, places))
                continue
            run, scope = frame.lifecycle, frame.scope
            store = run.store if scope is None else scope.private
            if type(store) is not Store:  # one that is kept elsewhere holds its own values
                continue
            if run.recording is not None:
                where: str | None = run.recording.scope if scope is None else walk_address(scope)
            else:  # a run inside that is not recorded by itself; a store of its own ends with it
                where = store_scope(frame, store)
            if where is None:
                continue
            _, content, keys = found.setdefault(id(store), (where, {}, []))
            for page, at in places_in(places):
                key = page[at + KEY]
                if key not in keys:
                    keys.append(key)
                if dict.__contains__(store, key):
                    content[key] = dict.__getitem__(store, key)
                else:
                    content.pop(key, None)
        return list(found.values())

    def _used(self, frame: Frame, address: str) -> tuple[float, float] | None:
        """What was spent since the last record; what no step of this run told of it, a run inside did: that is noted."""
        run = frame.lifecycle
        if run.controller is None:
            return None
        spent = run.controller.limits.spent
        now, before = (spent["tokens"], spent["cost"]), self._spent
        if now == before:
            return None
        self._spent = now
        tokens, cost = now[0] - self._told[0], now[1] - self._told[1]
        if tokens > _ROUNDING or cost > _ROUNDING:
            self._told = now
            self._notes.append(("usage", address, True, perf_counter(), {"tokens": tokens, "cost": cost}))
        return now[0] - before[0], now[1] - before[1]

    def spent_before(self, tokens: float, cost: float) -> None:
        """What earlier processes have spent is recorded already."""
        self._spent = self._told = (tokens, cost)

    # records ---------------------------------------------------------------------------------------------------------
    async def save(self, statements: Sequence[object], told: Sequence[object] = ()) -> None:
        """Commit them, and what was kept for the next transaction; `told` is what steps told before."""
        early, self._early = self._early, []
        await self.recorder.save([*early, *told, *statements])

    async def hop(self, frame: Frame, address: str, action: object, seconds: float, origin: str = "") -> None:
        """A finished node. `origin`: ``"cached"`` or ``"taped"`` when its results were taken from there."""
        used, told = self._used(frame, address), self._noted()
        await self.save(self.recorder.hop(address, action, self._taken(frame), seconds=seconds, usage=used, origin=origin), told)

    async def failed(self, frame: Frame, address: str, error: BaseException, told: str, seconds: float) -> None:
        """A node whose error edge is taken."""
        noted = self._noted()
        await self.save(self.recorder.failed(address, error, told, self._taken(frame), seconds=seconds), noted)

    async def keep_result(self, frame: Frame, address: str, value: object, *, is_item: bool = False) -> bool:
        """What `exec` gave and spent, before `post` begins. Returns whether it could be kept."""
        before, used, told = self._spent, self._used(frame, address), self._noted()
        statements = self.recorder.kept_result(address, value, is_item=is_item, usage=used)
        if not statements:  # the node's own record tells it
            self._spent = before
        await self.save(statements, told)
        return bool(statements)

    async def prepared(self, frame: Frame, address: str, value: object) -> None:
        """What a flow's own prep gave, with what it changed; when it cannot be kept, prep runs again after a crash."""
        changes, told = list(self._changes), self._noted()
        statements = self.recorder.kept_result(address, value, changes=self._taken(frame))
        if not statements:
            self._changes = changes
        await self.save(statements, told)

    async def attempt(self, frame: Frame, number: int, told: str) -> None:
        """An attempt that failed, and that another one follows."""
        noted = self._noted()
        await self.save(self.recorder.attempt(step_address(frame, frame.node), number, told), noted)

    def asking(self, question: int, place: tuple[str, int]) -> None:
        """The question of that number, which is noted next, is asked at `place`."""
        self._places[question] = place

    def asked(self) -> None:
        """A question was noted, and waits for its answer from now on; nobody waits for this record."""
        self.recorder.save_soon(self._noted())

    def answered(self, where: str, number: int, value: object) -> None:
        """An answer, before its step goes on; waits for it."""
        self.recorder.save_now(self.recorder.answered(where, number, value))

    async def over(self, action: object) -> None:
        """The run is done: what is left to write, and its end."""
        told = self._noted()
        await self.save(self.recorder.over("done", action, None, self._taken()), told)
        self.recorder.close()

    def ended(self, status: str, told: str) -> None:
        """The run has failed or was cancelled; nobody waits for this record."""
        early, self._early = [*self._early, *self._noted()], []
        self.recorder.end_soon([*early, *self.recorder.over(status, None, told, self._taken())])


def _is_within(frame: Frame, walk: Frame) -> bool:
    """Whether `frame` is a part of `walk`, in runs inside too."""
    inner: Frame | None = frame
    while inner is not None:
        if inner is walk:
            return True
        inner = inner.parent if inner.parent is not None else inner.lifecycle.outer
    return False


def store_scope(frame: Frame, store: object) -> str | None:
    """Where changes of `store` are recorded, as a store of a walk around `frame` or of a run around it; None: of none of them."""
    around: Frame | None = frame
    while around is not None:
        run, walk = around.lifecycle, around.scope
        while walk is not None:
            if walk.private is store:
                return walk_address(walk) if run.recording is not None else None
            walk = None if walk.parent is None else walk.parent.scope
        if run.store is store and run.recording is not None:
            return run.recording.scope
        around = run.outer
    return None


def _joined(notes: deque[_Noted]) -> Iterator[_Noted]:
    """The notes, taken; tokens of one visit that follow each other are one text."""
    held: _Noted | None = None
    pieces: list[str] = []
    for note in iter(partial(_next, notes), None):
        is_token = note[0] == "output" and note[4].get("stream") == "token" and len(note[4]) == 2
        if held is not None and not (is_token and held[1] == note[1]):
            yield (*held[:4], {"stream": "token", "text": "".join(pieces)})
            held, pieces = None, []
        if is_token:
            held = note
            pieces.append(str(note[4]["text"]))
        else:
            yield note
    if held is not None:
        yield (*held[:4], {"stream": "token", "text": "".join(pieces)})


def _next(notes: deque[_Noted]) -> _Noted | None:
    try:
        return notes.popleft()
    except IndexError:  # another thread has taken it
        return None


def traced(error: BaseException) -> list[str]:
    """The user's own lines of a traceback, the last call first."""
    frames, _ = user_frames(error.__traceback__)
    return [line_text(frame, line) for frame, line in reversed(frames[-_LINES:])]
