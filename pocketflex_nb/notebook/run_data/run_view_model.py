"""The view model of runs: plain data for the page, made of state only, independent of widgets.

Everything is bounded: long lines are cut, only the last of them are sent, and above `MANY` runs only sums are.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import NotRequired, TypedDict

from pocketflex_nb.core.events import EPOCH, Event
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import Graph, ids_of
from pocketflex_nb.core.state import NodeState, Span, State
from pocketflex_nb.engine.records.frame import WIDTH, Several
from pocketflex_nb.engine.records.record import Failure, Note, rows
from pocketflex_nb.engine.runs.code_reload import is_stale
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.run_data.active_visits import ActiveVisit, ActiveVisits
from pocketflex_nb.notebook.run_data.conversation_page import ConversationPage
from pocketflex_nb.notebook.run_data.error_card import ErrorCard, error_card
from pocketflex_nb.notebook.run_data.lane_columns import LaneColumns
from pocketflex_nb.notebook.run_data.pending import Pending, PendingItem
from pocketflex_nb.notebook.run_data.playback import ViewedRun, engine_side
from pocketflex_nb.notebook.run_data.run_labels import flow_label, origin_text, run_label, unfinished_text
from pocketflex_nb.notebook.run_data.store_choice import StoreChoice
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel
from pocketflex_nb.views.diagrams.flow_svg import branches_text, inner_runs_of, node_caption
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.safe_messages import masked_lines
from pocketflex_nb.views.text.safe_text import shown

__all__ = [
    "CUT", "LANES", "MANY", "MARKS", "ROOM", "STREAM", "AskCard", "Cursor", "Header", "NodeCaption", "RunLane", "RunViewModel",
    "counted_visits", "flow_names", "graphs_of", "summed",
]

#: up to so many runs have a lane each; up to `MANY` a row each; above that a cell each
LANES, MANY = 6, 60
#: characters of one line on the page, and of what one visit streams
CUT, STREAM = 400, 4_000
#: marks on the bars of one run, the latest
MARKS = 40
#: lines before the last ones that are read to know what goes on in them
_BEFORE = 100
#: of a bar: that its visit was cancelled
_CANCELLED = 2
_STALE_EVERY = 1.0  # seconds between two looks for old code
#: characters of all lanes together, while runs go on and when they are over: a message stays far below its cap of 100 KB
ROOM = {False: 14_000, True: 56_000}
_ORDER = ("failed", "asking", "paused", "unfinished", "running", "pending", "cancelled", "done")
_CODES = {status: status[0] for status in ("running", "done", "failed", "cancelled", "asking", "pending", "unfinished")} | {"paused": "w"}
#: what the status of several runs is, the first that one of them has
_URGENT = ("asking", "running", "paused", "pending", "failed", "unfinished", "cancelled", "done")

#: of one node: its status, its visits, and its caption
NodeCaption = list[str | int]


class Header(TypedDict):
    """The header: counts, time and tokens of all runs."""

    name: str
    status: str
    counts: dict[str, int]
    runs: int
    seconds: float | None
    since: float | None
    epoch: float | None
    steps: NotRequired[int]
    most: NotRequired[int]
    tokens: NotRequired[float]
    cost: NotRequired[float]
    problems: NotRequired[list[str]]
    progress: NotRequired[list[float]]
    pinned: NotRequired[str]
    origin: NotRequired[str]


class Cursor(TypedDict):
    """The time cursor: its position in finished steps and in milliseconds, and the step there."""

    live: bool
    at: int
    of: int
    ms: float | None
    text: str


class AskCard(TypedDict):
    """An open question; `ends` is when it times out, in seconds since the epoch."""

    ends: float | None
    ask: int
    question: str
    choices: list[str]
    schema: dict[str, str] | None
    refused: str


class RunLane(TypedDict):
    """One run as its lane shows it."""

    run: int | None
    name: str
    key: int
    status: str
    at: list[str]
    lines: list[list[object]]
    steps: int
    seconds: float | None
    asks: NotRequired[list[AskCard]]
    error: NotRequired[ErrorCard]


def counted_visits(here: int, visits: int, failed: int, cancelled: int) -> str:
    """How the visits of several runs went, such as ``2 here, 3 done, 1 failed``."""
    done = max(visits - failed - cancelled, 0)
    parts = ((here, "here"), (done, "done"), (failed, "failed"), (cancelled, "cancelled"))
    return ", ".join(f"{number} {word}" for number, word in parts if number)


def summed(states: Sequence[State]) -> State:
    """Several runs of one flow as one: visits and arrows added, the most urgent status of each node."""
    if len(states) == 1:
        return states[0]
    total = State()
    urgency = {s: n for n, s in enumerate(("idle", "cached", "done", "cancelled", "waiting", "running", "failed", "asking"))}
    for state in states:
        for path, node in state.nodes.items():
            known = total.nodes.setdefault(path, NodeState())
            known.visits += node.visits
            known.active += node.active
            known.due += node.due
            known.lost += node.lost
            known.failures += node.failures
            known.cancellations += node.cancellations
            known.seconds += node.seconds
            known.error = known.error or node.error
            known.summary = known.summary or node.summary
            for status, number in node.runs.items():
                known.runs[status] = known.runs.get(status, 0) + number
            if urgency.get(node.status, 0) > urgency.get(known.status, 0):
                known.status = node.status
        for edge, times in state.edges.items():
            total.edges[edge] = total.edges.get(edge, 0) + times
    return total


class RunViewModel:
    """The view model of some runs.

    Parameters
    ----------
    runs : list of Run
        In the order of their lanes; may grow.
    """

    def __init__(self, runs: list[ViewedRun]) -> None:
        self.runs = runs
        self.focus: int | None = None
        self.moment: int | None = None  # the time cursor, monotonic ns; None: now
        self.time_travel = TimeTravel()
        self.conversation = ConversationPage(self.time_travel)
        self.refused: dict[tuple[int, int], str] = {}  # (run, question): why an answer was not taken
        self._open: dict[int, ActiveVisits] = {}  # by number of the run
        self._pending = Pending()
        self.store_choice = StoreChoice()
        self._columns: dict[int, LaneColumns] = {}  # by number of the run
        self._labels: dict[int, str] = {}  # by number of the run
        self._cards: dict[int, ErrorCard] = {}  # by number of the run: a card tells what was so when it failed
        self._waited: set[int] = set()  # numbers of runs that have asked somebody
        self._deadlines: dict[tuple[int, int], float] = {}  # (run, question): seconds since the epoch
        self._stale: tuple[str, ...] = ()
        self._next_stale = 0.0
        self.counts: Counter[str] = Counter()
        self._zero = (0, 0)  # runs looked at, when the first began
        self._tallied: set[int] = set()
        self._visits: Counter[object] = Counter()
        self._taken: Counter[tuple[object, str]] = Counter()
        self._failed: Counter[object] = Counter()
        self._cancelled: Counter[object] = Counter()

    @property
    def is_many(self) -> bool:
        """Whether only sums are shown."""
        return len(self.runs) > MANY

    def chosen(self) -> list[ViewedRun]:
        """The runs that the diagram shows: the one in focus, or all."""
        if self.focus is not None and self.focus < len(self.runs):
            return [self.runs[self.focus]]
        return self.runs

    def known(self, run: ViewedRun) -> State:
        """The state of `run` at the time cursor."""
        state: State = run.state() if self.moment is None else self.time_travel.events_of(run).state(self.moment)
        return state

    # the time cursor -------------------------------------------------------------------------------------------------
    @property
    def has_steps(self) -> bool:
        """Whether single steps can be gone through: of a crowd only those of the run in focus."""
        return len(self.chosen()) <= MANY

    def moments(self) -> list[int]:
        """When each kept step of the chosen runs ended, in order, monotonic ns: of a very long run more than its state keeps."""
        if not self.has_steps:
            return []
        ends: list[int] = []
        for run in self.chosen():
            state = run.state()
            spans = list(state.spans)
            ends += [span.end for span in spans] if len(spans) == state.steps else self.time_travel.events_of(run).ends()
        return sorted(ends)

    def steps(self) -> int:
        """How many steps the chosen runs have finished."""
        return sum(run.state().steps for run in self.chosen()) if self.has_steps else 0

    def last(self) -> tuple[ViewedRun, Span] | None:
        """The last step at the time cursor."""
        if not self.has_steps:
            return None
        ends = [(run, spans[-1]) for run in self.chosen() if (spans := self.known(run).spans)]
        return max(ends, key=lambda pair: pair[1].end, default=None)

    def cursor(self) -> Cursor:
        """The position of the time cursor, the number of steps, and the step there."""
        last = self.last()
        total = place = self.steps()
        if self.moment is not None:
            moments = self.moments()
            place = max(total - len(moments), 0) + bisect_right(moments, self.moment)
        told: Cursor = {"live": self.moment is None, "at": place, "of": total, "ms": None, "text": ""}
        if self.moment is not None:
            told["ms"] = round((self.moment - self.zero()) / 1e6, 1)
        if last is not None:
            run, span = last
            whose = f"{self.label(run)} · " if len(self.chosen()) > 1 else ""
            went = "failed" if span.failed else "cancelled" if span.cancelled else f"→ {span.action or 'default'}"
            told["text"] = clean(f"{whose}{span.node} {went}", 160) + f"  {(span.end - span.start) / 1e9:.3f} s"
        return told

    def label(self, run: ViewedRun) -> str:
        """What a run is called, see `run_label`; looked up once."""
        known = self._labels.get(run.number)
        if known is None:
            known = self._labels[run.number] = run_label(run)
        return known

    def zero(self) -> int:
        """When the first of the runs began, monotonic ns; runs that begin later do not change it."""
        if self._zero[0] != len(self.runs) or not self._zero[1]:
            self._zero = len(self.runs), min((life.started for life in map(engine_side, self.runs) if life.started), default=0)
        return self._zero[1]

    def go_to(self, *, step: int | None = None, by: int = 0, ms: float | None = None) -> None:
        """Set the time cursor: to the end of a step (from 1; 0: before the first), some steps away, or to a time since the start."""
        if ms is not None:
            self.moment = self.zero() + int(ms * 1e6)
            return
        moments = self.moments()
        if step is None:
            here = len(moments) if self.moment is None else bisect_right(moments, self.moment)
            step = here + by
        else:
            step -= max(self.steps() - len(moments), 0)  # of a log that has dropped its oldest records
        if by > 0 and step > len(moments):
            self.moment = None
        elif moments:
            step = min(max(step, 0), len(moments))
            self.moment = moments[step - 1] if step else self.zero()

    # the header -------------------------------------------------------------------------------------------------------
    def header(self, name: str) -> Header:
        """Counts, time and tokens."""
        counts = self.counts = Counter([run.status for run in self.runs])
        status = next((s for s in _URGENT if counts[s]), "pending")
        zero = self.zero()
        is_over = all(run.done() for run in self.runs)
        ended = max((engine_side(run).finished for run in self.runs), default=0) if is_over else 0
        header: Header = {
            "name": clean(name, 200), "status": status, "counts": {s: counts[s] for s in _ORDER if counts[s]}, "runs": len(self.runs),
            "seconds": round((ended - zero) / 1e9, 2) if ended and zero else None, "since": zero / 1e6 if zero else None,
            "epoch": round((zero + EPOCH) / 1e9, 2) if zero else None,
        }
        if not self.is_many:
            states = [run.state() for run in self.runs]
            header["steps"] = sum(s.steps for s in states)
            allowed = [_most_steps(run) for run in self.runs]
            if all(allowed):  # one run without a limit, and the sum has none
                header["most"] = sum(n or 0 for n in allowed)
            header["tokens"] = _finite(sum(s.tokens for s in states))
            header["cost"] = round(_finite(sum(s.cost for s in states)), 4)
            unfinished = (clean(text, CUT) for run in self.runs if (text := unfinished_text(run)))
            header["problems"] = [*self.old_code(), *unfinished, *(clean(text, CUT) for s in states for text in s.problems)][:5]
            progress = [s for s in states if s.total]
            if progress:
                header["progress"] = [_finite(sum(s.done or 0 for s in progress)), _finite(sum(s.total or 0 for s in progress))]
        origins = {origin_text(run) for run in self.runs[:MANY]}
        if len(origins) == 1 and (origin := origins.pop()):
            header["origin"] = clean(origin, 120)
        if self.is_many and self.focus is not None:
            header["pinned"] = self.label(self.chosen()[0])
        return header

    def old_code(self) -> tuple[str, ...]:
        """The live runs that use code whose cell has run again since, as text; checked once a second."""
        now = time.monotonic()
        if not self.is_live():
            return ()
        if now >= self._next_stale:
            self._next_stale = now + _STALE_EVERY
            live = [run for run in self.runs[:MANY] if not run.done() and isinstance(run, Run)]  # a replay runs no code
            stale = Counter(name for run in live for name in is_stale(run))
            self._stale = tuple(
                f"{n} agent{'s run' if n > 1 else ' runs'} old code of {clean(name, 80)}; what is launched now uses the new"
                for name, n in stale.items()
            )
        return self._stale

    def is_live(self) -> bool:
        """Whether any run is not over."""
        return not all(run.done() for run in self.runs)

    def pending(self) -> list[PendingItem]:
        """What waits, and for what; nothing where the past is shown, and when all is over."""
        if self.moment is not None or not self.is_live():
            return []
        runs = self.chosen()
        return self._pending.items(runs, [] if len(runs) > MANY else [self.label(run) for run in runs], self.zero())

    # the diagram -----------------------------------------------------------------------------------------------------
    def states(self, flow: Flow) -> dict[str, NodeCaption]:
        """Graph path to [status, visits, caption, runs that its steps began] for the runs of `flow`."""
        runs = [run for run in self.chosen() if run.flow is flow]
        if len(runs) > MANY:
            return self._crowd(flow, runs)
        state = summed([self.known(run) for run in runs]) if runs else State()
        return {
            shown(path): [n.status, n.visits, self._caption(n, len(runs)), sum(n.runs.values())] for path, n in state.nodes.items()
        }

    def edges(self, flow: Flow) -> dict[str, int]:
        """``source|action`` to the number of times it was taken."""
        runs = [run for run in self.chosen() if run.flow is flow]
        if len(runs) > MANY:
            ids = ids_of(flow)
            return {f"{ids.get(node, '?')}|{action}": n for (node, action), n in self._taken.items() if node in ids}
        state = summed([self.known(run) for run in runs]) if runs else State()
        return {f"{shown(source)}|{shown(action)}": n for (source, action), n in state.edges.items()}

    def _caption(self, node: NodeState, runs: int) -> str:
        if runs == 1 or not node.visits:
            here = f"{node.active} here" if node.active > 1 else ""
            return branches_text(node) or inner_runs_of(node, node.seconds) or here or node_caption(node, node.status, node.seconds)
        return counted_visits(node.active, node.visits, node.failures, node.cancellations)

    def _crowd(self, flow: Flow, runs: Sequence[ViewedRun]) -> dict[str, NodeCaption]:
        """The same for thousands of runs, from their cursors and, once a run is over, its records: no event is made."""
        here: Counter[object] = Counter()
        for run in runs:
            if run.done():
                if run.number not in self._tallied:
                    self._tally(run)
            elif (node := engine_side(run).root.node) is not None:
                here[node] += 1
        told: dict[str, NodeCaption] = {}
        for node, path in ids_of(flow).items():
            now, visits = here[node], self._visits[node]
            if now or visits:
                failed, cancelled = self._failed[node], self._cancelled[node]
                ended = visits - failed - cancelled
                status = "running" if now else "failed" if failed else "done" if ended else "cancelled"
                told[shown(path)] = [status, 0, counted_visits(now, visits, failed, cancelled), 0]
        return told

    def crowd_state(self, flow: Flow) -> State:
        """The runs of `flow`, many, as one state, from the same sums: to fold each of a hundred thousand runs takes a minute."""
        self._crowd(flow, [run for run in self.chosen() if run.flow is flow])
        here = Counter(engine_side(run).root.node for run in self.chosen() if run.flow is flow and not run.done())
        total, ids = State(), ids_of(flow)
        for node, path in ids.items():
            if here[node] or self._visits[node]:
                visits, failed, cancelled = self._visits[node], self._failed[node], self._cancelled[node]
                status = "running" if here[node] else "failed" if failed else "done" if visits > cancelled else "cancelled"
                total.nodes[path] = NodeState(status=status, visits=visits, active=here[node], failures=failed, cancellations=cancelled)
        total.edges.update({(ids[node], action): times for (node, action), times in self._taken.items() if node in ids})
        return total

    def _tally(self, run: ViewedRun) -> None:
        self._tallied.add(run.number)
        records = engine_side(run).records
        try:  # walk, node and action of all hops at once: a crowd may end within one look
            hops = Counter(zip(records[::WIDTH], records[1::WIDTH], records[2::WIDTH], strict=False))
        except TypeError:  # an action that has no hash
            hops = Counter((frame, node, str(action)) for frame, node, action, _, _ in rows(records) if action.__class__ is not Note)
        for (frame, node, action), times in hops.items():
            if frame is engine_side(run).root and action.__class__ is not Note:
                self._visits[node] += times
                if action.__class__ is Failure and (action.status == "cancelled" or not action.handled):
                    (self._cancelled if action.status == "cancelled" else self._failed)[node] += times
                if action.__class__ is Several:
                    for name, n in action.counts.items():
                        self._taken[node, name] += n * times
                elif action is None or isinstance(action, str):
                    self._taken[node, action or "default"] += times

    # the lanes -------------------------------------------------------------------------------------------------------
    def lanes(self, tail: int, *, final: bool = False) -> list[RunLane]:
        """One per run: name, status, nodes in flight, the last lines, an open question, the error; of a crowd the one in focus."""
        runs = self.chosen() if self.is_many and self.focus is not None else [] if self.is_many else self.runs
        room = ROOM[final] // max(len(runs), 1)
        return [self._lane(run, tail, room) for run in runs]

    def _lane(self, run: ViewedRun, tail: int, room: int) -> RunLane:
        state = self.known(run)
        is_now = self.moment is None
        flying = run.in_flight() if is_now and not run.done() else [path for path, node in state.nodes.items() if node.active]
        lane: RunLane = {
            "run": self.runs.index(run) if self.is_many else None, "name": self.label(run), "key": run.number,
            "status": run.status if is_now else state.status, "at": [clean(path, 120) for path in flying[:4]],
            "lines": self._lines(run, state, tail, room), "steps": state.steps,
            "seconds": round(run.seconds, 2) if is_now and run.done() else None,
        }
        if state.asking and is_now and run.status != "unfinished":
            lane["asks"] = [self._ask(run, e) for e in list(state.asking.values())[:5]]
        if lane["status"] == "failed" and run.error is not None:
            lane["error"] = self._card(run)
        return lane

    def _card(self, run: ViewedRun) -> ErrorCard:
        card = self._cards.get(run.number)
        if card is None:
            card = self._cards[run.number] = error_card(run)
        return card

    def _lines(self, run: ViewedRun, state: State, tail: int, room: int) -> list[list[object]]:
        """The last lines, [stream, text, node], as many as fit; with group and column where visits go on side by side."""
        columns = self._columns.get(run.number)
        if columns is None:
            columns = self._columns[run.number] = LaneColumns()
        columns.follow(state)
        lines = _lines(state, tail, room)
        addresses = [address for address, _ in islice(reversed(state.origins), len(lines))]
        return [[*line, *(columns.of(address) or ())] for line, address in zip(lines, reversed(addresses), strict=True)]

    def _ask(self, run: ViewedRun, e: Event) -> AskCard:
        schema = e.get("schema")
        kinds = dict(schema).items() if schema else ()
        fields = {clean(str(name), 120): getattr(kind, "__name__", None) or str(kind) for name, kind in kinds} if schema else None
        return {
            "ends": self._ends(run, e),
            "ask": e["ask"], "question": clean(str(e["question"])), "choices": [clean(str(c), 200) for c in e["choices"] or ()][:20],
            "schema": fields, "refused": clean(self.refused.get((run.number, e["ask"]), "")),
        }

    def _ends(self, run: ViewedRun, e: Event) -> float | None:
        """When the questions time out, in seconds since the epoch, so that the page can count down by itself."""
        if e.get("timeout") is None:
            return None
        key = run.number, e["ask"]
        if key not in self._deadlines:
            self._deadlines[key] = round(time.time() + e["timeout"] - (time.perf_counter_ns() - e.ns) / 1e9, 1)
        return self._deadlines[key]

    def status_grid(self) -> str:
        """A letter and a number per status, in the order of `ranked`; for more runs than rows."""
        if not self.is_many:
            return ""
        return ",".join(f"{_CODES[s]}{self.counts[s]}" for s in _ORDER if self.counts[s])

    def ranked(self) -> list[int]:
        """The runs' indices, sorted by status as the status grid shows them."""
        rank = {status: n for n, status in enumerate(_ORDER)}
        return sorted(range(len(self.runs)), key=lambda k: rank.get(self.runs[k].status, 0))

    # the timeline ----------------------------------------------------------------------------------------------------
    def _timed(self) -> list[ViewedRun]:
        """The runs that the timeline has a row for."""
        if not self.zero():
            return []
        return self.chosen() if self.is_many and self.focus is not None else [] if self.is_many else self.runs

    def spans(self, limit: int = 240) -> list[list[list[object]]]:
        """Per run its last visits: [node, start ms, end ms, 1 failed or 2 cancelled, row]; visits that overlap get rows.

        Times count from the first start.
        """
        return [over for over, _, _ in self._laid(limit)]

    def marks(self, limit: int = 240) -> list[list[list[object]]]:
        """Per run the marks on its bars: [sign, start ms, end ms or None, text, row]; none where each run has only a thin line.

        The signs: ``|`` a retry, ``?`` a wait for an answer, ``>`` a visit under way.
        """
        runs = self._timed()
        if len(runs) > LANES:
            return []
        return [[*going, *self._marks_of(run, rows)] for run, (_, going, rows) in zip(runs, self._laid(limit), strict=True)]

    def _laid(self, limit: int) -> list[tuple[list[list[object]], list[list[object]], dict[str, object]]]:
        """Per run its finished and current visits, assigned to rows together: a bar keeps its row when it ends; and each visit's row."""
        runs = self._timed()
        per_run = max(limit // max(len(runs), 1), 10)
        laid = []
        for run in runs:
            going = self._under_way(run) if len(runs) <= LANES else []
            visits: list[Span | ActiveVisit] = sorted([*list(run.state().spans)[-per_run:], *going], key=lambda visit: visit.start)
            rowed = list(zip(visits, _stacked(visits, self.zero()), strict=True))
            over = [row for visit, row in rowed if not isinstance(visit, ActiveVisit)]
            marks = [[">", row[1], None, row[0], row[4]] for visit, row in rowed if isinstance(visit, ActiveVisit)]
            laid.append((over, marks, {visit.address: row[4] for visit, row in rowed}))
        return laid

    def _under_way(self, run: ViewedRun) -> list[ActiveVisit]:
        known = self._open.get(run.number)
        if known is None:
            known = self._open[run.number] = ActiveVisits(run)
        return known.current()[:MARKS]

    def _marks_of(self, run: ViewedRun, rows: Mapping[str, object]) -> list[list[object]]:
        state = run.state()
        if state.asking:
            self._waited.add(run.number)
        told: list[list[object]] = []
        if run.number in self._waited or any(node.retries for node in state.nodes.values()):
            told = _happened(self.time_travel.events_of(run).read(), self._ms, rows)[-MARKS:]
        return told

    def _ms(self, ns: int) -> float:
        return round((ns - self.zero()) / 1e6, 1)


def _lines(state: State, tail: int, room: int) -> list[list[str]]:
    """The last lines, newest last, as many as fit into `room` characters."""
    told: list[list[str]] = []
    kept = list(islice(reversed(state.lines), tail + _BEFORE))[::-1]
    texts = masked_lines([(stream, str(text), node) for _, stream, text, node in kept], STREAM)
    for (_, stream, _, node), text in list(zip(kept, texts, strict=True))[: -tail - 1 : -1]:
        line = clean(text, STREAM) if stream == "token" else clean(text[-CUT:])
        room -= len(line)
        if room < 0 and told:
            break
        told.append([stream, line, clean(node, 60)])
    return told[::-1]


def _happened(events: Sequence[Event], ms: Callable[[int], float], rows: Mapping[str, object]) -> list[list[object]]:
    """Retries and waits for answers, as marks in the rows of their visits."""
    told: list[list[object]] = []
    waits: dict[object, list[object]] = {}
    for event in events:
        row = rows.get(event.address, 0)
        if event.kind == "node_retried":
            told.append(["|", ms(event.ns), None, clean(f"{event.node} again after {event.get('error') or 'an error'}", 160), row])
        elif event.kind == "asked":
            waits[event["ask"]] = ["?", ms(event.ns), None, clean(f"{event.node} asked: {event['question']}", 160), row]
            told.append(waits[event["ask"]])
        elif event.kind == "answered" and event["ask"] in waits:
            waits.pop(event["ask"])[2] = ms(event.ns)
    return told


def _most_steps(run: ViewedRun) -> int | None:
    """How many steps a run may make, if that is limited; a replay makes none."""
    controller = getattr(engine_side(run), "controller", None)
    return None if controller is None else controller.limits.most_steps


def _finite(number: float) -> float:
    """`number`, or 0 where no JSON could carry it."""
    return number if math.isfinite(number) else 0


def _stacked(visits: Sequence[Span | ActiveVisit], zero: int) -> list[list[object]]:
    """Overlapping visits, one below the other: each in the first row that is free again; the end of a current one is unknown."""
    free: list[float] = []
    told: list[list[object]] = []
    for visit in visits:
        row = next((k for k, until in enumerate(free) if until <= visit.start), None)
        if row is None:
            row = len(free)
            free.append(0)
        free[row] = math.inf if isinstance(visit, ActiveVisit) else visit.end
        end = None if isinstance(visit, ActiveVisit) else round((visit.end - zero) / 1e6, 1)
        failed = 0 if isinstance(visit, ActiveVisit) else _CANCELLED if visit.cancelled else int(visit.failed)
        told.append([clean(visit.node, 80), round((visit.start - zero) / 1e6, 1), end, failed, row])
    return told


def graphs_of(runs: Sequence[ViewedRun]) -> list[tuple[Flow, Graph]]:
    """The flows of these runs, each once, with their graphs."""
    flows: dict[int, ViewedRun] = {}
    for run in runs:
        flows.setdefault(id(run.flow), run)
    return [(run.flow, run.graph) for run in flows.values()]


def flow_names(flows: Sequence[Flow]) -> list[str]:
    """Distinct names of the flows; a run's own name may be another."""
    names, known = [], Counter[str]()
    for flow in flows:
        name = flow_label(flow)
        known[name] += 1
        names.append(name if known[name] == 1 else f"{name} ({known[name]})")
    return names
