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
#: the ways, and which of them fits each customer
_WAYS = ("orchestrator", "queue", "agents")
_WHY = {
    "press": (
        "orchestrator",
        "One program needs one result: a flow launches forty runs and gathers their results.",
        {
            "queue": "A queue keeps work for workers that come later. Here one program has to gather forty results, and ends.",
            "agents": "Agents keep running when the work is done. This program ends when the page is written.",
        },
    ),
    "labs": (
        "queue",
        "The queue outlives both programs: a sample is delivered to the other laboratory when one is switched off.",
        {
            "orchestrator": "The orchestrator runs in one program. When that laboratory is switched off, the work is lost with it.",
            "agents": "An agent's mailbox is lost with its program, and a supervisor cannot start agents on a computer that is switched "
            "off.",
        },
    ),
    "desk": (
        "agents",
        "An agent keeps running, has a state and answers, and the supervisor restarts it.",
        {
            "orchestrator": "An orchestrator ends with its work. The desk is open all day, and remembers the visitors.",
            "queue": "A queue guarantees that a message is handled at some time. The visitor needs an answer at once.",
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
    "05.1", "Gather the results",
    hints=(
        "Iterate over the group. Each run has a status, `run.status`, which is `\"done\"` or `\"failed\"`, and "
        "`run.error` is its exception.",
        "A run's data are in `run.store`: the module under `\"module\"` and, if the run is done, its result under `\"facts\"`.",
        "`for run in group:` and in it `if run.status == ___: done[run.store[\"module\"]] = ___`, `else: failed[___] = str(___)`. "
        "`results()` is not needed.",
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
            "Your code raised the first error of the group, and the other results are lost: `results()` and `run.result()` raise.",
        )
        yield slip(
            isinstance(exc, KeyError) and exc.args == ("facts",),
            "A run that failed has written no `\"facts\"`: test `run.status` first.",
        )
        yield point(False, "", f"{trouble(exc)}.")
        return
    yield point(
        isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, dict) for part in given),
        "Two dicts.", f"`gather` has to return two dicts, `return done, failed`; yours returned `{type(given).__name__}`.",
    )
    done, failed = given
    right = {page: words for page, words in _PAGES.items() if words}
    yield slip(not done and not failed, "Both are empty.")
    yield slip(
        bool(done) and all(hasattr(key, "store") for key in done),
        "The keys are runs. The module's name is in `run.store[\"module\"]`.",
    )
    yield slip(set(done) == set(_PAGES), "The failed runs are among the done.")
    names = {run.name for run in group if run.status == "done"}
    yield slip(set(done) == names, "The keys are the runs' names: take `run.store[\"module\"]`.")
    yield point(done == right, f"What {len(right)} runs found is there.", f"`done` is {done!r}, and should be {right!r}.")
    yield point(
        set(failed) == set(_PAGES) - set(right), "The two that failed are named.",
        f"The failed ones are {', '.join(sorted(set(_PAGES) - set(right)))}; yours names {', '.join(map(str, failed)) or 'none'}.",
    )
    yield slip(
        any(isinstance(told, BaseException) for told in failed.values()),
        "The values are the exceptions; their texts are asked for: `str(...)`.",
    )
    yield point(
        all(isinstance(told, str) and f"page {page} is empty" in told for page, told in failed.items()), "Each with its error as text.",
        f"The error is in `run.error`; yours has {next(iter(failed.values()), None)!r}.",
    )


@exercise(
    "05.2", "Count each module once",
    hints=(
        "Before it counts, the function has to know whether this module was counted before. All desks see that only in the store.",
        "Write a key per module. Reading it first and writing it then is not safe: two desks may both read before "
        "either writes. `store.insert_new(key, value)` does both in one operation, and returns whether the key was new.",
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
    yield slip(once == both == 0, "Nothing is added to `\"total\"`.")
    yield point(once == 138, "A module is counted.", f"One module of 138 functions makes a total of {once!r}.")
    yield slip(both == 66, "The second module has replaced the first: the total is the sum of all modules.")
    yield slip(both == 138, "A second module is not counted: keep a key per module, with the module's name in it.")
    yield point(both == 204, "A second one is added.", f"138 and 66 make a total of {both!r}.")
    total = store["total"]
    yield slip(total == 342, "The first module came again and was counted again: 138 + 66 + 138.")
    yield point(total == 204, "The first one comes again, and changes nothing.", f"It came again, and the total is {total!r}.")
    try:
        count(other := Store(), "argparse", 138)
        elsewhere = other.get("total", 0)
        count(store, "keyword", 66)
        third = store["total"]
        twice, apart = total_of_two_desks(count, ["argparse"] * 2, 138), total_of_two_desks(count, ["argparse", "calendar"], 204)
    except Exception as exc:
        yield point(False, "", f"With two desks: {trouble(exc)}.")
        return
    yield slip(
        elsewhere != 138,
        f"With another store, the total of a module of 138 functions is {elsewhere!r}: what was counted is kept in a variable of this "
        "kernel. "
        "A desk in another kernel has another variable: keep it in the store.",
    )
    yield slip(
        third == 204, "A third module, with as many functions as the second, is not counted: the key has to contain the module's name.",
    )
    yield slip(third != 270, f"With a third module of 66 functions the total is {third!r}, and not 270.")
    yield point(
        twice is None, "Nor when two desks have it at the same moment.",
        f"When two desks have the same message at the same moment, the total is {twice}: both read before either writes, or what protects "
        "them is a variable or a lock of one kernel. One operation of the store has to do both.",
    )
    yield point(
        apart is None, "Two desks with two modules lose neither.",
        f"When two desks count two modules at the same moment, the total is {apart}: both read it before either writes. "
        "One operation of the store has to do both.",
    )


@exercise(
    "05.3", "Choose a way",
    hints=(
        "Consider for each who needs the answer, and what must survive when a computer is switched off.",
        "See the row `lifetime` of the table above: one program that ends; two programs that come and go; a service that is always "
        "available.",
        "The press gathers results in one program, the laboratories share a list of work, the desk is a service that is supervised.",
    ),
)
def _which(choice: Any) -> Checked:
    yield slip(not isinstance(choice, dict), "`choice` is a dict, as it was.")
    missing = [customer for customer in _WHY if choice.get(customer) in (None, ...)]
    yield slip(missing, f"Nothing is chosen for {', '.join(missing)} yet.")
    unused = [customer for customer in choice if customer not in _WHY]
    yield slip(unused, f"There is no customer {', '.join(map(repr, unused))}: the keys are {', '.join(_WHY)}.")
    for customer, (right, why, instead) in _WHY.items():
        chosen = choice[customer]
        unknown = chosen not in _WAYS
        yield slip(unknown, f"{chosen!r} for {customer}: the choices are {', '.join(_WAYS)}.")
        yield point(chosen == right, f"{customer}: {why}", f"{customer}: {instead.get(chosen, '')}")
