"""`launch` and `launch_each`: start one flow or many on the engine thread."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from time import perf_counter_ns
from types import CoroutineType
from typing import Any, TypeVar

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.foreign_errors import raised_by_step
from pocketflex_nb.concurrency.reentrancy import interrupt_cell
from pocketflex_nb.core import ports
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.errors import RunCancelled
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.flow.option_checks import check_concurrency, check_limits
from pocketflex_nb.core.store.store import Store, as_store
from pocketflex_nb.engine.records.emit import capture_logging
from pocketflex_nb.engine.runs.code_reload import classes_now
from pocketflex_nb.engine.runs.lost_handles import launch_call
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.engine.runs.run_group import RunGroup, queue_of
from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle, registry, start_lock
from pocketflex_nb.engine.walk.dispatch import overrides_flow_hooks
from pocketflex_nb.engine.walk.flow_visit import visit_flow_async
from pocketflex_nb.engine.walk.steps import USER, in_pool, mode_here

__all__ = ["AT_ONCE", "all_or_none", "begin_group", "drive", "is_watched", "launch", "launch_each", "make_run"]

ShownT = TypeVar("ShownT", Run, RunGroup)
#: runs of one group at once, unless said otherwise
AT_ONCE = 32


async def drive(flow: Any, shared: object) -> object:
    """Walk the outermost flow of a run on this loop."""
    if getattr(type(flow), "_pfx_legacy_async", False):
        return await flow._run_async(shared)
    if overrides_flow_hooks(flow):
        action = flow._run(shared) if mode_here() == USER else await in_pool(CURRENT_FRAME.get(), flow._run, shared)
        return await action if action.__class__ is CoroutineType else action
    return await visit_flow_async(flow, shared)


async def _main(run: RunLifecycle) -> None:
    """The task of one launched run."""
    if run.done():
        return
    CURRENT_FRAME.set(run.root)
    run.task = asyncio.current_task()
    run.begin()
    try:
        recording = run.recording
        known = None if recording is None else recording.known_end()
        action = await drive(run.flow, run.store) if known is None else known[0]
        if recording is not None and known is None:
            await recording.over(action)
        run.conclude(action)
    except BaseException as exc:
        ended = isinstance(exc, (asyncio.CancelledError, RunCancelled)) and run.ending is not None
        run.finish(error=run.ending if ended else raised_by_step(exc))
        if isinstance(exc, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            if isinstance(exc, KeyboardInterrupt):
                interrupt_cell(asyncio.get_running_loop())
            return  # it ends this run, never the engine thread


def launch(
    flows: object,
    shared: object = None,
    *,
    share: object = None,
    name: str | None = None,
    show: bool | None = None,
    timeout: float | None = None,
    budget: Mapping[str, float] | None = None,
    max_steps: int | None = None,
    max_concurrency: int | None = None,
    on_error: str = "others",
    detached: bool = False,
    journal: object = None,
    durability: str = "node",
    tape: object = None,
    strict_tape: bool = False,
    cache: object = None,
    refresh_cache: bool = False,
) -> Any:
    """Start a flow, or several at once, on the engine thread.

    Parameters
    ----------
    flows : Flow, list, or dict
        One flow gives a `Run`. A list of flows or of (flow, store) pairs, or a dict of name to either, gives a `RunGroup`.
    shared : mapping or Store, optional
        What the store of each run starts with: a mapping is copied, its top level; a Store is used as it is, by all runs of a group.
    share : mapping or Store, optional
        One store for all runs of the group.
    name : str, optional
        Name of the run, or of the group's runs; numbered when taken. Default: the flow's. In views, a run of `launch_each` has the name
        of its item, and a flow without a name that of the notebook's variable that holds it.
    show : bool, optional
        Show the live view; default: in a notebook, once per cell.
    timeout, budget, max_steps
        Limits of each run, see `Flow`.
    max_concurrency : int, optional
        Runs of the group at once; default: all of them. For a single flow: branches of its forks at once.
    on_error : {"others", "stop"}
        Whether the other runs of a group go on when one fails.
    detached : bool
        In a step of another run: a run of its own. Without it, what a step launches is a part of the run around it: its tokens and cost
        count against the outer budget, its questions and events show there, and pause, cancel and limits reach it, as long as the outer
        run goes on.
    journal : str or Path, optional
        A file that keeps what each node did, so that `resume` can go on with the run after a crash; created if there is none. Values of
        the store must be such that they can be kept, except keys declared by ``Store(transient=...)``.
    durability : {"node", "power", "batch"}
        With a journal: each node is kept before the next one begins, whatever becomes of the process; of the machine, too; or within 50 ms.
    tape : str or Path, optional
        ``"runs.sqlite#night"``: a recorded run; each `exec` gives what it gave there, and questions are answered as they were. What the
        tape lacks is called. A file alone: the latest run of that flow; of several runs, each plays the one that began with its store.
    strict_tape : bool
        What the tape lacks is an error, `NotOnTape`, that names the place.
    cache : str or Path, optional
        A file, a journal's or another, that keeps results of `exec` for later runs: where the code of a node's class, what the node holds
        and what `prep` gave are as they were, `exec` is skipped, and `prep` and `post` run. Runs that steps begin use it, too.
    refresh_cache : bool
        Compute and keep all results anew.

    Returns
    -------
    Run or RunGroup

    Raises
    ------
    TypeError
        Something is no flow, or a store is no mapping.
    JournalError
        The journal or the cache cannot be opened, or there is no such tape.

    Notes
    -----
    Not cached: errors and what `exec_fallback` gave, a result that rests on a person's answer, what cannot be encoded (which is said once),
    an `exec` that changes its input, function nodes, and nodes with ``cacheable = False``, which is for those that draw lots, read a clock
    or do something outside. A node may say what its result depends on: ``def cache_key(self, prep_res)``; None is not kept. What a cached
    `exec` emitted is not told again. Globals that are texts or numbers count as the node's code, functions that it calls do not.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node, launch
    >>> class Greet(Node):
    ...     def prep(self, shared):
    ...         return shared["name"]
    ...     async def exec(self, name):
    ...         return f"hello {name}"
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["said"] = exec_res
    >>> greet = Flow(Greet())
    >>> launch(greet, {"name": "Ada"}).wait(10).store["said"]
    'hello Ada'
    >>> group = launch([(greet, {"name": "Ada"}), (greet, {"name": "Bob"})])
    >>> [run.store["said"] for run in group.wait(10)]
    ['hello Ada', 'hello Bob']
    """
    from pocketflex_nb.engine.keeping import Keeping, keep_runs

    keeping = Keeping(journal, durability, tape, strict_tape, cache, refresh_cache)
    check_limits("launch", max_steps, timeout, budget)
    check_concurrency("launch", max_concurrency)
    is_seen = show is not False and ports.screen()  # before a run begins, whose first prints go to its lane
    options = {"timeout": timeout, "budget": budget, "max_steps": max_steps, "detached": detached}
    if isinstance(flows, BaseNode):
        if share is not None and shared is not None:
            raise TypeError("launch(): give the store once, as shared or as share")
        with _stopped_together() as started:
            with all_or_none(started) as made:
                run = made(make_run(flows, share if shared is None else shared, name, options))
                lifecycle_of(run).branches = max_concurrency
                _check(run.flow)
                keep_runs([run], keeping)
                _start([run])
            return _shown(run, show) if is_seen else run
    with _stopped_together() as started:
        with all_or_none(started) as made:
            group = RunGroup(_many(flows, shared, share, name, options, made), on_error=on_error, name=name)
            for flow in {id(run.flow): run.flow for run in group}.values():
                _check(flow)
            keep_runs(group, keeping)
            begin_group(group, max_concurrency)
        return _shown(group, show) if is_seen else group


@contextmanager
def _stopped_together() -> Iterator[list[Run]]:
    """When the stop button interrupts a launch, nothing is left running without a handle. Yields the list of what was made."""
    made: list[Run] = []
    try:
        call = launch_call()
        yield made
        if call is not None:
            call.returns(made)
    except KeyboardInterrupt:
        for run in made:
            run.cancel()
        raise


@contextmanager
def all_or_none(made: list[Run]) -> Iterator[Callable[[Run], Run]]:
    """Yields what each new run is registered with; when one of them cannot be made or checked, none is left waiting in `runs()`."""

    def tell(run: Run) -> Run:
        made.append(run)  # first: an interrupt may come between the two
        registry.add(lifecycle_of(run))
        return run

    try:
        yield tell
    except Exception:
        for run in made:
            lifecycle_of(run).unregister()
        raise


def launch_each(
    flow: Flow, key: str | None, items: Iterable[Any], *, store: object = None, name: str | None = None, show: bool | None = None,
    max_concurrency: int | None = AT_ONCE, timeout: float | None = None, budget: Mapping[str, float] | None = None,
    max_steps: int | None = None, on_error: str = "others", detached: bool = False, journal: object = None, durability: str = "node",
    tape: object = None, strict_tape: bool = False, cache: object = None, refresh_cache: bool = False,
) -> RunGroup:
    """Start one run of `flow` per item; see `Flow.launch_each`."""
    from pocketflex_nb.engine.keeping import Keeping, keep_runs

    keeping = Keeping(journal, durability, tape, strict_tape, cache, refresh_cache)
    check_limits("launch_each", max_steps, timeout, budget)
    check_concurrency("launch_each", max_concurrency)
    is_seen = show is not False and ports.screen()
    options = {"timeout": timeout, "budget": budget, "max_steps": max_steps, "detached": detached}
    base = dict(as_store(store)) if store is not None else {}
    runs = []
    with _stopped_together() as started:
        with all_or_none(started) as made:
            for item in items:
                if key is None and not isinstance(item, Mapping):
                    raise TypeError(f"launch_each(None, ...) needs items that are mappings, got {item!r}; name a key for plain values")
                run = made(make_run(flow, {**base, **item} if key is None else {**base, key: item}, name, options))
                run._lifecycle.item = key, item
                runs.append(run)
            if runs:
                _check(runs[0].flow)
                keep_runs(runs, keeping)
            group = begin_group(RunGroup(runs, on_error=on_error, name=name), max_concurrency)
        return _shown(group, show) if is_seen else group


def begin_group(group: RunGroup, limit: int | None) -> RunGroup:
    """Start the runs of a group, at most `limit` at once."""
    check_concurrency("launch", limit)
    context = copy_context()  # the launcher's: a run that follows another does not begin with what that one left in its own
    _start(queue_of(group).begin(limit, lambda ready: _start(ready, context)))
    return group


def _shown(thing: ShownT, show: bool | None) -> ShownT:
    ports.display(thing, asked=bool(show))
    return thing


def is_watched() -> bool:
    """Whether somebody may look into the runs of this process: a notebook's kernel, or its widgets, are part of it."""
    return "ipykernel" in sys.modules or "ipywidgets" in sys.modules


