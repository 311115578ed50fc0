"""`Recording`: the engine's side of a journalled run: what its steps change and spend, on its way into the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pocketflex_nb.core.store.change_log import KEY, places_in
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.records.addresses import QuestionCounts, step_address, walk_address
from pocketflex_nb.engine.records.frame import Frame

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import JournalRecorder
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["Recording"]


class Recording:
    """What one run writes into its journal.

    Parameters
    ----------
    recorder : JournalRecorder
        The journal's side.
    uid : str
        The same for the run in every process.
    """

    def __init__(self, recorder: JournalRecorder, uid: str) -> None:
        self.recorder, self.uid = recorder, uid
        self._changes: list[tuple[Frame, list[object]]] = []
        self._early: list[object] = []
        self._spent = (0.0, 0.0)
        self.questions = QuestionCounts()

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

    # what is written with the next record ----------------------------------------------------------------------------
    def changed(self, frame: Frame, changes: list[object]) -> None:
        """Keep changes of a store for the next record."""
        self._changes.append((frame, changes))

    def early(self, statements: Sequence[object]) -> None:
        """Keep statements for the next transaction."""
        self._early += statements

    def _taken(self) -> list[tuple[str, Mapping[object, object], list[object]]]:
        """The changes since the last record: of each store its address, the content of the changed keys, and these."""
        changes, self._changes = self._changes, []
        found: dict[int, tuple[str, dict[object, object], list[object]]] = {}
        for frame, places in changes:
            scope = frame.scope
            store = frame.lifecycle.store if scope is None else scope.private
            if type(store) is not Store:  # one that is kept elsewhere holds its own values
                continue
            where = "" if scope is None else walk_address(scope)
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

    def _used(self, run: Lifecycle[Frame]) -> tuple[float, float] | None:
        if run.controller is None:
            return None
        spent = run.controller.limits.spent
        now, before = (spent["tokens"], spent["cost"]), self._spent
        if now == before:
            return None
        self._spent = now
        return now[0] - before[0], now[1] - before[1]

    def spent_before(self, tokens: float, cost: float) -> None:
        """What earlier processes have spent is recorded already."""
        self._spent = (tokens, cost)

    # records ---------------------------------------------------------------------------------------------------------
    async def save(self, statements: Sequence[object]) -> None:
        """Commit them, and what was kept for the next transaction."""
        early, self._early = self._early, []
        await self.recorder.save([*early, *statements])

    async def hop(self, frame: Frame, address: str, action: object, seconds: float, origin: str = "") -> None:
        """A finished node. `origin`: ``"cached"`` or ``"taped"`` when its results were taken from there."""
        usage = self._used(frame.lifecycle)
        await self.save(self.recorder.hop(address, action, self._taken(), seconds=seconds, usage=usage, origin=origin))

    async def failed(self, address: str, error: BaseException, told: str, seconds: float) -> None:
        """A node whose error edge is taken."""
        await self.save(self.recorder.failed(address, error, told, self._taken(), seconds=seconds))

    async def keep_result(self, frame: Frame, address: str, value: object, *, is_item: bool = False) -> bool:
        """What `exec` gave and spent, before `post` begins. Returns whether it could be kept."""
        before = self._spent
        statements = self.recorder.kept_result(address, value, is_item=is_item, usage=self._used(frame.lifecycle))
        if not statements:  # the node's own record tells it
            self._spent = before
        await self.save(statements)
        return bool(statements)

    async def prepared(self, address: str, value: object) -> None:
        """What a flow's own prep gave, with what it changed; when it cannot be kept, prep runs again after a crash."""
        changes = list(self._changes)
        statements = self.recorder.kept_result(address, value, changes=self._taken())
        if not statements:
            self._changes = changes
        await self.save(statements)

    async def attempt(self, frame: Frame, number: int, told: str) -> None:
        """An attempt that failed, and that another one follows."""
        await self.save(self.recorder.attempt(step_address(frame, frame.node), number, told))

    def answered(self, where: str, number: int, value: object) -> None:
        """An answer, before its step goes on; waits for it."""
        self.recorder.save_now(self.recorder.answered(where, number, value))

    async def over(self, action: object) -> None:
        """The run is done: what is left to write, and its end."""
        await self.save(self.recorder.over("done", action, None, self._taken()))
        self.recorder.close()

    def ended(self, status: str, told: str) -> None:
        """The run has failed or was cancelled; nobody waits for this record."""
        early, self._early = self._early, []
        self.recorder.end_soon([*early, *self.recorder.over(status, None, told, self._taken())])
