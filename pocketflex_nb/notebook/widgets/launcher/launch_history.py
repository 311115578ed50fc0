"""The launch history: a launcher's runs as rows of short texts, their totals, and how to start one again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict

from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.requests.diagram_reload import current_flow
from pocketflex_nb.notebook.requests.input_stores import Inputs
from pocketflex_nb.notebook.requests.names import FlowEntry
from pocketflex_nb.notebook.requests.run_options import RunOptions
from pocketflex_nb.notebook.requests.run_request import start
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.views.text.page_text import clean

__all__ = ["ROWS", "LaunchHistory", "LaunchRow", "Totals"]

#: runs that have a row: those that go on first, then the latest
ROWS = 50


class Totals(TypedDict):
    """How many runs a Launcher has started, how many of them are over, in each status, and have a row."""

    runs: int
    over: int
    counts: dict[str, int]
    shown: int


class LaunchRow(TypedDict):
    """One run as the page lists it; `part` is its progress from 0 to 1, where it is known."""

    run: int
    name: str
    status: str
    steps: int
    tokens: float
    node: str
    note: str
    time: str
    part: float | None


class LaunchHistory:
    """The runs of one Launcher, in the order in which they were started."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._asked: dict[int, tuple[str, RunOptions]] = {}
        self._dropped: Counter[str] = Counter()  # runs that are over and have no row any more, by status

    def add(self, runs: list[Run], flow: str, options: RunOptions) -> None:
        """Take in runs of the flow bound to the name `flow`. Of those that are over only the latest are kept."""
        over = [run for run in self.runs if run.done()]
        self._drop(over[: max(len(over) - ROWS, 0)])
        self.runs += runs
        for run in runs:
            self._asked[run.number] = flow, options

    def let_go(self, gone: set[int]) -> None:
        """Runs of these numbers are forgotten."""
        self._drop([run for run in self.runs if run.number in gone and run.done()])

    def _drop(self, runs: list[Run]) -> None:
        numbers = {run.number for run in runs}
        self._dropped.update(run.status for run in runs)
        self.runs = [run for run in self.runs if run.number not in numbers]
        for number in numbers:
            self._asked.pop(number, None)

    def find(self, number: int) -> Run:
        """The run of that number.

        Raises
        ------
        LookupError
            When this Launcher did not start it.
        """
        for run in self.runs:
            if run.number == number:
                return run
        raise LookupError(f"run {number} is not of this Launcher")

    def latest_of(self, flow: str) -> Run | None:
        """The run of a flow that was started last."""
        return next((run for run in reversed(self.runs) if self._asked[run.number][0] == flow), None)

    def again(self, run: Run, names: Mapping[str, object]) -> Run:
        """Start the flow of a run once more, on what its store held when it began; on the store itself where others share it.

        Raises
        ------
        UsageError
            When that is not known any more.
        """
        flow, options = self._asked[run.number]
        made = start([FlowEntry(None, current_flow(run.flow, names), _beginning(run))], replace(options, number=None), Inputs())
        assert isinstance(made, Run)
        self.add([made], flow, options)
        return made

    # told ------------------------------------------------------------------------------------------------------------
    def totals(self) -> Totals:
        """How many runs there are in each state, and how many are over."""
        counts = self._dropped + Counter(run.status for run in self.runs)
        over = sum(run.done() for run in self.runs)
        dropped = self._dropped.total()
        return {"runs": len(self.runs) + dropped, "over": over + dropped, "counts": dict(counts), "shown": min(len(self.runs), ROWS)}

    def rows(self) -> list[LaunchRow]:
        """The texts of each row, the latest first; where there are too many, those that are not over."""
        live = [run for run in self.runs if not run.done()][:ROWS]
        over = [run for run in self.runs if run.done()]
        chosen = {run.number for run in [*live, *over[::-1][: ROWS - len(live)]]}
        return [_row(run) for run in reversed(self.runs) if run.number in chosen]


def _beginning(run: Run) -> Mapping[object, object]:
    """What to start `run` again on. A store that other kernels write to began long before this run, and is not for one run to rewind."""
    store = run.store
    if not isinstance(store, Store):
        return dict(store)
    if hasattr(store, "url"):
        return store
    try:
        return store.at(0)
    except StoreError as exc:
        raise usage(f"{run.name}: how its store began is not kept any more ({exc})") from None


def _row(run: Run) -> LaunchRow:
    state = run.state()
    note = ""
    if run.status == "failed" and state.error:
        note = state.error.splitlines()[0]
    elif state.asking:
        note = f"asks: {next(iter(state.asking.values()))['question']}"
    return {
        "run": run.number, "name": clean(run.name, 80), "status": run.status, "steps": state.steps, "tokens": state.tokens,
        "node": clean(", ".join(run.in_flight()[:3]), 80) if not run.done() else "", "note": clean(note, 200),
        "time": f"{run.seconds:.1f} s" if run.seconds < 60 else f"{int(run.seconds) // 60}:{int(run.seconds) % 60:02d}",
        "part": min(max((state.done or 0) / state.total, 0.0), 1.0) if state.total else None,
    }