def make_run(flow: object, shared: object, name: str | None, options: Mapping[str, Any]) -> Run:
    """A run that waits to be started, for `all_or_none`. `options` may name ``timeout``, ``budget``, ``max_steps``, ``detached``."""
    if not isinstance(flow, BaseNode):
        raise TypeError(f"launch() needs a flow, got {flow!r}; put nodes into one: Flow(start=...)")
    if not isinstance(flow, Flow):
        flow = Flow(flow, name=getattr(flow, "name", None) or type(flow).__name__)
    store = shared if isinstance(shared, Store) else as_store({} if shared is None else shared)
    run = Run(flow, store, name=name, launched=True, is_detached=bool(options.get("detached")))
    lifecycle = lifecycle_of(run)
    lifecycle.use_classes(classes_now(flow))
    if is_watched():
        from pocketflex_nb.engine.records.visit_values import VisitValues

        lifecycle.values = VisitValues()
    limits = {
        "max_steps": options.get("max_steps") or flow._pfx_max_steps,
        "timeout": options.get("timeout") or flow._pfx_timeout,
        "budget": options.get("budget") or flow._pfx_budget,
    }
    if any(limits.values()):
        lifecycle.limits = limits
    return run


def _many(
    flows: object, shared: object, share: object, name: str | None, options: Mapping[str, object], tell: Callable[[Run], Run]
) -> list[Run]:
    if isinstance(flows, Mapping):
        named: list[tuple[str | None, Any]] = [(str(key), flow) for key, flow in flows.items()]
    elif isinstance(flows, Iterable) and not isinstance(flows, (str, bytes)):
        named = [(name, flow) for flow in flows]
    else:
        raise TypeError(f"launch() needs a flow, a list or a dict of flows, got {flows!r}")
    common = None if share is None else share if isinstance(share, Store) else as_store(share)
    made = []
    for label, entry in named:
        flow, own = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, None)
        if own is not None and common is not None:
            raise TypeError("launch(): a (flow, store) pair and share= cannot both name the store")
        made.append(tell(make_run(flow, own if own is not None else common if common is not None else shared, label, options)))
    return made


def _check(flow: Flow) -> None:
    """Warn of the findings of the checks; a strict flow raises."""
    import warnings

    from pocketflex_nb.core.errors import CheckError

    try:
        flow.check()
    except CheckError as exc:
        if flow._pfx_strict:
            raise
        warnings.warn(str(exc), stacklevel=4)


def _start(made: list[Run], context: Context | None = None) -> None:
    """Make the tasks, with one message to the engine thread; each begins with a copy of `context`, by default the caller's."""
    if not made:
        return
    capture_logging()
    loop = engine_thread.loop
    engine_thread.guard_input()  # again: a kernel puts an `input` of its own in place for each cell

    def begin() -> None:
        for run in map(lifecycle_of, made):
            if run.limits and not run.done():
                run.started = perf_counter_ns()
                run.ensure_controller().limits.limit(**run.limits)
            with start_lock:
                if not run.is_ended:
                    run.task = loop.create_task(_main(run), name=run.name)

    loop.call_soon_threadsafe(begin, context=context)
