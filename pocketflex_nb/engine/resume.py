"""`resume`: go on with runs that an earlier process left in a journal."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import JournalError, RunError, nearest
from pocketflex_nb.core.flow.code_marks import code_marks, wiring
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.node_ids import nodes_by_path
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.keeping import header_of
from pocketflex_nb.engine.launch import all_or_none, begin_group, make_run
from pocketflex_nb.engine.records.kept_store import store_again
from pocketflex_nb.engine.records.record import Note
from pocketflex_nb.engine.records.recorded_events import path_at
from pocketflex_nb.engine.records.recording import Recording
from pocketflex_nb.engine.records.reuse import Reuse
from pocketflex_nb.engine.runs.recorded_run import RecordedLifecycle, flow_named, item_of, origin_of, unknown_flow
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.engine.runs.run_group import RunGroup

__all__ = ["fork", "resume"]


def resume(
    path: Any,
    run: int | str | None = None,
    *,
    flow: Any = None,
    provide: Mapping[Any, Any] | None = None,
    strict: bool = False,
    durability: str = "node",
    show: bool | None = None,
) -> Any:
    """Go on with runs of a journal that did not end: no finished node runs again, and the node in flight starts anew.

    Parameters
    ----------
    path : str or Path
        The journal.
    run : int or str, optional
        One run, by its number or its name (the latest of that name), be it one that failed or was cancelled. Default: all that did not
        end, and that no living process writes.
    flow : Flow or dict of str to Flow, optional
        What the runs walk, by the flows' ids. Default: the flows of the notebook.
    provide : dict or Store, optional
        Values for the keys that ``Store(transient=...)`` kept out of the journal; a Store may bring merge rules that no name leads to.
    strict : bool
        Refuse when the code of a node or the wiring has changed since; default: go on with the new code, and warn.
    durability : {"node", "power", "batch"}
        See `launch`.
    show : bool, optional
        Show the live view; default: in a notebook, once per cell.

    Returns
    -------
    Run or RunGroup
        The one that was named; else all of them.

    Raises
    ------
    JournalError
        There is no such run, it is over, its flow is not known here, or nodes that it needs are gone.
    RunHeld
        Another process writes it.

    Notes
    -----
    `exec` of the node in flight runs again, unless its result was kept before the crash; finished items of a batch do not, spent attempts
    and budgets count, and answers that were given are given again. What a step does outside of the process happens exactly once only if
    the other side can tell a repetition: pass it ``current().key``, which is the same after a crash.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pocketflex_nb import END, Flow, Node, resume
    >>> is_down = True
    >>> class Count(Node):
    ...     def post(self, shared, prep_res, exec_res):
    ...         if shared["n"] == 2 and is_down:
    ...             raise ConnectionError("the network is down")
    ...         shared["n"] += 1
    ...         return "again" if shared["n"] < 4 else "enough"
    >>> count = Count()
    >>> _ = count - "again" >> count
    >>> _ = count - "enough" >> END
    >>> file = Path(tempfile.mkdtemp()) / "runs.sqlite"
    >>> Flow(count, name="count").launch({"n": 0}, name="night", journal=file).wait(10).status
    'failed'
    >>> is_down = False
    >>> run = resume(file, "night", flow=Flow(count, name="count")).wait(10)
    >>> run.status, run.store["n"], run.hops
    ('done', 4, 4)
    """
    if ports.journal is None:
        raise RuntimeError("the journal's room is not there")
    numbers = ports.journal.unfinished(path) if run is None else [run]
    with all_or_none([]) as tell:
        changes: dict[tuple[str, ...], list[str]] = {}
        runs = [tell(_made(path, number, flow, provide or {}, strict, durability, changes)) for number in numbers]
        for changed, names in changes.items():
            one = len(names) == 1
            told = f"run{'' if one else 's'} {', '.join(names)} of the journal {path} {'goes' if one else 'go'} on with other code"
            warnings.warn(f"{told} than {'it' if one else 'they'} began with: {', '.join(changed)}", stacklevel=2)
        group = begin_group(RunGroup(runs), None)
    thing = group if run is None else runs[0]
    if show is not False and runs and ports.screen():
        ports.display(thing, asked=bool(show))
    return thing


def fork(
    run: Any, at: int | None = None, *, before: str | None = None, swap: Mapping[str, Any] | None = None, name: str | None = None,
    show: bool | None = None, edits: Mapping[Any, Any],
) -> Run:
    """A new run that begins where `run` had made so many hops; see `Run.fork`."""
    life = lifecycle_of(run)
    if life.kept_at is None or ports.journal is None:
        raise RunError(f"run {run.name!r} has no journal to fork from; launch the flow with one: flow.launch(..., journal='runs.sqlite')")
    path, kept = life.kept_at
    history = ports.journal.left(path, kept)
    hops = _hops_of(history, at, before, run)
    flow, named = run.flow, name or f"{life.base}-fork"
    if isinstance(life, RecordedLifecycle) and not life.is_known:
        flow = flow_named(life.flow_id, None)
        if flow is None:
            mend = "define it (run its cell), or name it: open_journal(..., flow=...)"
            raise unknown_flow(life.flow_id, f"run {run.name!r} of the journal {path}", mend)
    walked = _swapped(flow, swap or {})
    header = {"uid": os.urandom(16).hex(), **header_of(walked), "base": named, "group": None}
    number = ports.journal.fork(path, kept, hops, named, header, edits)
    transient = frozenset(history.header.get("transient", ()))
    provide: Mapping[Any, Any] = {key: run.store[key] for key in transient if key in run.store}
    if type(run.store) is Store and (merge := run.store._options()["merge"]):
        provide = Store(provide, merge=merge)
    with all_or_none([]) as tell:
        made = tell(_made(path, number, walked, provide, False, str(history.header.get("durability", "node"))))
        begin_group(RunGroup([made]), None)
    if show is not False and ports.screen():
        ports.display(made, asked=bool(show))
    return made


def _hops_of(history: Any, at: int | None, before: str | None, run: Run) -> int:
    """The number of finished hops to begin behind."""
    name = run.name
    if (at is None) == (before is None):
        raise TypeError("fork() needs at= (a number of hops) or before= (a node), and not both")
    if at is not None:
        if isinstance(at, int) and history.hops < at <= run.hops:  # behind the visit that failed: that one is made anew
            return int(history.hops)
        if not isinstance(at, int) or not 0 <= at <= history.hops:
            raise ValueError(f"fork(at={at!r}): run {name!r} has {history.hops} recorded hops; give a number from 0 to {history.hops}")
        return at
    visits = [path_at(row.address) for row in history.rows if "s" in row.data]
    if before not in visits:
        raise ValueError(f"fork(before={before!r}): run {name!r} has visited no such node{nearest(str(before), visits)}")
    return len(visits) - 1 - visits[::-1].index(before)


def _swapped(flow: Flow, swap: Mapping[str, object]) -> Any:
    """A copy of `flow` in which nodes do what others do, at the same places."""
    if not swap:
        return flow
    copied = flow.copy()
    nodes = nodes_by_path(copied)
    for path, better in swap.items():
        if path not in nodes:
            raise ValueError(f"fork(swap={{{path!r}: ...}}): the flow has no such node{nearest(path, nodes)}")
        node = nodes[path]
        if not isinstance(better, BaseNode) or hasattr(better, "start_node") or hasattr(node, "start_node"):
            raise TypeError(f"fork(swap={{{path!r}: ...}}): a node for a node; a flow cannot be swapped")
        own: dict[str, object] = {"successors": node.successors, "_pfx_id": path.rpartition("/")[2]}
        if "_pfx_on_error" in node.__dict__:
            own["_pfx_on_error"] = node._pfx_on_error
        node.__class__ = better.__class__
        node.__dict__.clear()
        node.__dict__.update({key: value for key, value in better.__dict__.items() if key != "_pfx_on_error"} | own)
    return copied


def _made(
    path: object, number: int | str, flow: Flow, provide: Mapping[object, object], strict: bool, durability: str,
    changes: dict[tuple[str, ...], list[str]] | None = None,
) -> Run:
    """A run that waits to go on; `changes` is told what of its code is not as it was."""
    assert ports.journal is not None
    history = ports.journal.left(path, number)
    what = f"run {history.name!r} of the journal {path}"
    if history.status == "done":
        raise JournalError(f"{what} is over: it is done")
    header = history.header
    walked = _flow_of(str(header.get("flow", "")), flow, what)
    changed = _changes(header, walked, history, what)
    if changed and strict:
        raise JournalError(f"{what}: the code has changed since: {', '.join(changed)}; without strict=True it goes on with the new code")
    transient = frozenset(header.get("transient", ()))
    missing = [key for key in sorted(transient) if key not in provide]
    if missing:
        wanted = ", ".join(f"{key!r}: ..." for key in missing)
        raise JournalError(f"{what} needs what was kept out of it: resume(..., provide={{{wanted}}})")
    if (url := header.get("store_url")) is not None:
        store = ports.journal.reopened_store(url)
    else:
        store = store_again(header.get("store_options") or {}, history.content(), provide, transient, what)
    limits = header.get("limits") or {}
    made = make_run(walked, store, history.name, limits)
    recorder = ports.journal.go_on(path, history, durability, transient, changed)
    life = lifecycle_of(made)
    recording = Recording(recorder, str(header.get("uid", "")))
    life.record_in(recording)
    life.item, life.origin = item_of(header), origin_of(header)
    recording.is_resumed = (history.hops > 0 and not life.origin) or any(row.what == "resumed" for row in history.rows)
    if asked := history.questions():
        life.ensure_controller().questions.count_from(max(asked.values()))
    tokens, cost = history.usage
    if tokens or cost:
        spent = life.ensure_controller().limits.spent
        spent["tokens"] += tokens
        spent["cost"] += cost
        recording.spent_before(spent["tokens"], spent["cost"])
        begun = perf_counter_ns()
        life.records.extend((life.root, None, Note("usage", {"tokens": tokens, "cost": cost, "text": "spent before"}), begun, begun))
    if (cache := header.get("cache")) is not None:
        life.take_from(Reuse(ports.journal.cache(cache)))
    if changed and changes is not None:
        changes.setdefault(tuple(changed), []).append(repr(history.name))
    return made


def _flow_of(name: str, flow: Flow, what: str) -> Any:
    """The flow of that id: the one that was given, or the notebook's."""
    if flow is not None and not isinstance(flow, Mapping):
        return flow
    found = flow_named(name, flow)
    if found is None:
        raise unknown_flow(name, what, "give it: resume(..., flow=...)", flow)
    return found


