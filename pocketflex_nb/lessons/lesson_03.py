"""Lesson 03, the shared store: exercises about concurrent writers, and about the history of a store."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.core.frozen.freezer import MISSING
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, tried, trouble
from pocketflex_nb.lessons.two_desks import total_of_two_desks

_MODULES = ("argparse", "calendar", "textwrap")
#: the store's content at the start of a check
_BEFORE = 100


@exercise(
    "03.1", "Find the wrong addition",
    hints=(
        "`queued.store.history(\"total\")` has every change of the total: the old value, the new one, and the node that wrote it.",
        "For each change, `change.new - change.old` is what `change.node` added (the first one has no old value: it started from 0). "
        "The cell above shows what each should have added.",
        "`for change in queued.store.history(\"total\"): print(change.node, change.___, change.___)`, and compare the steps with the list: "
        "one of them is 7 short.",
    ),
)
def _cannot_add(run: Run, culprit: object, books: Any) -> Checked:
    yield slip(not isinstance(culprit, str), "`culprit` is the name of a clerk, a text in quotation marks.")
    yield point(culprit in books, "One of the four.", f"There is no clerk `{culprit!r}`: {', '.join(books)}.")
    added = {change.node: change.new - (0 if change.old is MISSING else change.old) for change in run.store.history("total")}
    short = min(added.values())
    truth = {name: _functions(module) for name, module in books.items()}
    guilty = next(name for name in added if added[name] != truth[name])
    yield slip(
        culprit != guilty and culprit == list(added)[-1],
        f"`who` and the end of the history name {culprit}, who wrote last; the total was wrong before that. Compare each step.",
    )
    yield slip(
        culprit != guilty and added[culprit] == short,
        f"{culprit} added the least, {added[culprit]}, but that is right: `{books[culprit]}` has no more.",
    )
    yield point(
        culprit == guilty, f"{guilty} added {added[guilty]} and should have added {truth[guilty]}.",
        f"{culprit} added {added[culprit]}, and `{books.get(culprit)}` has {truth[culprit]}, which is right.",
    )


@exercise(
    "03.2", "A clerk without conflicts",
    hints=(
        "`prep` reads the total too early. Only `post` needs it.",
        "`exec` returns `functions_in(self.module)` only. In `post`, `shared.update` takes the key and a function of the old total.",
        "`def post(self, shared, prep_res, exec_res): shared.update(\"total\", lambda total: total + ___)`; `prep` has nothing to return.",
    ),
)
def _three_pens(clerk: Any) -> Checked:
    yield slip(not (isinstance(clerk, type) and issubclass(clerk, Node)), "`CarefulClerk` has to be the class, as it was.")
    counts = [_functions(module) for module in _MODULES]
    sum_ = _BEFORE + sum(counts)
    run = tried(_bureau([clerk(module) for module in _MODULES]), {})
    lost = [event for event in run.events if event.kind == "conflict"]
    total = run.store.get("total")
    yield point(run.error is None, "Three of them run in parallel.", "" if run.error is None else f"{trouble(run.error)}.")
    yield slip(total == _BEFORE, "Nothing is added: `post` has to change `\"total\"` in the store.")
    yield slip(
        total in [_BEFORE + count for count in counts],
        "The total is read early and written much later: the last write wins, and the counts of two clerks are lost.",
    )
    yield slip(total in counts, "Each clerk writes only its own count, and the last write wins: add it to the current total.")
    yield slip(
        lost and total == sum_,
        "The sum is right by chance: reading and writing are two operations, and another clerk may write between them. The store reported "
        f"{len(lost)} conflicts. `update` does both in one operation.",
    )
    yield slip(
        total > sum_,
        "That is too much: `exec` adds the old total to the count, and `post` adds it again. Let `exec` return the count only.",
    )
    yield point(total == sum_, f"{' + '.join(map(str, [_BEFORE, *counts]))} = {total}.", f"The total is {total}, and should be {sum_}.")
    yield point(not lost, "No write was overwritten.", f"There were {len(lost)} conflicts: `shared.update(\"total\", ...)`.")
    wrong = total_of_two_desks(_as_count(clerk), list(_MODULES[:2]), counts[0] + counts[1])
    yield slip(
        wrong is not None,
        "The sum is right by chance: reading and writing are two operations, and when another kernel writes between them, the total "
        "becomes "
        f"{wrong}. `update` does both in one operation.",
    )


@exercise(
    "03.3", "A ledger that adds up",
    hints=(
        "As in the example above: a `Store`, a key, and a rule. The rule is the function of two numbers that adds them.",
        "The first argument of `Store` is its initial content, a dict; `merge=` is a dict, too, from the key to the rule.",
        "`Store({\"total\": ___}, merge={\"total\": operator.___})`.",
    ),
)
def _adds_up(ledger: Any) -> Checked:
    yield slip(isinstance(ledger, dict) and not isinstance(ledger, Store), "A plain dict has no rules: make a `Store(...)`.")
    yield point(isinstance(ledger, Store), "`ledger` is a store.", f"`ledger` is a {type(ledger).__name__}: make a `Store(...)`.")
    yield point("total" in ledger, "It has a total.", "It has no initial `\"total\"`: `Store({\"total\": 0}, ...)`.")
    yield slip(ledger["total"] != 0, f"It starts with {ledger['total']!r}, and not with 0.")
    run = tried(_pens((3, 4, 5)), ledger.copy())
    total, lost = run.store.get("total"), [event for event in run.events if event.kind == "conflict"]
    yield point(run.error is None, "Three clerks write 3, 4 and 5.", "" if run.error is None else f"{trouble(run.error)}.")
    yield slip(
        lost,
        "They overwrite each other, as before: there is no rule for `\"total\"`. (`on_conflict` selects how a conflict is reported, and "
        "resolves none.)",
    )
    yield slip(total == 5, "One of them is left, 5, such as the rule `max` keeps. The rule has to add *theirs* and *mine*.")
    yield slip(total == 60, "They are multiplied: 60. The rule has to add them.")
    yield point(total == 12, "The total is 12.", f"The total is {total!r}, and 3 + 4 + 5 is 12.")
    other = tried(_pens((20, 50)), ledger.copy()).store.get("total")
    yield slip(other != 70, f"When two clerks write 20 and 50, the total is {other!r}, and not 70: add *theirs* and *mine*.")


@exercise(
    "03.4", "Restore the packages",
    hints=(
        "The history shows which version `tidy` made. The version before it has all packages.",
        "`stock.store.at(version)` is the whole store at that version: a dict, with the packages under a key.",
        "`tidy` made version 3. So `stock.store.at(___)[\"packages\"]`.",
    ),
)
def _as_it_was(run: Run, rescued: Any) -> Checked:
    spoilt = next(change.version for change in run.store.history("packages") if change.node == "tidy")
    before = run.store.at(spoilt - 1)
    yield slip(rescued == before, "That is the whole store. The packages are in it, under a key.")
    yield point(hasattr(rescued, "items"), "A dict.", f"`rescued` is of type `{type(rescued).__name__}`, and not the dict of packages.")
    found, all_of_them = dict(rescued), before["packages"]
    yield slip(found == run.store["packages"], "Those are the packages after `tidy`: one version too late.")
    yield slip(not found, "That is empty, as before anything was collected: too early.")
    kept = all("p" not in str(name) for name in found)
    yield slip(kept, "No name with a p is among them: that is what `tidy` left.")
    yield slip(
        set(found) == set(all_of_them) and found != all_of_them,
        "All names are there, but not their versions: take the value of `\"packages\"` as it is in the store.",
    )
    yield point(
        found == all_of_them, f"All {len(found)} packages are back.",
        f"Those are {len(found)} packages, and there were {len(all_of_them)}: take all of one version.",
    )


def _functions(module: str) -> int:
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    return sum(isinstance(thing, ast.FunctionDef | ast.AsyncFunctionDef) for thing in ast.walk(tree))


def _as_count(clerk: Any) -> Callable[[Any, str, int], None]:
    """A clerk's three steps on a store, as `total_of_two_desks` calls them."""

    def count(store: Any, module: str, functions: int) -> None:
        worker = clerk(module)
        looked = worker.prep(store)
        worker.post(store, looked, worker.exec(looked))

    return count


def _bureau(clerks: list[Any]) -> Flow:
    """An opening, and the clerks at once."""

    def opening(shared: Any) -> None:
        shared["total"] = _BEFORE

    first = node(opening)
    first >> clerks if len(clerks) > 1 else first >> clerks[0]
    return Flow(first)


class _Pen(Node):
    """Writes its own count, when all have looked."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def exec(self, prep_res: Any) -> int:
        return self.count

    def post(self, shared: Any, prep_res: Any, exec_res: int) -> None:
        shared["total"] = exec_res


def _pens(counts: tuple[int, ...]) -> Flow:
    first = Node()
    first >> [_Pen(count) for count in counts]
    return Flow(first)
