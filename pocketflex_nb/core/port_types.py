"""What crosses the rooms, as types: frames, runs and agents as lower rooms see them, and what each port must offer.

Protocols alone: nothing here is needed while a program runs, and other modules import it for type checkers only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from pocketflex_nb.core.events import Event
    from pocketflex_nb.core.state import State

__all__ = [
    "CachedResults", "DisplayPort", "DrawPort", "EnginePort", "ExportPort", "JournalPort", "JournalRecorder", "JournalRow", "KeptAgent",
    "ObservedRun", "RecordedHistory", "RecordedRun", "RecordedSums", "ReopenedRun", "RunningAgent", "WalkFrame", "WalkedRun",
]

_StoreChanges = Iterable[tuple[str, Mapping[Any, object], Iterable[object]]]
CodeT = TypeVar("CodeT")
NodeT = TypeVar("NodeT", contravariant=True)
FlowT = TypeVar("FlowT", contravariant=True)


class WalkedRun(Protocol):
    """A run as the code of its own steps sees it, stores among it.

    Attributes
    ----------
    name : str
        Unique in this process.
    number : int
        Unique in this process; higher for each later run.
    store : object
        What its nodes share.
    hops : int
        Finished hops so far.
    """

    @property
    def name(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def store(self) -> object: ...
    @property
    def hops(self) -> int: ...


class ObservedRun(WalkedRun, Protocol):
    """A run as views and subscribers see it from outside.

    Attributes
    ----------
    status : str
        pending, running, paused, asking, done, failed or cancelled.
    error : BaseException or None
        What ended it.
    action : object
        The last action, once it is done.
    events : sequence of Event
        What happened, oldest first, as far as it is kept.
    seconds : float
        Its duration so far.
    """

    @property
    def status(self) -> str: ...
    @property
    def error(self) -> BaseException | None: ...
    @property
    def action(self) -> object: ...
    @property
    def events(self) -> Sequence[Event]: ...
    @property
    def seconds(self) -> float: ...

    def state(self) -> State:
        """The fold of its events, with the current nodes marked."""
        ...

    def done(self) -> bool:
        """Whether it is over: done, failed or cancelled."""
        ...

    def in_flight(self) -> list[str]:
        """Graph paths of the nodes that are being visited now."""
        ...


class RunningAgent(Protocol):
    """The agent or task that the running code belongs to, from start to exit: one incarnation.

    Attributes
    ----------
    fenced : bool
        Given up: what it still sends or writes is dropped.
    callers : sequence of AgentRef
        The agents that requested its work: the one that spawned it, and so on.
    ancestors : sequence of AgentRef
        The agents that started it.
    lane : WalkFrame or None
        The frame of the node that started it: where its prints go while that run lasts.
    """

    @property
    def fenced(self) -> bool: ...
    @property
    def callers(self) -> Sequence[object]: ...
    @property
    def ancestors(self) -> Sequence[object]: ...
    @property
    def lane(self) -> WalkFrame | None: ...


class WalkFrame(Protocol):
    """The activation record of a walk: of one flow, of a branch or batch item of it, or of a step in a thread of its own.

    The engine makes frames and sets `CURRENT_FRAME` once per walk. What stores keep in a frame is theirs alone: `touched` to `put`.

    Attributes
    ----------
    run : WalkedRun
        The run that walks.
    lane_run : WalkedRun or None
        The launched run, its own or an outer one, whose lane shows what its steps print.
    parent : WalkFrame or None
        The frame this one was entered from.
    node : object
        The node in flight, as it is wired; not the visit's copy.
    scope : WalkFrame or None
        The frame of the nearest enclosing walk on a store of its own, its `private`; None on the run's store.
    step : bool
        Whether it is one step of the node of `parent`, in a thread or task of its own.
    fenced : bool
        The step was abandoned: its late writes are dropped.
    life : RunningAgent or None
        What `CURRENT_AGENT` was when the frame was made.
    start_version : int
        The store's `version` when the node in flight began its `prep`; set by the engine for a `Store` only.
    hops : int
        The run's finished hops.
    node_id, address : str
        Graph path of the current node, and the address of the running code.
    timed : bool
        Whether each write takes the time; if not, the walk gives its changes the time of the hop's end.
    touched : dict of KeyState to Store, or None
        Mutable values read or written since the node began.
    undo : dict or None
        While a try may fail, the values that it replaced.
    writers : dict of node to Writer, or None
        Made and kept by stores, so that names are read once per walk and node.
    page, at : list or None, int
        Position of the first change that the node in flight made; `page` is None if there is none.
    changes : list or None
        The positions of all its changes, page and index in turn; None while there is one at most.
    store, put : Store or None, callable or None
        The store that was written last, and the plain dict's way to write to it.
    waits : dict
        What steps of the run wait for now, each a mark (`wait_marks.waiting`) as a key.
    """

    touched: dict[Any, Any] | None
    undo: Any
    writers: dict[object, Any] | None
    page: list[object] | None
    at: int
    changes: list[object] | None
    store: Any
    put: Any

    @property
    def run(self) -> WalkedRun: ...
    @property
    def lane_run(self) -> WalkedRun | None: ...
    @property
    def parent(self) -> WalkFrame | None: ...
    @property
    def node(self) -> object: ...
    @property
    def scope(self) -> WalkFrame | None: ...
    @property
    def private(self) -> object: ...
    @property
    def step(self) -> bool: ...
    @property
    def fenced(self) -> bool: ...
    @property
    def life(self) -> RunningAgent | None: ...
    @property
    def start_version(self) -> int: ...
    @property
    def hops(self) -> int: ...
    @property
    def node_id(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def timed(self) -> bool: ...
    @property
    def waits(self) -> dict[Any, None]: ...

    def current_class(self, code: CodeT, /) -> CodeT:
        """The class or function that the run uses for `code`: the one bound in the notebook when it was launched."""
        ...

    def is_cancelled(self) -> bool:
        """Whether the step was abandoned, or its run or an outer one was told to end."""
        ...

    def cancelling(self, cancel: Callable[[], object], /) -> AbstractContextManager[None]:
        """Within the block, `cancel` is called when the run is to end."""
        ...

    def path(self, node: Any, /) -> str:
        """The graph path of `node`, such as ``"research/search"``."""
        ...

    def note(self, kind: str, *, cause: int | None = None, **data: object) -> None:
        """Append an event to the run's log."""
        ...


