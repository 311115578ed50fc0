"""Walks of a flow on a private store, once or per item of a `BatchFlow`, and the handling of items that fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.node_ids import base_name
from pocketflex_nb.core.flow.outcomes import Outcomes
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.records.addresses import walk_address
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.walk.batch_items import bounded_gather, ends_run, note_failure
from pocketflex_nb.engine.walk.hop import record_changes

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.core.flow.item_failure import ItemFailure

__all__ = ["ItemWalks", "item", "privately", "settled"]


@contextmanager
def item(frame: Frame, flow: Any, index: int | None) -> Iterator[Frame]:
    """The frame for one item of a batch flow, or for a walk on a private store, which the walk inside will use."""
    walk = Frame(frame.lifecycle, frame, flow, item=index)
    if index is not None:
        frame.items = index + 1
    walk.error = frame.error
    token = CURRENT_FRAME.set(walk)
    frame.lifecycle.enter(walk)
    try:
        yield walk
    finally:
        frame.lifecycle.leave(walk)
        CURRENT_FRAME.reset(token)


def settled(frame: Frame) -> None:
    """Record what the flow's own prep or post changed."""
    if frame.touched or frame.page is not None:
        record_changes(frame)


@contextmanager
def privately(frame: Frame, flow: Flow, shared: object) -> Iterator[Store]:
    """Walk `flow` on a private store: it begins with the inputs, and the outputs are written back if all went well."""
    walks = ItemWalks(frame, flow, shared)
    with item(frame, flow, None) as walk:
        yield walks.open(walk, flow.params)
    walks.give_back([walk.private])


class ItemWalks:
    """The walks of the items of one visit of a `BatchFlow`, or the one walk of a flow with a private store."""

    def __init__(self, frame: Frame, flow: Any, shared: Any) -> None:
        self.frame, self.flow, self.shared = frame, flow, shared
        self.private = flow._pfx_private
        self.collects = getattr(flow, "_pfx_on_item_error", "raise") == "collect"
        self.failures: list[ItemFailure] = []
        self.actions: dict[int, object] = {}
        self.stores: dict[int, Store] = {}
        self.before: Mapping[Any, Any] = {}
        if self.private is not None:
            if isinstance(shared, Store):
                frame.start_version = shared.version  # what others write from now on may conflict with what is given back
            self.before = {outer: shared[outer] for outer in self.private.rules if outer in shared}

    @property
    def what(self) -> str:
        """For messages."""
        return f"flow {self.frame.lifecycle.log.prefix(self.frame) or base_name(self.flow)!r} of run {self.frame.lifecycle.name!r}"

    def open(self, walk: Frame, params: Mapping[str, Any]) -> Store:
        """The private store of one walk."""
        merge = self.private.inner_rules()
        policy: Any = self.shared._conflicts.policy if isinstance(self.shared, Store) else "warn"
        recording, known = walk.lifecycle.recording, None
        if recording is not None:
            known = recording.recorder.begun_content(walk_address(walk))
        taken = self.private.taken(self.shared, params, self.what) if known is None else known[0]
        store = Store(taken, merge=merge or None, on_conflict=policy)
        if recording is not None and known is None:
            recording.early(recording.recorder.content(walk_address(walk), dict(taken)))
        walk.private = store
        walk.lifecycle.keep_store(walk)
        return store

    @contextmanager
    def one(self, params: Any, index: int) -> Iterator[tuple[object, dict[str, object]]]:
        """The store and the params of one item's walk; a failure inside is collected, if the flow says so."""
        frame, flow, own = self.frame, self.flow, {**self.flow.params, **params}
        try:
            with item(frame, flow, index) as walk:
                store = self.shared if self.private is None else self.open(walk, own)
                yield store, own
            if self.private is not None:
                self.stores[index] = store
        except Exception as exc:
            exc.add_note(f"in item {index} of the batch flow {base_name(flow)}")
            if not self.collects or ends_run(frame, exc):
                raise
            self.actions[index] = exc
            from pocketflex_nb.core.flow.item_failure import ItemFailure

            self.failures.append(ItemFailure(index, exc, params))
            outer = frame.parent
            note_failure(frame if outer is None else outer, self.failures[-1])

    async def walk_all(self, items: object) -> object:
        """Walk the flow once per item, as many in parallel as it allows; returns the `exec_res` for its `post`."""

        async def work(params: object, index: int) -> None:
            with self.one(params, index) as (store, own):
                self.actions[index] = await self.flow._orch_async(store, own)

        return self.gathered(len(await bounded_gather(work, items, self.flow._pfx_items_at_once)))

    def gathered(self, count: int) -> object:
        """Write back the outputs of the items, in their order; returns their outcomes, or None where the first failure ends all."""
        if self.private is not None:
            self.give_back([self.stores.get(index) for index in range(count)], is_batch=True)
        if not self.collects:
            return None
        outcomes = Outcomes([self.actions.get(index) for index in range(count)], self.failures)
        self.frame.failures = outcomes.failures
        return outcomes

    def give_back(self, stores: list[Store | None], *, is_batch: bool = False) -> None:
        """Write the outputs of the private stores to the outer store; None represents an item that failed."""
        private, what = self.private, self.what
        found: dict[Any, list[Any]] = {
            inner: [None if store is None else private.given(inner, store, what) for store in stores] for inner in private.gives
        }
        for inner, outer in private.gives.items():
            values = found[inner]
            if outer in private.rules:
                for value, store in zip(values, stores, strict=True):
                    if store is not None:
                        self._merge(outer, value)
            else:
                self.shared[outer] = values if is_batch else values[0]
        settled(self.frame)

    def _merge(self, outer: Any, mine: object) -> None:
        shared, private, base = self.shared, self.private, self.before.get(outer)
        if outer not in shared:
            shared[outer] = mine
        elif isinstance(shared, Store):
            shared.update(outer, lambda theirs: private.merged(outer, base, theirs, mine))
        else:
            shared[outer] = private.merged(outer, base, shared[outer], mine)
