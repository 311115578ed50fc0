"""The launch history: a launcher's runs as rows of short texts, their totals, and how to start one again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.requests.option_line import ParsedLine
from pocketflex_nb.notebook.requests.run_options import RunOptions
from pocketflex_nb.notebook.requests.run_request import start
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.views.text.page_text import clean

__all__ = ["ROWS", "LaunchHistory"]

#: runs that have a row: those that go on first, then the latest
ROWS = 50


class LaunchHistory:
    """The runs of one Launcher, in the order in which they were started."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._asked: dict[int, tuple[str, RunOptions]] = {}
        self._dropped: Counter[str] = Counter()  # runs that are over and have no row any more, by status

    def add(self, runs: list[Run], flow: str, terms: RunOptions) -> None:
        """Take in runs of the flow bound to the name `flow`. Of those that are over only the latest are kept."""
        over = [run for run in self.runs if run.done()]
        self._drop(over[: max(len(over) - ROWS, 0)])
        self.runs += runs
        for run in runs:
            self._asked[run.number] = flow, terms

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

    def again(self, run: Run, names: Any) -> Run:
        """Start the flow of a run once more, on what its store held when it began; on the store itself where others share it.

        Raises
        ------
        UsageError
            When that is not known any more.
        """
        flow, terms = self._asked[run.number]
        made = start([(None, run.flow, _beginning(run))], ParsedLine(), replace(terms, number=None), names)
        assert isinstance(made, Run)
        self.add([made], flow, terms)
        return made

    # told ------------------------------------------------------------------------------------------------------------
    def totals(self) -> dict[str, Any]:
        """How many runs there are in each state, and how many are over."""
        counts = self._dropped + Counter(run.status for run in self.runs)
        over = sum(run.done() for run in self.runs)
        dropped = self._dropped.total()
        return {"runs": len(self.runs) + dropped, "over": over + dropped, "counts": dict(counts), "shown": min(len(self.runs), ROWS)}

    def rows(self) -> list[dict[str, Any]]:
        """The texts of each row, the latest first; where there are too many, those that are not over."""
        live = [run for run in self.runs if not run.done()][:ROWS]
        over = [run for run in self.runs if run.done()]
        chosen = {run.number for run in [*live, *over[::-1][: ROWS - len(live)]]}
        return [_row(run) for run in reversed(self.runs) if run.number in chosen]


def _beginning(run: Run) -> Any:
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


def _row(run: Run) -> dict[str, Any]:
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