class EnginePort(Protocol[NodeT, FlowT]):
    """The functions that nodes and flows need from the engine; :mod:`pocketflex_nb.engine.engine_port` provides them.

    Generic over the classes of nodes and flows, which stand above this module. What steps return is the user's own, and so an object.
    """

    @property
    def launch(self) -> Callable[..., object]: ...
    @property
    def launch_each(self) -> Callable[..., object]: ...
    @property
    def fork(self) -> Callable[..., Any]: ...
    @property
    def reopened(self) -> Callable[..., Any]: ...
    def whole(self, run: Any, /) -> Any: ...

    # runs, and walks of a flow's inside
    def run(self, flow: FlowT, shared: object) -> object: ...
    def run_async(self, flow: FlowT, shared: object) -> Awaitable[object]: ...
    def run_node(self, node: NodeT, shared: object) -> object: ...
    def walk(self, flow: FlowT, shared: object, params: dict[str, Any] | None) -> object: ...
    def walk_async(self, flow: FlowT, shared: object, params: dict[str, Any] | None) -> Coroutine[object, object, object]: ...
    def walk_private(self, flow: FlowT, shared: object) -> Awaitable[object]: ...
    def walk_items(self, flow: FlowT, shared: object, items: object) -> Awaitable[object]: ...

    # one visit, and the tries of its `exec`
    def visit(self, node: NodeT, shared: object) -> object: ...
    def visit_flow(self, flow: FlowT, shared: object) -> object: ...
    def visit_batch_flow(self, flow: FlowT, shared: object) -> object: ...
    def attempt(self, node: NodeT, prep_res: object) -> object: ...
    def attempt_items(self, node: NodeT, items: object) -> object: ...
    def attempt_legacy_async(self, node: NodeT, prep_res: object) -> Awaitable[object]: ...
    def streamed(self, pieces: AsyncGenerator[object, object]) -> Awaitable[object]: ...
    def retried(self, node: NodeT, number: int, exc: BaseException) -> None: ...
    def collected(self, error: Exception, index: int, item: object) -> bool: ...