def _changes(header: Mapping[str, Any], flow: object, history: Any, what: str) -> list[str]:
    """What is not as it was when the run began; raises when nodes are gone that it has visited."""
    before, now = dict(header.get("nodes") or {}), code_marks(flow)
    visited = {path_at(address) for address in (*history.finished, *history.results, *history.attempts)}
    gone = sorted(path for path in visited if path in before and path not in now)
    if gone:
        raise JournalError(
            f"{what} has visited {', '.join(map(repr, gone))}, which the flow has no more; then: {'; '.join(header.get('wiring') or [])}. "
            f"now: {'; '.join(wiring(flow))}"
        )
    next_ones = _followers(history, header.get("wiring") or ()) if not now.keys() >= before.keys() else ()
    lost = sorted(path for path in next_ones if path not in visited and path not in now)
    if lost:
        raise JournalError(
            f"{what} was about to visit {', '.join(map(repr, lost))}, which the flow has no more; "
            f"then: {'; '.join(header.get('wiring') or [])}. now: {'; '.join(wiring(flow))}"
        )
    changed = [path for path, mark in now.items() if path in before and before[path] != mark]
    return [*changed, "the wiring"] if list(header.get("wiring") or []) != wiring(flow) else changed




#: an arrow of `wiring`: from, action, to, and its kind
_ARROW = re.compile(r"(.*?) -(.*)> (.*?)( \((?:error|detached)\))?( &)?$")


def _followers(history: Any, arrows: Sequence[str]) -> set[str]:
    """Graph paths of the nodes to which the finished visits led, by the arrows that the flow had."""
    goals: dict[tuple[str, str], list[str]] = {}
    for arrow in arrows:
        if (found := _ARROW.match(arrow)) is not None and found[3] not in ("END", "?"):
            action = "(error)" if found[4] == " (error)" else found[2]
            group = found[1].rpartition("/")[0]
            goals.setdefault((found[1], action), []).append(f"{group}/{found[3]}" if group else found[3])
    reached: set[str] = set()
    for row in history.rows:
        if "s" not in row.data:
            continue
        action = ["(error)"] if "error" in row.data else row.value("a")
        for one in action if isinstance(action, list) else [action]:
            name = one[0] if isinstance(one, (list, tuple)) and one else one
            reached.update(goals.get((path_at(row.address), str(name or "default")), ()))
    return reached
