"""`Frame`: the cursor of one walk, of one branch or item of it, or of one step in a thread.

A hop leaves five fields in its run's flat list of records, ``frame, node, action, start, end``; anything else that happens leaves five
too, with a `Note` for the action. A tuple per hop would be one more object for the garbage collector to visit. `Event`s are made from
them when they are read (:mod:`pocketflex_nb.engine.records.run_log`).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.flow.nodes import attempt_of
from pocketflex_nb.core.store.change_log import add_change, changes_of, places_in
from pocketflex_nb.engine.records.record import Note

if TYPE_CHECKING:
    import asyncio

    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.core.flow.item_failure import ItemFailure
    from pocketflex_nb.core.flow.nodes import BaseNode
    from pocketflex_nb.core.port_types import WalkFrame
    from pocketflex_nb.core.store.store import Store
    from pocketflex_nb.engine.records.lifecycle import Handle, Lifecycle
    from pocketflex_nb.engine.records.visit_values import KeptVisit

__all__ = ["KEPT_RECORDS", "LOOK_EVERY", "TRIM_AT", "WIDTH", "Frame", "Several", "current", "restore_frame"]

CodeT = TypeVar("CodeT")


class _Meeting(Protocol):
    """Where a branch meets its siblings."""

    @property
    def node(self) -> BaseNode | None: ...
    def move(self, node: BaseNode | None, /) -> None: ...


class _AttemptLimit(Protocol):
    """What bounds an attempt; as `asyncio.Timeout`."""

    def when(self) -> float | None: ...
    def expired(self) -> bool: ...
    def reschedule(self, when: float | None, /) -> None: ...


class _ExecCall(Protocol):
    """A call of `exec` that may come into the cache."""

    is_kept: bool

    def withdraw(self) -> None: ...


class _StepwiseVisit(Protocol):
    """A visit between its steps, in a run with a journal, a tape or a cache."""

    async def item(self, frame: Any, node: Any, item: object, call: Callable[[], Awaitable[object]], /) -> object: ...


class Several:
    """The stand-in for the action of a hop whose `post` returned several.

    Attributes
    ----------
    counts : dict of str to int
        How often each action was named.
    node : BaseNode or None
        Where to go on: a fork made for it; where its branches would meet when the list was empty.
    last : str or None
        The one named last: what the flow ends with when nothing follows.
    """

    __slots__ = ("counts", "last", "node")

    def __init__(self, counts: dict[str, int], node: BaseNode | None, last: object = None) -> None:
        self.counts, self.node, self.last = counts, node, last

    def __str__(self) -> str:
        return ", ".join(action if n == 1 else f"{action} ×{n}" for action, n in self.counts.items()) or "nothing"

    __repr__ = __str__


_agent = CURRENT_AGENT.get

#: fields of one record
WIDTH = 5
#: records that a run keeps at least; older ones are counted and dropped when there are a quarter more: what is dropped late has left the
#: processor's caches, and costs twice as much to let go of
KEPT_RECORDS = 10_000
#: fields in the list from which on `Log.trim` is called
TRIM_AT = KEPT_RECORDS * WIDTH * 5 // 4
#: hops between two looks of a walk at the number of records
LOOK_EVERY = 2_048


#: tells this process from others
_PROCESS = os.urandom(8).hex()


class Frame:
    """The cursor of one walk.

    Attributes
    ----------
    run : Run
        The handle of the run that this walk is a part of.
    lifecycle : RunLifecycle
        The engine's side of that run, whose log this walk writes to.
    parent : Frame or None
        The walk this one was entered from.
    flow : Flow
        What is walked.
    node : Node or None
        The node in flight: the one that is wired, not the visit's copy.
    branch : str or None
        Set on the walk of one branch of a fork: the id of its head.
    item : int or None
        Set on the walk of one item of a `BatchFlow`, and on a step that works on one item of a batch: its index.
    error : Exception or None
        What failed, for a node behind an error edge.
    failures : sequence of ItemFailure
        What failed in the latest batch or fan-out of this walk that collects its failures; for the `post` of the batch, the join, and
        the flow's own `post`.
    """

    __slots__ = (
        "__dict__", "at", "changes", "error", "fenced", "flow", "life", "lifecycle", "node", "page", "parent", "put", "start_version",
        "store", "timed", "touched", "undo", "writers",
    )
    # rare, so kept in the `__dict__`
    branch: BaseNode | None = None
    given: dict[str, Any] | None = None  # the params of the nodes that it walks
    failures: Sequence[ItemFailure] = ()
    private: Store | None = None  # the store of its own that a whole walk is on, if it has one
    meeting: _Meeting | None = None  # of a branch: where it meets its siblings, and all nodes that it stops at
    stops: set[BaseNode] | None = None
    clock: tuple[asyncio.AbstractEventLoop, _AttemptLimit] | None = None  # what bounds the attempt in flight
    item: int | None = None
    items: int = 0
    kept: KeptVisit | None = None  # the visit of its current node, where values are kept
    visits: dict[BaseNode, int] | None = None  # with a journal: how many visits of each node have begun in this walk
    where: str | None = None  # with a journal: the address of this walk
    outer: BaseNode | None = None  # the node of `parent` that this walk belongs to
    visit: _StepwiseVisit | None = None  # with a journal, a tape or a cache: the visit in flight
    call: _ExecCall | None = None  # with a cache: the `exec` in flight, which may come into it
    swapped: dict[int, tuple[object, object]] | None = None  # what an abandoned step was handed, by id, with what took its place
    step: bool = False  # whether this is one step of `parent`'s node in a thread or task of its own

    def __init__(
        self, lifecycle: Lifecycle[Frame], parent: Frame | None, flow: Flow, branch: BaseNode | None = None, item: int | None = None
    ) -> None:
        self.lifecycle, self.parent, self.flow = lifecycle, parent, flow
        if parent is not None:
            self.outer, self.branch, self.item = parent.node, branch, item
        self.node: BaseNode | None = None
        self.error: BaseException | None = None
        self.touched: dict[Any, Any] | None = None
        self.undo: object = None  # while a try may fail: the values that it replaced
        self.page: list[object] | None = None
        self.changes: list[object] | None = None
        self.writers: dict[object, object] | None = None  # the store's own, made at the first write
        self.store: Any = None  # the one written last, and the plain dict's way to do it
        self.put: object = None
        self.fenced, self.timed, self.life = False, True, _agent()
        self.start_version = self.at = 0

    @property
    def run(self) -> Handle:
        """The handle of the run."""
        return self.lifecycle.run

    @property
    def lane_run(self) -> Handle | None:
        """The launched run, this one or an outer one, whose lane shows what the steps print."""
        return self.lifecycle.lane_run

    @property
    def waits(self) -> dict[Any, None]:
        """The marks of what steps of the run wait for now."""
        return self.lifecycle.waits_now()

    def current_class(self, code: CodeT) -> CodeT:
        """The class or function that the run uses for `code`: the one bound in the notebook when it was launched."""
        classes = self.lifecycle.classes
        return classes.get(code, code) if classes else code

    def is_cancelled(self) -> bool:
        """Whether this step was abandoned, or this run or an outer one was told to end."""
        if self.fenced:
            return True
        run: Lifecycle[Frame] | None = self.lifecycle
        while run is not None:
            if run.is_ended:
                return True
            run = run.parent
        return False

    def cancelling(self, cancel: Callable[[], object]) -> AbstractContextManager[None]:
        """Within the block, `cancel` is called when the run is to end."""
        return self.lifecycle.cancelling(cancel)

    @property
    def scope(self) -> Frame | None:
        """The nearest enclosing walk, or this one, with a private store; None on the run's store."""
        walk: Frame | None = self
        while walk is not None and walk.private is None:
            walk = walk.parent
        return walk

    @property
    def params(self) -> dict[str, Any]:
        """The params of the current node, as ``self.params`` in a class: what function nodes read."""
        walk = self
        while walk.step and walk.parent is not None:
            walk = walk.parent
        return dict(walk.given or {})

    def step_frame(self, item: int | None = None) -> Frame:
        """A frame for one attempt of the current node that runs beside this walk, so that it can be abandoned alone."""
        step = Frame(self.lifecycle, self, self.flow, None, item)
        step.node, step.error, step.start_version, step.step = self.node, self.error, self.start_version, True
        step.undo = self.undo
        if self.failures:
            step.failures = self.failures
        return step

    def absorb(self, step: Frame) -> None:
        """Take over what `step` wrote and read."""
        for page, at in places_in(changes_of(step) or []):
            add_change(self, page, at)
        if step.touched:
            self.touched, step.touched = {**(self.touched or {}), **step.touched}, None

    @property
    def hops(self) -> int:
        """Number of the run's finished hops."""
        return int(self.lifecycle.hops)

    @property
    def address(self) -> str:
        """The address of the running code: ``report/research#2/search#1[3]``."""
        return str(self.lifecycle.log.address(self))

    @property
    def key(self) -> str:
        """A key of this visit for services that must not do a thing twice: the same at each attempt and, with a journal, after a crash.

        Of an item of a batch one of its own; 32 hexadecimal digits.

        Examples
        --------
        >>> from pocketflex_nb import Flow, Node, current, launch
        >>> keys = []
        >>> class Pay(Node):
        ...     def exec(self, prep_res):
        ...         keys.append(current().key)           # pay(amount, idempotency_key=current().key)
        ...         if len(keys) < 2:
        ...             raise ConnectionError
        >>> _ = launch(Flow(Pay(max_retries=2))).wait(10)
        >>> len(keys), len(set(keys))
        (2, 1)
        """
        from hashlib import blake2b

        recording = self.lifecycle.recording
        uid = f"{_PROCESS}-{self.lifecycle.number}" if recording is None else recording.uid
        return blake2b(f"{uid} {self.address}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @property
    def attempt(self) -> int:
        """The 0-based number of the current attempt."""
        return attempt_of(self.node)

    @property
    def node_id(self) -> str:
        """Graph path of the current node."""
        return self.path(self.node)

    @property
    def callers(self) -> tuple[object, ...]:
        """Refs of the agents that requested the work around this run: the one that spawned its task, and so on; () outside of any."""
        life = CURRENT_AGENT.get()
        return () if life is None else tuple(life.callers)

    @property
    def ancestors(self) -> tuple[object, ...]:
        """Refs of the agents that started the agent or task around this run; () outside of any."""
        life = CURRENT_AGENT.get()
        return () if life is None else tuple(life.ancestors)

    def path(self, node: BaseNode | None) -> str:
        """Graph path of `node` in the flow this frame walks."""
        return str(self.lifecycle.log.path(self, node))

    def note(self, kind: str, *, cause: int | None = None, **data: object) -> None:
        """Append an event to the run's log."""
        self.tell(kind, data, cause)

    def tell(self, kind: str, data: dict[str, object], cause: int | None = None) -> None:
        """The same as `note`, with the facts as a dict, whatever their names."""
        run, ns = self.lifecycle, perf_counter_ns()
        run.records.extend((self, self.node, Note(kind, data, cause), ns, ns))
        if run.recording is not None:
            run.recording.note(self, kind, data, ns)
        if run.controller is not None and run.controller.subscribers:
            run.controller.subscribers.tell()
        if len(run.records) > TRIM_AT:  # one step may tell a million things before its walk looks
            run.log.trim()

    def __repr__(self) -> str:
        return f"<Frame {self.address or self.lifecycle.name}>"


def current() -> Any:
    """The frame of the running code: its run, node, `address`, `error` (behind an error edge); None outside of any run or agent.

    Returns
    -------
    object or None
        A `Frame` inside a run, a life in an agent or task; read its attributes.

    Notes
    -----
    In an agent or task, outside of any run, it is that life, with its `ref`, `address`, `callers` and `ancestors`; inside of a run these
    two tell of the agent or task around it. Follows context variables: a thread that you start yourself begins outside, unless you
    start it with `contextvars.copy_context`.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node, current, launch
    >>> class Where(Node):
    ...     def post(self, shared, prep_res, exec_res):
    ...         here = current()
    ...         shared["where"] = here.run.name, type(here.node).__name__
    >>> launch(Flow(Where()), name="where-am-i").wait(10).store["where"]
    ('where-am-i', 'Where')
    >>> current() is None
    True
    """
    frame = CURRENT_FRAME.get()
    return frame if frame is not None else CURRENT_AGENT.get()


def restore_frame(frame: Frame, outer: WalkFrame | None) -> None:
    """Make `outer` the current frame again, at the end of the walk of `frame`.

    A dropped coroutine may be closed in a context where nothing was set: that one keeps what it has. No `Token` of a context variable is
    kept meanwhile: each of ten thousand runs would have one for the garbage collector to visit.
    """
    if CURRENT_FRAME.get() is frame:
        CURRENT_FRAME.set(outer)


