"""Lesson 08, coming from PocketFlow: exercises about a program that is moved by one line, and what it may use afterwards."""

from __future__ import annotations

import warnings
from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, tried, trouble, way


@exercise(
    "08.1", "One line",
    hints=(
        "Only the line that imports has to change, and in it only where the names come from.",
        "`program.replace(old, new)` gives the changed text. The module with PocketFlow's own names is a part of `pocketflex_nb`.",
        "`moved = program.replace(\"from pocketflow import\", \"from pocketflex_nb.___ import\")`.",
    ),
)
def _one_line(program: str, moved: Any) -> Checked:
    yield point(isinstance(moved, str), "A program's text.", f"`moved` is a {type(moved).__name__}, and not the text of a program.")
    old, new = program.splitlines(), moved.splitlines()
    yield slip(moved == program, "Nothing has changed. `replace` returns the new text and leaves the old one as it is.")
    changed = [line for before, line in zip(old, new, strict=False) if before != line]
    yield point(len(old) == len(new) and len(changed) == 1, "One line has changed.", "More has changed than one line.")
    yield slip(
        changed[0].startswith("from pocketflex_nb import"),
        "Those are the package's own names, and `AsyncNode` is not among them. PocketFlow's eleven have a module of their own in it.",
    )
    scope: dict[str, object] = {"__name__": "moved"}
    error = _exec(moved, scope)
    yield point(error is None, "It runs.", "" if error is None else f"{trouble(error)}.")
    yield point(
        isinstance(scope.get("flow"), Flow), "And its flow is one that is drawn and watched.",
        "It runs, but its flow is still PocketFlow's: nothing here can draw that.",
    )


@exercise(
    "08.2", "Make it speak up",
    hints=(
        "The node stays as it is. It is the flow that has to mind.",
        "`Flow` has an option that PocketFlow's does not have: an action that no arrow has is an error then.",
        "`loud = Flow(start=picky, ___=True)`.",
    ),
)
def _speak_up(loud: object) -> Checked:
    yield slip(isinstance(loud, BaseNode) and not isinstance(loud, Flow), "That is the node. Its flow is what we want.")
    yield point(isinstance(loud, Flow), "A flow.", f"`loud` is a {type(loud).__name__}: make a `Flow(start=picky, ...)`.")
    run = tried(loud, {"text": "a word"})
    yield slip(
        run.error is None and len(way(run)[0]) > 1,
        "It goes on now, since you have mended the word. The next misspelling would be as quiet.",
    )
    yield slip(run.error is None, "It still ends early and says nothing but a warning.")
    error = run.error or RuntimeError("no error")  # there is one: without, the check ended above
    yield point("aprove" in str(error), "The misspelling is an error now, with the nearest name.", f"{trouble(error)}.")


@exercise(
    "08.3", "Two at once",
    hints=(
        "A list of nodes may stand behind an arrow: they work at the same time.",
        "And a list may stand before an arrow, too: the node behind it waits for all of them.",
        "`load >> [___, ___] >> report`, and the flow begins at `load`.",
    ),
)
def _two_at_once(team: Any) -> Checked:
    is_node = isinstance(team, BaseNode) and not isinstance(team, Flow)
    yield slip(is_node, "An arrow gives back its target. Make the flow: `Flow(start=load)`.")
    yield point(isinstance(team, Flow), "A flow.", f"`team` is a {type(team).__name__}: make a `Flow(start=load)`.")
    run = tried(team, {"module": "this"})
    names, _ = way(run)
    yield slip("Words" not in names or "Lines" not in names, f"The way went {' → '.join(names)}: one of the two readers has no arrow.")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    yield slip("Report" not in names, "Nobody reports: an arrow has to lead from the two to `report`.")
    yield slip(names.count("Report") > 1, "Two reports: both readers have to lead to the same one, by one arrow.")
    into = {edge.source for edge in run.graph.edges if edge.target == "Report" and edge.kind == "action"}
    yield slip("Load" in into, "The report begins with the two and waits for neither: it belongs behind the list, not into it.")
    yield slip(into == {"Words"}, "The report waits for the words only: the list of both has to lead there.")
    yield slip(into == {"Lines"} and "Words" in names[:1], "The report waits for the lines only: the list of both has to lead there.")
    yield point(
        type(team.start_node.successors.get("default")).__name__ not in ("Words", "Lines"),
        "Both read at the same time, and one report waits for them.",
        "They read one after the other. Put them into a list.",
    )


def _exec(text: str, scope: dict[str, Any]) -> BaseException | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(text, "<ipython-input-moved>", "exec"), scope)
        except Exception as error:
            return error
    return None
