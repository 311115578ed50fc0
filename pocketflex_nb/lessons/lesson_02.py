"""Lesson 02, many agents at once: exercises about groups of runs, and a flow whose branches run in parallel."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, tried, trouble, way


@exercise(
    "02.1", "Three at a time",
    hints=(
        "The flow has a method for it. It was used in the cell that measured how soon it returned.",
        "`ask.launch_each(key, items, max_concurrency=...)`: the node looks for its module under the key `\"module\"`.",
        "`crew = ask.launch_each(\"module\", ___, max_concurrency=___)`.",
    ),
)
def _three_at_a_time(crew: Any, modules: Any) -> Checked:
    yield slip(isinstance(crew, Run), "That is one run. One run per module is asked for, a group: `launch_each`.")
    yield slip(isinstance(crew, list), "That is a list. `launch_each` returns a group, which limits how many run in parallel.")
    yield point(isinstance(crew, RunGroup), "`crew` is a group.", f"`crew` is {type(crew).__name__}, not a group of runs.")
    crew.wait()
    runs = list(crew)
    asked = [run.store.get("module") for run in runs]
    keyless = isinstance(runs[0].error, KeyError) and "module" not in runs[0].store
    yield slip(keyless, "The node reads `shared[\"module\"]`: that key is the first argument.")
    yield slip(len(modules) <= 3, "With three modules the limit cannot be seen: leave `my_modules` as it was.")
    yield slip(asked == [modules], "One run got the whole list. Pass the list itself, not a list around it.")
    yield point(asked == modules, f"{len(runs)} runs, one per module.", f"They asked for {asked}, and not for `my_modules`.")
    failed = [run for run in runs if run.error is not None]
    yield point(not failed, "All are done.", f"{failed[0].name}: {trouble(failed[0].error)}." if failed else "")
    most = _at_once(runs)
    yield slip(most == 1, "They ran one after the other: `max_concurrency` is the number that may run in parallel.")
    yield slip(most < 3, f"No more than {most} ran in parallel. Three are allowed.")
    yield point(most == 3, "Never more than three in parallel.", f"{most} ran in parallel: `max_concurrency`.")


@exercise(
    "02.2", "The outcome of each run",
    hints=(
        "Iterate over the group as over a list, and take two things of each run.",
        "Of each run: `run.store[\"module\"]` and `run.status`. A dict comprehension puts them together.",
        "`{run.store[___]: run.___ for run in mixed}`.",
    ),
)
def _who_made_it(mixed: Any, outcome: Any) -> Checked:
    mixed.wait()
    truth = {run.store["module"]: run.status for run in mixed}
    yield slip(isinstance(outcome, list | set | tuple), "Those are statuses without their modules: a dict, `{module: status}`.")
    yield point(isinstance(outcome, dict), "A dict.", f"`outcome` is {type(outcome).__name__}, not a dict.")
    yield slip(set(outcome) == {run.name for run in mixed}, "Those are the runs' names. The module is in each run's store.")
    yield slip(
        set(outcome) < set(truth),
        f"Runs are missing: {', '.join(sorted(set(truth) - set(outcome)))}. All belong in it, as `\"done\"` or `\"failed\"`.",
    )
    yield slip(set(outcome) == set(truth.values()), "The keys are the statuses: exchange keys and values, `{module: status}`.")
    yield point(
        set(outcome) == set(truth),
        f"All {len(truth)} modules are in it.",
        f"Its keys are {list(outcome)}, and should be the modules.",
    )
    yield slip(set(outcome.values()) == {"done"}, "Not all are done, see `mixed[1].error`: take each run's `status`.")
    words = all(isinstance(value, str) for value in outcome.values())
    yield slip(not words, "The values are not texts: `status` is `\"done\"` or `\"failed\"`.")
    yield point(outcome == truth, "Each with its status.", f"It is {outcome}, and should be {truth}.")


@exercise(
    "02.3", "The duel",
    hints=(
        "An arrow may lead to a list, and a list may lead to a node.",
        "`a >> [b, c] >> d`: first `a`, then `b` and `c` in parallel, then `d`, once. The flow starts at `draw`.",
        "`draw >> [___, ___] >> referee`, and `duel = Flow(start=___)`.",
    ),
)
def _duel(flow: Any) -> Checked:
    yield slip(
        isinstance(flow, BaseNode) and not isinstance(flow, Flow),
        "An arrow returns the node that it leads to. A flow is made by `Flow(start=...)`.",
    )
    yield point(isinstance(flow, Flow), "`duel` is a flow.", f"`duel` is {type(flow).__name__}: make a `Flow(start=...)`.")
    run = tried(flow, {}, seconds=30)
    names, _ = way(run)
    fired, judged = names.count("Duellist"), names.count("Referee")
    into = {edge.source for edge in run.graph.edges if edge.target == "Referee" and edge.kind == "action"}
    yield slip(type(flow.start_node).__name__ != "Draw", "`draw` has to run first: the flow has to start at `draw`.")
    yield slip("Draw" in into, "The referee starts together with a duellist, or instead of one: draw its arrow from the list of both.")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    yield slip(
        fired == 1,
        "Only one of them asked. A node has one arrow per action, and a second one replaces the first: draw one arrow to a list of both.",
    )
    yield point(fired == 2, "Both asked.", f"{fired} duellists asked.")
    yield point(judged > 0, "The referee runs.", "No referee ran: draw an arrow to `referee`.")
    yield slip(judged > 1, f"The referee ran {judged} times: both duellists have to lead to the same `referee`.")
    spans = [event for event in run.events if event.kind == "node_finished" and event.node.startswith("Duellist")]
    in_turn = max(event["start"] for event in spans) >= min(event["start"] + event["seconds"] * 1e9 for event in spans)
    yield slip(in_turn, "One asked after the other. Let both run in parallel: draw an arrow to a list.")
    yield slip(len(into) == 1, "The referee waits for one of them only: draw its arrow from the list of both.")
    yield point(names[-1] == "Referee", "One referee, after both.", f"The run ends at {names[-1]}, and should end at the referee.")


def _at_once(runs: list[Run]) -> int:
    """The largest number of runs that were running at the same time."""
    hops = [event for run in runs for event in run.events if event.kind == "node_finished"]
    times = sorted([(hop["start"], 1) for hop in hops] + [(hop["start"] + hop["seconds"] * 1e9, -1) for hop in hops])
    most = now = 0
    for _, step in times:
        now += step
        most = max(most, now)
    return most
