"""Lesson 05, three ways to build a team: exercises about gathering runs, handling duplicate messages, and choosing a way."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.launch import launch
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, trouble
from pocketflex_nb.lessons.two_desks import total_of_two_desks

#: what the readers of the check are given, and which of them fail
_PAGES = {"moon": 3, "sun": 5, "rain": 7, "fog": 0, "wind": 0}
#: the ways, and why each customer is well served by one
_WAYS = ("orchestrator", "queue", "agents")
_WHY = {
    "press": (
        "orchestrator",
        "One program asks, many help, one page comes out: a flow that launches forty and gathers them.",
        {
            "queue": "A queue keeps work for whoever comes later. Here one program waits for all forty, then it ends: who gathers them?",
            "agents": "Agents stay when the work is done. This program ends when the page is there.",
        },
    ),
    "labs": (
        "queue",
        "Neither knows the other, and the pile outlives both: a queue hands a sample on when its laboratory is switched off.",
        {
            "orchestrator": "The orchestrator lives in one program. When that laboratory is off, it is gone, and the pile with it.",
            "agents": "An agent's mailbox is lost with it, and a supervisor in one city cannot start anybody in a laboratory that is off.",
        },
    ),
    "desk": (
        "agents",
        "It stays, remembers and answers, and the supervisor brings it back.",
        {
            "orchestrator": "An orchestrator ends with its work. The desk is open all day, and remembers the visitor.",
            "queue": "A queue promises that somebody reads the question, some time. The visitor waits for an answer, now.",
        },
    ),
}


class _Page(Node):
    """Counts the words of a page; some pages are empty."""

    def prep(self, shared: Any) -> Any:
        return shared["module"]

    def exec(self, module: str) -> int:
        if not _PAGES[module]:
            raise ValueError(f"the page {module} is empty")
        return _PAGES[module]

    def post(self, shared: Any, module: str, words: int) -> None:
        shared["facts"] = words


@exercise(
    "05.1", "Gather what there is",
    hints=(
        "A group is iterated run by run, and each run knows how it ended: `run.status` is `\"done\"` or `\"failed\"`, and "
        "`run.error` is what happened.",
        "A run's data are in `run.store`: the module it was given under `\"module\"`, and, if it is done, what it found under `\"facts\"`.",
        "`for run in group:` and in it `if run.status == ___: done[run.store[\"module\"]] = ___`, `else: failed[___] = str(___)`. "
        "Nothing else, and no `results()`.",
    ),
)
def _gather(gather: Any) -> Checked:
    yield slip(not callable(gather), "`gather` has to be the function, as it was.")
    flow = Flow(_Page(), name="page")
    group = launch([(flow, {"module": page}) for page in _PAGES], show=False).wait()
    try:
        given = gather(group)
    except Exception as exc:
        yield slip(
            isinstance(exc, ValueError) and "is empty" in str(exc),
            "Your code raised the first error of the group, and what the others had found is lost: `results()` does that, "
            "and `run.result()`.",
        )
        yield slip(
            isinstance(exc, KeyError) and exc.args == ("facts",),
            "A run that failed has written no `\"facts\"`: look at `run.status` first.",
        )
        yield point(False, "", f"{trouble(exc)}.")
        return
    yield point(
        isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, dict) for part in given),
        "Two dicts.", f"`gather` gives two dicts, `return done, failed`; yours gave {type(given).__name__}.",
    )
    done, failed = given
    right = {page: words for page, words in _PAGES.items() if words}
    yield slip(not done and not failed, "Both are empty.")
    yield slip(
        bool(done) and all(hasattr(key, "store") for key in done),
        "The keys are runs. The module's name is in `run.store[\"module\"]`.",
    )
    yield slip(set(done) == set(_PAGES), "Those that failed stand among the done.")
    names = {run.name for run in group if run.status == "done"}
    yield slip(set(done) == names, "The keys are the runs' names: take `run.store[\"module\"]`.")
    yield point(done == right, f"What {len(right)} runs found is there.", f"Of the done there is {done!r}, and should be {right!r}.")
    yield point(
        set(failed) == set(_PAGES) - set(right), "The two that failed are named.",
        f"Failed have {', '.join(sorted(set(_PAGES) - set(right)))}; yours names {', '.join(map(str, failed)) or 'nobody'}.",
    )
    yield slip(
        any(isinstance(told, BaseException) for told in failed.values()),
        "The errors themselves are there; their texts were asked for: `str(...)`.",
    )
    yield point(
        all(f"page {page} is empty" in str(told) for page, told in failed.items()), "And what happened to them.",
        f"What happened is in `run.error`; you have {next(iter(failed.values()), None)!r}.",
    )


@exercise(
    "05.2", "Twice is once",
    hints=(
        "Before it counts, the function has to know whether this module was counted before. Where could that stand, so that all desks "
        "see it?",
        "In the store, under a key of the module's own. Looking first and writing then is too slow: two desks may both look before "
        "either writes. `store.insert_new(key, value)` does both in one, and says whether it was the first.",
        "`if store.insert_new(f\"counted/{module}\", True): store.___(___, ___)`.",
    ),
)
def _twice(count: Any) -> Checked:
    yield slip(not callable(count), "`count` has to be the function, as it was.")
    store = Store()
    try:
        count(store, "argparse", 138)
        once = store.get("total", 0)
        count(store, "calendar", 66)
        both = store.get("total", 0)
        count(store, "argparse", 138)
    except Exception as exc:
        yield point(False, "", f"{trouble(exc)}.")
        return
    yield slip(once == both == 0, "Nothing is counted under `\"total\"`.")
    yield point(once == 138, "A module is counted.", f"One module of 138 functions makes a total of {once!r}.")
    yield slip(both == 66, "The second module has taken the place of the first: the total is the sum of all modules.")
    yield slip(both == 138, "A second module, another one, is not counted any more: each has to be remembered by its name.")
    yield point(both == 204, "A second one is added.", f"138 and 66 make a total of {both!r}.")
    yield slip(store["total"] == 342, "The first module came again and was counted again: 138 + 66 + 138.")
    total = store["total"]
    yield point(total == 204, "The first one comes again, and changes nothing.", f"It came again, and the total is {total!r}.")
    try:
        twice, apart = total_of_two_desks(count, ["argparse"] * 2, 138), total_of_two_desks(count, ["argparse", "calendar"], 204)
    except Exception as exc:
        yield point(False, "", f"With two desks at work: {trouble(exc)}.")
        return
    yield point(
        twice is None, "Nor when two desks have it at the same moment.",
        f"When two desks have the same message at the same moment, the total is {twice}: they both look before either writes. "
        "One call has to do both.",
    )
    yield point(
        apart is None, "And two desks with two modules lose neither.",
        f"When two desks count two modules at the same moment, the total is {apart}: both read it before either writes. "
        "One call has to do both there, too.",
    )


@exercise(
    "05.3", "Which for whom?",
    hints=(
        "Ask of each: who waits for the answer, and what has to be left when a computer is switched off?",
        "The table above has a row `lives`. One program that ends; two places that come and go; somebody who is always there.",
        "The press has one that leads, the laboratories have one pile, the desk has somebody who looks after it.",
    ),
)
def _which(choice: Any) -> Checked:
    yield slip(not isinstance(choice, dict), "`choice` is a dict, as it was.")
    missing = [customer for customer in _WHY if choice.get(customer) in (None, ...)]
    yield slip(missing, f"Nothing is chosen for {', '.join(missing)} yet.")
    for customer, (right, why, instead) in _WHY.items():
        chosen = choice[customer]
        unknown = chosen not in _WAYS
        yield slip(unknown, f"{chosen!r} for {customer}: there are {', '.join(_WAYS)}.")
        yield point(chosen == right, f"{customer}: {why}", f"{customer}: {instead.get(chosen, '')}")
