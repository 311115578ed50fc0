"""Lesson 11, a kernel dies: exercises about keys that are the same after a crash, and about forks of a journalled run."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.resume import resume
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.lessons.exercise import CHECK_TIMEOUT, Checked, exercise, point, slip, trouble

_NOT_A_STEP = "That has to be the function, as it was: it takes the store."


class _Bank:
    """Keeps what it was asked to pay; when it is slow, the answer to the first request is lost."""

    def __init__(self, *, is_slow: bool = False) -> None:
        self.asked: list[tuple[Any, Any]] = []
        self._is_slow = is_slow

    def pay(self, amount: object, *, key: object) -> None:
        """Pay once for each key."""
        self.asked.append((amount, key))
        if self._is_slow:
            self._is_slow = False
            raise ConnectionError("the answer of the bank was lost")


@exercise(
    "11.1", "Pay once",
    hints=(
        "The key has to be the same when the step is repeated after a crash, and another one for every other payment.",
        "`current()`, inside of a step, knows which visit of which run this is.",
        "`shared[\"bank\"].pay(20, key=current().___)`.",
    ),
)
def _pay(charge: Any) -> Checked:
    yield slip(not callable(charge), _NOT_A_STEP)
    flow = Flow(node(charge), name="order")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file, bank = Path(folder) / "orders.sqlite", _Bank(is_slow=True)
        run = _ran(flow.launch(_store(bank), name="order", journal=file, show=False, timeout=CHECK_TIMEOUT))
        yield slip(not bank.asked and run.error is not None, f"{trouble(run.error)}." if run.error is not None else "")
        yield point(bank.asked, "It pays.", "The bank was not asked to pay: `shared[\"bank\"].pay(20, key=...)`.")
        yield slip(run.error is None, "The bank's `ConnectionError` is swallowed: let it end the run, which is resumed later.")
        yield slip(not isinstance(run.error, ConnectionError), f"{trouble(run.error)}." if run.error is not None else "")
        again = _ran(resume(file, run.name, flow=flow, provide={"bank": bank}, show=False))
        yield point(again.status == "done", "It goes on after the crash.", "After the crash it does not get to its end.")
        first, *others = bank.asked
        yield slip(not others, "After the crash it did not ask the bank again: whether the first request arrived is not known.")
        yield slip(any(amount != 20 for amount, _ in bank.asked), "It pays another amount: 20 are to be paid.")
        yield slip(first[1] is None, "`None` is no key: the bank could not tell one payment from another.")
        yield point(
            others[0][1] == first[1], "After a crash it has the same key.",
            "After the crash the bank gets another key, and pays a second time: nothing that is new at each call will do.",
        )
        beside = _ran(flow.launch(_store(second := _Bank()), name="order", journal=file, show=False, timeout=CHECK_TIMEOUT))
        yield slip(not second.asked, "A second order is not paid." if beside.error is None else f"{trouble(beside.error)}.")
        yield point(
            second.asked[0][1] != first[1], "Another order has another key.",
            "A second order has the same key, so the bank does not pay it at all. The key has to tell runs from each other, too.",
        )
        one, two = node(charge), node(charge)
        one >> two
        _ran(Flow(one).launch(_store(third := _Bank()), journal=file, show=False, timeout=CHECK_TIMEOUT))
        yield point(
            len({key for _, key in third.asked}) == 2, "Two payments of one run have two keys.",
            "Two payments of one run have the same key, so the second is not made: the key has to name the visit.",
        )


@exercise(
    "11.2", "Another draft",
    hints=(
        "A run that has a journal can be forked: `night.fork(...)` gives a new run, which begins where `night` had made so many steps.",
        "`at` is the number of finished steps that are taken over; keywords are values of the store that differ from there on.",
        "`night.fork(at=___, draft=\"...\")`: research and draft are two steps.",
    ),
)
def _fork(better: Any) -> Checked:
    yield slip(callable(better) and not isinstance(better, Run), "That is a function: call it, `night.fork(...)`.")
    yield point(isinstance(better, Run), "A run.", "That is no run. `night.fork(...)` gives one.")
    _ran(better)
    life = lifecycle_of(better)
    yield slip(life.recording is None, "That run has no journal of its own: fork `night`, which has one.")
    yield point(life.origin, "A fork of another run.", "That is no fork: `night.fork(...)` begins where `night` had made some steps.")
    history: Any = None if life.recording is None else getattr(life.recording.recorder, "history", None)
    taken = 0 if history is None else history.hops
    yield slip(taken == 0, "Nothing is taken over: research and draft are made, and paid, again.")
    yield slip(taken == 1, "The draft is written, and paid, again: take over one step more.")
    yield slip(taken > 2, "The review is taken over too, so that nothing is left to do: begin before it.")
    yield slip(better.error is not None, f"{trouble(better.error)}." if better.error is not None else "")
    yield point(taken == 2, "Research and draft are taken over.", "Two steps are to be taken over.")
    before = history.content(hops=0) if history is not None else {}
    yield slip(set(better.store) - {"topics", "notes", "draft", "grade"}, "There is a new key in the store: the draft is `draft`.")
    yield slip("draft" in before, "The draft stood in the store from the beginning.")
    written = [row for row in history.rows if row.what == "hop"] if history is not None else []
    old = next((value for row in written for _, pairs in row.changes() for key, _, value in pairs if key == "draft"), None)
    yield point(
        better.store.get("draft") not in (old, None), "It has another draft.",
        "The draft is the same as before: give the new one as a keyword, `draft=\"...\"`.",
    )
    yield slip(not isinstance(better.store.get("draft"), str), "The draft has to be a text.")
    yield point(
        better.store.get("grade") == len(str(better.store.get("draft")).split()), "The review has read it.",
        "The grade is not that of the new draft.",
    )


@exercise(
    "11.3", "What was left",
    hints=(
        "`open_journal(file).runs()` gives all runs of a journal, those of other kernels too.",
        "Each has a `name` and a `status`. The status of one whose process ended before it did is a word of its own.",
        "`[run.name for run in open_journal(file).runs() if run.status == ___]`.",
    ),
)
def _left(left: Any) -> Checked:
    yield slip(not callable(left), "That has to be the function, as it was: it takes the journal's file.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / "runs.sqlite"
        _ran(Flow(node(_nothing), name="quiet").launch({}, name="well", journal=file, show=False))
        _ran(Flow(node(_fails), name="loud").launch({}, name="badly", journal=file, show=False))
        ended = [run.name for run in _runs_of(file)]
        yield slip(_given(left, file), "Where every run ended, something is left: look at the status.")
        for name in ("left", "left too"):
            _leave(file, name)
        found = left(file)
    yield slip(found is None, "It returns nothing: return the names.")
    yield slip(isinstance(found, str), "That is one text. Return a list of names: several may be left.")
    yield slip(isinstance(found, (int, float, bool)), "That is a number. Return the names.")
    named = list(found) if hasattr(found, "__iter__") else [found]
    yield slip(any(isinstance(one, Run) for one in named), "Those are runs. Return their names, `run.name`.")
    yield slip(any(isinstance(one, int) for one in named), "Those are numbers. Return the names, `run.name`.")
    yield slip(not named, "It finds none, and two runs were left by a process that ended.")
    yield slip(ended[1] in named, "A run that failed did end, with its error. Only those that did not end are left.")
    yield slip(ended[0] in named, "A run that is done is not left.")
    yield point(sorted(map(str, named)) == ["left", "left too"], "It names those that did not end.", f"It gives {named!r}.")


def _given(left: Any, file: Path) -> bool:
    found = left(file)
    return bool(found) and not isinstance(found, (int, str)) and hasattr(found, "__len__") and len(found) > 2


def _nothing(shared: Any) -> None:
    """Ends well."""


def _fails(shared: Any) -> None:
    raise ConnectionError("on purpose")


def _runs_of(file: Path) -> list[Any]:
    """The runs of a journal, oldest first."""
    assert ports.journal is not None
    return [ports.journal.glance(file, number) for number in (1, 2)]


def _leave(file: Path, name: str) -> None:
    """A run that makes a step, and whose process lets it go before its end."""
    assert ports.journal is not None
    recorder = ports.journal.begin(file, name, {"flow": "report", "nodes": {}, "wiring": []}, {}, frozenset(), "node")
    recorder.save_now(recorder.hop("report/plan#1", None, ()))
    recorder.close()


def _store(bank: _Bank) -> Store:
    return Store({"order": 7, "bank": bank}, transient={"bank"})


def _ran(run: Run) -> Run:
    return run.wait(CHECK_TIMEOUT)
