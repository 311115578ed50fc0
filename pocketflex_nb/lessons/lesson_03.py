"""Lesson 03, the shared store: exercises about concurrent writers, and about the history of a store."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.core.frozen.freezer import MISSING
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, tried, trouble

_MODULES = ("argparse", "calendar", "textwrap")
#: the store's content at the start of a check
_BEFORE = 100


@exercise(
    "03.1", "The one who cannot add",
    hints=(
        "`queued.store.history(\"total\")` has every change of the total: what it was, what it became, and by whom.",
        "For each change, `change.new - change.old` is what `change.node` added (the first one has no old value: it began at 0). "
        "The cell above says what each should have added.",
        "`for change in queued.store.history(\"total\"): print(change.node, change.___, change.___)`, and compare the steps with the list: "
        "one of them is 7 short.",
    ),
)
def _cannot_add(run: Run, culprit: object, books: Any) -> Checked:
    yield slip(not isinstance(culprit, str), "`culprit` is a name, in quotation marks.")
    yield point(culprit in books, "One of the four.", f"There is no clerk `{culprit!r}`: {', '.join(books)}.")
    added = {change.node: change.new - (0 if change.old is MISSING else change.old) for change in run.store.history("total")}
    short = min(added.values())
    truth = {name: _functions(module) for name, module in books.items()}
    guilty = next(name for name in added if added[name] != truth[name])
    yield slip(
        culprit != guilty and culprit == list(added)[-1],
        f"`who` and the end of the history name {culprit}, who wrote last, upon a total that was wrong already. Look at each step.",
    )
    yield slip(
        culprit != guilty and added[culprit] == short,
        f"{culprit} added the least, {added[culprit]}, but that is right: `{books[culprit]}` has no more.",
    )
    yield point(
        culprit == guilty, f"{guilty} added {added[guilty]} and should have added {truth[guilty]}.",
        f"{culprit} added {added[culprit]}, and `{books.get(culprit)}` has {truth[culprit]}: innocent.",
    )


@exercise(
    "03.2", "A clerk for three pens",
    hints=(
        "Which step looks at the total too early? And which one is the only one that needs it?",
        "`exec` returns `functions_in(self.module)`, no more. In `post`, `shared.update` takes the key and a function of the old total.",
        "`def post(self, shared, prep_res, exec_res): shared.update(\"total\", lambda total: total + ___)`; `prep` has nothing to fetch.",
    ),
)
def _three_pens(clerk: Any) -> Checked:
    yield slip(not (isinstance(clerk, type) and issubclass(clerk, Node)), "`CarefulClerk` has to be the class, as it was.")
    counts = [_functions(module) for module in _MODULES]
    sum_ = _BEFORE + sum(counts)
    run = tried(_bureau([clerk(module) for module in _MODULES]), {})
    lost = [event for event in run.events if event.kind == "conflict"]
    total = run.store.get("total")
    yield point(run.error is None, "Three of them work at once.", "" if run.error is None else f"{trouble(run.error)}.")
    yield slip(total == _BEFORE, "Nothing is added: `post` has to change `\"total\"` in the store.")
    yield slip(
        total in [_BEFORE + count for count in counts] and lost,
        "First a look, a pen much later: the last to write wins, and the counts of two are lost.",
    )
    yield slip(total in counts and lost, "Each writes its own count down, and the last to write wins: it has to be added to what is there.")
    yield slip(
        lost and total == sum_,
        "The sum is right, by luck: you look and write in two steps, and somebody may come between. The store has seen it: "
        f"{len(lost)} conflicts. `update` does both in one.",
    )
    yield slip(
        total > sum_,
        "That is too much: `exec` adds the old total to the count, and `post` adds it once more. Let `exec` count, and nothing else.",
    )
    yield point(total == sum_, f"{' + '.join(map(str, [_BEFORE, *counts]))} = {total}.", f"The total is {total}, and should be {sum_}.")
    yield point(not lost, "Nobody overwrote anybody.", f"There were {len(lost)} conflicts: `shared.update(\"total\", ...)`.")


@exercise(
    "03.3", "The ledger that adds up",
    hints=(
        "As in the example above: a `Store`, a key, a rule. Which function of two numbers do you want?",
        "The first argument of `Store` is what it holds at the beginning, a dict; `merge=` is a dict, too, from the key to the rule.",
        "`Store({\"total\": ___}, merge={\"total\": operator.___})`.",
    ),
)
def _adds_up(ledger: Any) -> Checked:
    yield slip(isinstance(ledger, dict) and not isinstance(ledger, Store), "A plain dict knows no rules: `Store(...)`.")
    yield point(isinstance(ledger, Store), "`ledger` is a store.", f"`ledger` is a {type(ledger).__name__}: make a `Store(...)`.")
    yield point("total" in ledger, "It has a total.", "It has no `\"total\"` to begin with: `Store({\"total\": 0}, ...)`.")
    yield slip(ledger["total"] != 0, f"It begins with {ledger['total']!r}, and not with 0.")
    run = tried(_pens((3, 4, 5)), ledger.copy())
    total, lost = run.store.get("total"), [event for event in run.events if event.kind == "conflict"]
    yield point(run.error is None, "Three clerks write 3, 4 and 5.", "" if run.error is None else f"{trouble(run.error)}.")
    yield slip(
        lost,
        "They overwrite each other, as before: no rule for `\"total\"`. (`on_conflict` says who hears of it, and mends nothing.)",
    )
    yield slip(total == 5, "The largest of them is left, 5: that rule is `max`. We want the sum.")
    yield slip(total == 60, "They are multiplied: 60. We want the sum.")
    yield point(total == 12, "The ledger says 12.", f"The ledger says {total!r}, and 3 + 4 + 5 is 12.")


@exercise(
    "03.4", "As it was",
    hints=(
        "Which version of the store did `tidy` make? You want the one before it.",
        "`stock.store.at(version)` is the whole store as it was: a dict, with the packages in it.",
        "`tidy` made version 3. So `stock.store.at(___)[\"packages\"]`.",
    ),
)
def _as_it_was(run: Run, rescued: Any) -> Checked:
    spoilt = next(change.version for change in run.store.history("packages") if change.node == "tidy")
    before = run.store.at(spoilt - 1)
    yield slip(rescued == before, "That is the whole store as it was. The packages are in it, under a key.")
    yield point(hasattr(rescued, "items"), "A dict.", f"`rescued` is a {type(rescued).__name__}, and not the dict of packages.")
    found, all_of_them = dict(rescued), before["packages"]
    yield slip(found == run.store["packages"], "Those are the packages as they are now, after `tidy`: one version too late.")
    yield slip(not found, "That is from before anything was collected: too early.")
    kept = all("p" not in name for name in found)
    yield slip(kept, "No name with a p in it is there: that is what `tidy` left.")
    yield point(found == all_of_them, f"All {len(found)} packages are back.", f"{len(found)} packages, and there were {len(all_of_them)}.")


def _functions(module: str) -> int:
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    return sum(isinstance(thing, ast.FunctionDef | ast.AsyncFunctionDef) for thing in ast.walk(tree))


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
