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
        "There is a method of the flow for it. It was used in the cell that told how soon it was free.",
        "`ask.launch_each(key, items, max_concurrency=...)`: the node looks for its module under the key `\"module\"`.",
        "`crew = ask.launch_each(\"module\", ___, max_concurrency=___)`.",
    ),
)
def _three_at_a_time(crew: Any, modules: Any) -> Checked:
    yield slip(isinstance(crew, Run), "That is one run. We want one for each module, a group: `launch_each`.")
    yield slip(isinstance(crew, list), "That is a list. `launch_each` gives a group, which knows how many may be on their way.")
    yield point(isinstance(crew, RunGroup), "`crew` is a group.", f"`crew` is {type(crew).__name__}, not a group of runs.")
    crew.wait()
    runs = list(crew)
    asked = [run.store.get("module") for run in runs]
    keyless = isinstance(runs[0].error, KeyError) and "module" not in runs[0].store
    yield slip(keyless, "The node looks for `shared[\"module\"]`: that is the key to name first.")
    yield slip(len(modules) <= 3, "With three modules nobody sees whether more may go at once: leave `my_modules` as it was.")
    yield slip(asked == [modules], "One run got the whole list. Give the list itself, not a list around it.")
    yield point(asked == modules, f"{len(runs)} runs, one per module.", f"They asked for {asked}, and not `my_modules`.")
    failed = [run for run in runs if run.error is not None]
    yield point(not failed, "All are done.", f"{failed[0].name}: {trouble(failed[0].error)}." if failed else "")
    most = _at_once(runs)
    yield slip(most == 1, "They went one by one: `max_concurrency` says how many may go at once.")
    yield slip(most < 3, f"No more than {most} were on their way at once. Three may be.")
    yield point(most == 3, "Never more than three at once.", f"{most} were on their way at once: `max_concurrency`.")


@exercise(
    "02.2", "Who made it?",
    hints=(
        "Go through the group as through a list: what of each run do you need?",
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
        set(outcome) < set(truth) and "failed" not in outcome.values(),
        "Those are the ones that made it. The others belong in it, too, as `\"failed\"`.",
    )
    yield point(set(outcome) == set(truth), f"All {len(truth)} modules are in it.", f"Its keys are {list(outcome)}: the modules, please.")
    yield slip(set(outcome.values()) == {"done"}, "All done? `mixed[1].error` says something else: ask each run for its `status`.")
    words = all(isinstance(value, str) for value in outcome.values())
    yield slip(not words, "The values are no words: `status` is `\"done\"` or `\"failed\"` by itself.")
    yield point(outcome == truth, "Each with how it ended.", f"It says {outcome}, and should say {truth}.")


@exercise(
    "02.3", "The duel",
    hints=(
        "An arrow may lead to a list, and a list may lead to a node.",
        "`a >> [b, c] >> d`: first `a`, then `b` and `c` at once, then `d`, once. The flow begins at `draw`.",
        "`draw >> [___, ___] >> referee`, and `duel = Flow(start=___)`.",
    ),
)
def _duel(flow: object) -> Checked:
    yield slip(
        isinstance(flow, BaseNode) and not isinstance(flow, Flow),
        "Arrows give back the node they lead to. A flow is made by `Flow(start=...)`.",
    )
    yield point(isinstance(flow, Flow), "`duel` is a flow.", f"`duel` is {type(flow).__name__}: make a `Flow(start=...)`.")
    run = tried(flow, {}, seconds=30)
    names, _ = way(run)
    fired, judged = names.count("Duellist"), names.count("Referee")
    yield slip(isinstance(run.error, KeyError), "Nobody has drawn: the flow has to begin at `draw`.")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    yield slip(
        fired == 1,
        "Only one of them asked: a node has one arrow for each action, and the second took the place of the first. "
        "Both together: an arrow to a list.",
    )
    yield point(fired == 2, "Both asked.", f"{fired} duellists asked.")
    yield point(judged > 0, "The referee came.", "There was no referee: an arrow has to lead there.")
    spans = [event for event in run.events if event.kind == "node_finished" and event.node.startswith("Duellist")]
    in_turn = max(event["start"] for event in spans) >= min(event["start"] + event["seconds"] * 1e9 for event in spans)
    yield slip(in_turn, "One asked, and then the other: that is no duel. Both at once: an arrow to a list.")
    into = {edge.source for edge in run.graph.edges if edge.target == "Referee" and edge.kind == "action"}
    yield slip(len(into) == 1, "The referee waits for one of them only: the list of both has to lead there.")
    yield point(judged == 1 and names[-1] == "Referee", "One referee, when both were done.", f"The referee came {judged} times.")


def _at_once(runs: list[Run]) -> int:
    """The largest number of runs that were on their way at one time."""
    hops = [event for run in runs for event in run.events if event.kind == "node_finished"]
    times = sorted([(hop["start"], 1) for hop in hops] + [(hop["start"] + hop["seconds"] * 1e9, -1) for hop in hops])
    most = now = 0
    for _, step in times:
        now += step
        most = max(most, now)
    return most
