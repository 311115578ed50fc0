"""Lesson 08, coming from PocketFlow: exercises about a program that is moved by one line, and what it may use afterwards."""

from __future__ import annotations

import warnings
from typing import Any

from pocketflex_nb.core.errors import UnknownAction
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, tried, trouble, way


@exercise(
    "08.1", "One line",
    hints=(
        "Only the import line has to change, and in it only the module.",
        "`program.replace(old, new)` returns the changed text. The module with PocketFlow's names is in `pocketflex_nb`.",
        "`moved = program.replace(\"from pocketflow import\", \"from pocketflex_nb.___ import\")`.",
    ),
)
def _one_line(program: str, moved: Any) -> Checked:
    yield point(isinstance(moved, str), "The text of a program.", f"`moved` is a {type(moved).__name__}, and not the text of a program.")
    old, new = program.splitlines(), moved.splitlines()
    yield slip(moved == program, "Nothing has changed. `replace` returns the new text and leaves the old one as it is.")
    changed = [line for before, line in zip(old, new, strict=False) if before != line]
    yield point(len(old) == len(new) and len(changed) == 1, "One line has changed.", "More has changed than one line.")
    yield slip(
        changed[0].startswith("from pocketflex_nb import"),
        "Those are the package's own names, and `AsyncNode` is not among them. PocketFlow's eleven names are in a module of it.",
    )
    scope: dict[str, object] = {"__name__": "moved"}
    error = _exec(moved, scope)
    yield point(error is None, "It runs.", "" if error is None else f"{trouble(error)}.")
    yield point(
        isinstance(scope.get("flow"), Flow), "Its flow can be drawn and watched here.",
        "It runs, but its flow is still PocketFlow's own, which cannot be drawn here.",
    )


@exercise(
    "08.2", "Make it an error",
    hints=(
        "The node stays as it is. The flow needs an option.",
        "`Flow` has an option that PocketFlow's does not have: with it, an action without an arrow is an error.",
        "`loud = Flow(start=picky, ___=True)`.",
    ),
)
def _speak_up(loud: Any) -> Checked:
    yield slip(isinstance(loud, BaseNode) and not isinstance(loud, Flow), "That is the node. Make its flow, `Flow(start=picky, ...)`.")
    yield point(isinstance(loud, Flow), "A flow.", f"`loud` is a {type(loud).__name__}: make a `Flow(start=picky, ...)`.")
    yield slip(
        type(loud.start_node).__name__ != "Picky",
        "It does not start at `picky`. Make the same flow, and let it refuse the action: `Flow(start=picky, ...)`.",
    )
    run = tried(loud, {"text": "a word"})
    yield slip(
        run.error is None and len(way(run)[0]) > 1,
        "The run goes on now, because the names agree. The next misspelled action would again cause only a warning.",
    )
    yield slip(run.error is None, "It still ends early with only a warning: the flow needs an option.")
    error = run.error or RuntimeError("no error")  # there is one: without, the check ended above
    yield slip(
        not isinstance(error, UnknownAction) and "aprove" in str(error),
        "The node raises an error of its own. The node stays as it is; the flow needs an option.",
    )
    yield point("aprove" in str(error), "The misspelling is an error now, with the nearest name.", f"{trouble(error)}.")


@exercise(
    "08.3", "Two at once",
    hints=(
        "An arrow may lead to a list of nodes: they run in parallel.",
        "An arrow may also lead from a list: its target waits for all of them.",
        "`load >> [___, ___] >> report`, and the flow starts at `load`.",
    ),
)
def _two_at_once(team: Any) -> Checked:
    is_node = isinstance(team, BaseNode) and not isinstance(team, Flow)
    yield slip(is_node, "An arrow returns its target. Make the flow: `Flow(start=load)`.")
    yield point(isinstance(team, Flow), "A flow.", f"`team` is a {type(team).__name__}: make a `Flow(start=load)`.")
    yield slip(type(team.start_node).__name__ != "Load", "`load` has to run first: `Flow(start=load)`.")
    run = tried(team, {"module": "this"})
    names, _ = way(run)
    arrows = {(edge.source, edge.target) for edge in run.graph.edges if edge.kind == "action"}
    into = {source for source, target in arrows if target == "Report"}
    in_turn = {("Words", "Lines"), ("Lines", "Words")} & arrows
    yield slip("Load" in into, "`report` runs in parallel with the two and waits for neither: draw its arrow from the list, not into it.")
    yield slip("Words" not in names or "Lines" not in names, f"The run went {' → '.join(names)}: one of the two readers has no arrow.")
    yield slip(in_turn, "They run one after the other. Put them into a list.")
    yield slip("Report" not in names, "`report` does not run: draw an arrow from the two to `report`.")
    yield slip(names.count("Report") > 1, "There are two reports: both readers have to lead to the same `report`.")
    yield slip(into == {"Words"}, "`report` waits for `words` only: draw its arrow from the list of both.")
    yield slip(into == {"Lines"}, "`report` waits for `lines` only: draw its arrow from the list of both.")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    yield point(
        into == {"Words", "Lines"} and run.store.get("report") is not None,
        "Both run in parallel, and one report waits for them.",
        f"The run went {' → '.join(names)}, without a report of both.",
    )


def _exec(text: str, scope: dict[str, Any]) -> BaseException | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(text, "<ipython-input-moved>", "exec"), scope)
        except Exception as error:
            return error
    return None