class DisplayPort(Protocol):
    """Shows a run, group, flow or store on the screen; `notebook.cells.show.show` provides it."""

    def __call__(
        self, thing: object, *, asked: bool = True, height: int = 500, view: str = "auto", again: tuple[float, int] | None = None
    ) -> object: ...


class DrawPort(Protocol):
    """Draws a thing that is a cell's last value; `notebook.cells.drawings.draw` provides it.

    `form` is ``"live"``, which shows a live view and says whether it did, ``"bundle"``, which gives texts by MIME type, or ``"marimo"``,
    which gives what marimo shows.
    """

    def __call__(self, thing: object, form: str) -> object: ...


class ExportPort(Protocol):
    """Writes a thing as ``"mermaid"``, ``"dot"``, ``"svg"``, ``"text"``, ``"graphviz"``, ``"timeline"``, ``"frame"`` or ``"html"``."""

    def __call__(self, thing: object, form: str, **options: object) -> Any: ...


class JournalRow(Protocol):
    """A record of a journal, as it is read."""

    @property
    def what(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...
    def value(self, name: str, /) -> Any: ...
    def changes(self) -> Iterable[tuple[str, list[tuple[Any, bool, Any]]]]: ...
    def notes(self) -> Iterable[tuple[str, str, bool, float, dict[str, Any]]]: ...


class RecordedHistory(Protocol):
    """All that a journal holds of one run."""

    @property
    def rows(self) -> Sequence[JournalRow]: ...
    @property
    def missing(self) -> Sequence[str]: ...
    def content(self, scope: str = "", *, hops: int | None = None) -> dict[Any, Any]: ...


class RecordedSums(Protocol):
    """Records of one place, kind and action, summed."""

    @property
    def place(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def action(self) -> Any: ...
    @property
    def number(self) -> float: ...
    @property
    def seconds(self) -> float: ...
    @property
    def events(self) -> float: ...
    @property
    def tokens(self) -> float: ...
    @property
    def cost(self) -> float: ...


class ReopenedRun(Protocol):
    """A run of a journal at a glance; `journal.glance.Glance` is it.

    Attributes
    ----------
    path : Path
        The journal's file.
    run : int
        Its number there.
    name : str
        Its name.
    begun : float
        When it was launched, in seconds since 1970.
    header : dict
        What was known before the first node.
    is_held : bool
        Whether a living process writes it.
    """

    @property
    def path(self) -> PurePath: ...
    @property
    def run(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def begun(self) -> float: ...
    @property
    def header(self) -> Mapping[str, Any]: ...
    @property
    def is_held(self) -> bool: ...
    @property
    def history(self) -> RecordedHistory: ...
    def end(self) -> JournalRow | None: ...
    def hops(self) -> int: ...
    def last_time(self) -> float: ...
    def usage(self) -> tuple[float, float]: ...
    def tail(self, hops: int, /) -> tuple[int, Sequence[JournalRow]]: ...
    def sums(self, until: int, /) -> Sequence[RecordedSums] | None: ...
    def lasting(self, until: int, /) -> Sequence[JournalRow]: ...


class JournalRecorder(Protocol):
    """The journal's side of one run, number `run` of the file at `path`. What its verbs give is for its own `save`.

    `journal.recorder.Recorder` provides it.

    Attributes
    ----------
    unkept : set of str
        Addresses whose results could not be kept.
    """

    unkept: set[str]

    @property
    def run(self) -> int: ...
    @property
    def path(self) -> PurePath: ...

    # what an earlier process has recorded
    def finished(self, address: str, /) -> JournalRow | None: ...
    def result(self, address: str, /) -> JournalRow | None: ...
    def attempts(self, address: str, /) -> int: ...
    def inner_hops(self, address: str, /) -> int: ...
    def answer(self, where: str, number: int, /) -> tuple[bool, Any]: ...
    def asked_number(self, where: str, number: int, /) -> int: ...
    def begun_content(self, address: str, /) -> tuple[dict[Any, Any], dict[str, Any]] | None: ...

    # records
    def leave_out(self, keys: frozenset[Any], /) -> None: ...
    def hop(
        self, address: str, action: object, changes: _StoreChanges, /, *, seconds: float = 0.0, usage: tuple[float, float] | None = None,
        origin: str = "",
    ) -> Sequence[object]: ...
    def failed(
        self, address: str, error: BaseException, told: str, changes: _StoreChanges, /, *, seconds: float = 0.0
    ) -> Sequence[object]: ...
    def kept_result(
        self, address: str, value: object, /, *, is_item: bool = False, usage: tuple[float, float] | None = None,
        changes: _StoreChanges = (),
    ) -> Sequence[object]: ...
    def attempt(self, address: str, number: int, told: str, /) -> Sequence[object]: ...
    def noted(self, events: Iterable[tuple[str, str, bool, float, Mapping[str, Any]]], /) -> Sequence[object]: ...
    def content(self, address: str, content: Mapping[Any, Any], /, *, more: Mapping[str, Any] | None = None) -> Sequence[object]: ...
    def answered(self, where: str, number: int, value: object, /) -> Sequence[object]: ...
    def over(self, status: str, action: object, told: str | None, changes: _StoreChanges, /) -> Sequence[object]: ...

    # writing
    async def save(self, statements: Sequence[object], /) -> None: ...
    def save_now(self, statements: Sequence[object], /) -> None: ...
    def save_soon(self, statements: Sequence[object], /) -> None: ...
    def end_soon(self, statements: Sequence[object], /) -> None: ...
    def close(self) -> None: ...


class CachedResults(Protocol):
    """Results of `exec` that are kept for later runs; a `ResultCache` of the journal's room."""

    @property
    def path(self) -> PurePath: ...
    def get(self, key: str, /) -> str | None: ...
    async def keep(self, key: str, node: str, text: str, /) -> None: ...


class RecordedRun(Protocol):
    """A recorded run that another one plays; a `Tape` of the journal's room."""

    name: str

    def result(self, address: str, /) -> JournalRow | None: ...
    def finished(self, address: str, /) -> JournalRow | None: ...
    def changes(self, address: str, scope: str, /) -> list[tuple[Any, bool, Any]] | None: ...
    def answer(self, where: str, number: int, /) -> tuple[bool, Any]: ...


class KeptAgent(Protocol):
    """The state of one agent in a file; an `AgentState` of the journal's room."""

    @property
    def path(self) -> PurePath: ...
    def read(self) -> str | None: ...
    async def save(self, text: str, name: str, /) -> None: ...
    def release(self) -> None: ...


class JournalPort(Protocol):
    """Opens journals; `journal.port` provides it."""

    def begin(
        self, path: object, name: str, header: Mapping[str, object], store: Mapping[Any, object], transient: frozenset[object],
        durability: str, /
    ) -> JournalRecorder: ...
    def agent_state(self, path: object, key: str, may_wait: bool = True, /) -> KeptAgent | None: ...
    def forget_agent(self, path: object, key: str, /) -> bool: ...
    def cache(self, path: object, /) -> CachedResults: ...
    def tape(self, source: object, flow: str, store: Mapping[Any, object], is_one: bool, /) -> RecordedRun: ...
    def reopened_store(self, url: str, /) -> Any: ...
    def unfinished(self, path: object, /) -> list[int]: ...
    def left(self, path: object, run: int | str, /) -> Any: ...
    def cancel(self, path: object, run: int, /) -> None: ...
    def glance(self, path: object, run: int, /) -> ReopenedRun: ...
    def fork(self, path: object, run: int, hops: int, name: str, header: Mapping[str, object], edits: Mapping[Any, object], /) -> int: ...
    def go_on(
        self, path: object, history: object, durability: str, transient: frozenset[object], changed: Sequence[str], /
    ) -> JournalRecorder: ...
