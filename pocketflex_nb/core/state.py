"""The state of runs: ``replay(events) -> State``, a pure fold.

The live picture, playback of a run, and assertions in tests all rest on this one function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pocketflex_nb.core.events import Event, spent_in
from pocketflex_nb.core.lane_text import LINES, add_output, end_tokens
from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.core.value_text import cut_text
from pocketflex_nb.core.waits import Wait

__all__ = ["SPANS", "NodeState", "Span", "State", "replay"]

#: kept per run; older spans are counted, not kept
SPANS = 2_000


@dataclass(frozen=True, slots=True)
class Span:
    """One finished visit, for the timeline. Times are monotonic ns; a visit that was cancelled has not failed."""

    seq: int
    node: str
    address: str
    start: int
    end: int
    action: str = ""
    failed: bool = False
    cancelled: bool = False

    def __repr__(self) -> str:
        ended = "failed" if self.failed else "cancelled" if self.cancelled else f"-> {self.action or 'default'}"
        return f"<Span {self.address} {duration_text((self.end - self.start) / 1e9)} {ended}>"


@dataclass(slots=True)
class NodeState:
    """One node of the picture: `status` is idle, running, waiting (paused), asking, done, failed, cancelled or cached.

    `visits`, `retries` and `lost` (items and branches whose failure was collected) count all, `failures` and `cancellations` the visits
    that ended so; `due` is the number of visits after which the
    branches that a list of actions began here are all through. `seconds` is the time of those visits that were folded in: of a run's
    oldest records, dropped before anybody looked, only the number is known.
    `runs` counts the runs that its visits began, by status; those that wait for their place are pending. `summary` is what its last
    visit said by ``emit("summary", ...)``.
    """

    status: str = "idle"
    visits: int = 0
    retries: int = 0
    active: int = 0
    seconds: float = 0.0
    action: str = ""
    error: str = ""
    lost: int = 0
    due: int = 0
    runs: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    cancellations: int = 0
    summary: str = ""

    def __repr__(self) -> str:
        told = [self.status, count_text(self.visits, "visit"), duration_text(self.seconds)]
        counted = ((self.retries, "retry"), (self.failures, "failure"), (self.cancellations, "cancellation"), (self.lost, "lost item"))
        told += [count_text(number, noun) for number, noun in counted if number]
        told += [f"{number} inner {status}" for status, number in self.runs.items()]
        return f"<NodeState {', '.join(told)}{_because(self.error)}>"


@dataclass(slots=True)
class State:
    """The state of one run, as `replay` folds it.

    Parameters
    ----------
    run, flow : str
        Their names.
    status : str
        pending, running, paused, asking, done, failed or cancelled.
    steps : int
        Finished hops.
    started, finished : int
        Monotonic ns; 0 until it has.
    action : object
        The last action, once it is done.
    error : str
        What ended it.
    nodes : dict of str to NodeState
        By graph path (`GraphNode.id`, or a group's id for a nested flow). Below a step that began runs stand their nodes too:
        ``survey/reader/search``; their visits are no steps of this run.
    edges : dict of (str, str) to int
        (source path, action) to the number of times it was taken; error edges have the action ``"!error"``.
    lines : deque of (ns, stream, text, node)
        The lane: prints, logs, and tokens: those of one visit are joined to one text until the visit says something else, also while
        other nodes stream beside it. `ns` is when it was said last. Bounded.
    origins : deque of (address, ns)
        Beside each of `lines`: the visit that said it, and when the line began.
    spans : deque of Span
        Finished visits for the timeline. Bounded.
    changes : deque of dict
        Store changes: {seq, node, address, store, key, version, op, old, new}; `store` is ``""`` for the run's own, else the address of the
        flow whose private store it is. Bounded.
    asking : dict of int to Event
        Open questions.
    problems : list of str
        Unknown actions, conflicts, abandoned threads, overdue steps, a full pool: what every view must mark.
    tokens, cost : float
        Sums of what `emit` told as ``usage``, and with a ``message``.
    messages, tool_calls : int
        How many messages and calls of tools `emit` told.
    summary : str
        The last one that a step of the run gave.
    done, total : float or None
        The latest ``progress``.
    seq : int
        Number of the last event that was folded in.
    said : int
        Number of lines so far, those that are not kept any more included.
    streams : dict of str to int
        By address of a visit, the number of the line (from 0) that its next token is joined to.
    waits : list of Wait
        What steps wait for now, the longest wait first. Only `Run.state` fills it: no event tells of it.

    Examples
    --------
    >>> from pocketflex_nb import emit, launch, linear, node, replay
    >>> @node
    ... def draft(shared):
    ...     emit("log", "writing")
    ...     shared["text"] = "..."
    >>> state = replay(launch(linear(draft)).wait(10).events)
    >>> [(path, known.status, known.visits) for path, known in state.nodes.items()]
    [('draft', 'done', 1)]
    >>> [text for _, _, text, _ in state.lines]
    ['writing']
    >>> [(change["key"], change["version"]) for change in state.changes]
    [('text', 1)]
    """

    run: str = ""
    flow: str = ""
    status: str = "pending"
    steps: int = 0
    started: int = 0
    finished: int = 0
    action: Any = None
    error: str = ""
    nodes: dict[str, NodeState] = field(default_factory=dict)
    edges: dict[tuple[str, str], int] = field(default_factory=dict)
    lines: deque[tuple[int, str, str, str]] = field(default_factory=lambda: deque(maxlen=LINES))
    origins: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=LINES))
    spans: deque[Span] = field(default_factory=lambda: deque(maxlen=SPANS))
    changes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LINES))
    asking: dict[int, Event] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    tokens: float = 0
    cost: float = 0.0
    summary: str = ""
    done: float | None = None
    total: float | None = None
    seq: int = -1
    said: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    messages: int = 0
    tool_calls: int = 0
    waits: list[Wait] = field(default_factory=list)

    def __repr__(self) -> str:
        told = [count_text(self.steps, "step"), count_text(len(self.nodes), "node")]
        if self.finished:
            told.append(duration_text((self.finished - self.started) / 1e9))
        told += [count_text(self.tokens, "token")] if self.tokens else []
        told += [f"cost {self.cost:g}"] if self.cost else []
        told += [count_text(self.messages, "message")] if self.messages else []
        told += [count_text(self.tool_calls, "tool call")] if self.tool_calls else []
        told += [f"{self.done:g} of {self.total:g}"] if self.done is not None and self.total else []
        told += [count_text(len(self.asking), "question")] if self.asking else []
        told += [count_text(len(self.problems), "problem")] if self.problems else []
        told += [f"waits: {wait.told()}" for wait in self.waits[:1]] if not self.finished else []
        told += [f"{len(self.waits) - 1} more waits"] if len(self.waits) > 1 else []
        return f"<State of {self.run!r} {self.status}, {', '.join(told)}{_because(self.error)}>"

    def node(self, path: str) -> NodeState:
        """The state of the node at `path`, created if need be.

        Parameters
        ----------
        path : str
            A key of `nodes`: the node's path in the graph.
        """
        found = self.nodes.get(path)
        if found is None:
            found = self.nodes[path] = NodeState()
        return found

    def add(self, event: Event) -> None:
        """Fold one event in. Unknown kinds are ignored, so that old code reads new logs.

        Parameters
        ----------
        event : Event
            The next one, in the order of `seq`.
        """
        fold = (_INNER if event.depth else _FOLDS).get(event.kind)
        if fold is not None:
            fold(self, event)
        self.seq = event.seq


def _because(error: str) -> str:
    """The first line of an error, as the end of a short line."""
    return f": {cut_text(error.splitlines()[0], 120)}" if error.strip() else ""


def replay(events: Iterable[Event], state: State | None = None) -> State:
    """Fold events into a `State`.

    Parameters
    ----------
    events : iterable of Event
        In order. May be the rest of a log that `state` has seen the beginning of.
    state : State, optional
        Where to go on; it is changed in place. Default: a new one.

    Returns
    -------
    State

    Examples
    --------
    >>> from pocketflex_nb import linear, node, launch, replay
    >>> run = launch(linear(node(lambda shared: None), node(lambda shared: None))).wait(10)
    >>> state = replay(run.events)
    >>> state.status, state.steps
    ('done', 2)
    >>> replay(run.events[:-1]).status
    'running'
    """
    state = State() if state is None else state
    for event in events:
        state.add(event)
    return state


def _run_started(s: State, e: Event) -> None:
    s.run, s.flow, s.status, s.started = e.run, e.get("flow", ""), "running", e.ns


def _run_paused(s: State, e: Event) -> None:
    _goes_on(s, "paused")


def _run_resumed(s: State, e: Event) -> None:
    _goes_on(s, "running")


def _goes_on(s: State, status: str) -> None:
    """Set the status unless the run is over: what another thread notes after its end changes nothing."""
    if not s.finished:
        s.status = status


def _run_finished(s: State, e: Event) -> None:
    s.status, s.finished = e["status"], e.ns
    s.action, s.error = e.get("action"), e.get("error") or ""
    for n in s.nodes.values():
        if n.status in ("running", "waiting", "asking"):  # what was cut off, or goes on in an abandoned thread
            n.status = "cancelled"
        n.active = 0
        n.runs.pop("pending", None)
    s.asking.clear()
    s.waits = []


def _node_started(s: State, e: Event) -> None:
    n = s.node(e.node)
    n.status, n.active = "running", n.active + 1


def _finished_visit(s: State, e: Event, status: str = "done") -> NodeState:
    n = s.node(e.node)
    n.visits += 1
    n.active = max(n.active - 1, 0)
    n.seconds += e.get("seconds", 0.0)
    s.steps += 1
    action = str(e.get("action") or "")
    s.spans.append(Span(e.seq, e.node, e.address, e.get("start", e.ns), e.ns, action, status == "failed", status == "cancelled"))
    _count(n, status)
    return n


def _count(n: NodeState, status: str) -> None:
    """Count a visit that did not end well."""
    if status == "cancelled":
        n.cancellations += 1
    elif status == "failed":
        n.failures += 1


def _node_finished(s: State, e: Event) -> None:
    n = _finished_visit(s, e)
    n.status, n.action = "running" if n.active else _ended_well(e), str(e.get("action") or "default")
    branches = e.get("branches")
    for action, times in branches.items() if branches is not None else ((n.action, 1),):
        edge = (e.node, action)
        s.edges[edge] = s.edges.get(edge, 0) + times


def _ended_well(e: Event) -> str:
    return "cached" if e.get("cached") else "done"


def _node_failed(s: State, e: Event) -> None:
    status = e.get("status", "failed")
    n = _finished_visit(s, e, status)
    n.status, n.error = status, str(e.get("error") or "")
    if e.get("handled"):
        edge = (e.node, "!error")
        s.edges[edge] = s.edges.get(edge, 0) + 1


def _node_retried(s: State, e: Event) -> None:
    n = s.node(e.node)
    n.retries += 1
    n.error = str(e.get("error") or "")


def _forked(s: State, e: Event) -> None:
    for path, times in e.get("branches", {}).items():
        n = s.node(path)
        n.due = n.visits + times


def _item_failed(s: State, e: Event) -> None:
    n = s.node(str(e.get("path") or e.node))
    n.lost += 1
    n.error = str(e.get("error") or "")


def _usage(s: State, e: Event) -> None:
    tokens, cost = spent_in(e.data)
    s.tokens += tokens
    s.cost += cost


def _message(s: State, e: Event) -> None:
    s.messages += 1
    end_tokens(s, e.address)  # they are complete: the next ones begin another line
    _usage(s, e)


def _tool(s: State, e: Event) -> None:
    s.tool_calls += 1


def _summary(s: State, e: Event) -> None:
    text = str(e.get("text") or "")
    if e.node:
        s.node(e.node).summary = text
    if not e.depth:
        s.summary = text


def _progress(s: State, e: Event) -> None:
    s.done, s.total = e.get("done"), e.get("total")


def _store_changed(s: State, e: Event) -> None:
    for change in e.get("changes", ()):
        s.changes.append({"seq": e.seq, "node": e.node, "address": e.address, "store": e.get("store", ""), **change})


def _asked(s: State, e: Event) -> None:
    if s.finished:
        return
    s.asking[e["ask"]] = e
    s.status = "asking"
    if e.node:
        s.node(e.node).status = "asking"


def _answered(s: State, e: Event) -> None:
    s.asking.pop(e["ask"], None)
    _goes_on(s, "asking" if s.asking else "running")
    if e.node and not s.finished:
        s.node(e.node).status = "running"


def _problem(s: State, e: Event) -> None:
    s.problems.append(str(e.get("text") or e.kind))


def _inner_started(s: State, e: Event) -> None:
    runs = s.node(e.node.rpartition("/")[0]).runs
    runs["running"] = runs.get("running", 0) + 1


def _inner_finished(s: State, e: Event) -> None:
    runs = s.node(e.node.rpartition("/")[0]).runs
    if runs.get("running", 0) > 1:
        runs["running"] -= 1
    else:
        runs.pop("running", None)
    runs[e["status"]] = runs.get(e["status"], 0) + 1
    for path, n in s.nodes.items():
        if n.status in ("running", "waiting", "asking") and path.startswith(f"{e.node}/") and not runs.get("running"):
            n.status, n.active = e["status"] if e["status"] in ("failed", "cancelled") else "done", 0


def _inner_visit(s: State, e: Event) -> None:
    n = s.node(e.node)
    n.visits += 1
    n.active = max(n.active - 1, 0)
    n.seconds += e.get("seconds", 0.0)
    if e.kind == "node_failed":
        n.status, n.error = e.get("status", "failed"), str(e.get("error") or "")
        _count(n, n.status)
    else:
        n.status, n.action = "running" if n.active else _ended_well(e), str(e.get("action") or "default")


_FOLDS = {
    "run_started": _run_started, "run_paused": _run_paused, "run_resumed": _run_resumed, "run_finished": _run_finished,
    "node_started": _node_started, "node_finished": _node_finished, "node_failed": _node_failed, "node_retried": _node_retried,
    "forked": _forked, "item_failed": _item_failed,
    "output": add_output, "usage": _usage, "message": _message, "tool": _tool, "progress": _progress, "summary": _summary,
    "store_changed": _store_changed, "asked": _asked, "answered": _answered,
    "unknown_action": _problem, "conflict": _problem, "abandoned": _problem, "pool_full": _problem,
    "overdue": _problem,
}
#: what runs inside do: no step, no change and no end of this one
_INNER = {
    kind: fold for kind, fold in _FOLDS.items() if not kind.startswith("run_") and kind != "store_changed"
} | {
    "child_started": _inner_started, "child_finished": _inner_finished, "node_finished": _inner_visit, "node_failed": _inner_visit,
}
