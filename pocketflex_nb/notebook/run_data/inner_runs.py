"""Runs that a step began, as a level inside the view of the outer run: which they are, and the way that leads to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.notebook.run_data.playback import ViewedRun, engine_side
from pocketflex_nb.views.text.page_text import clean

if TYPE_CHECKING:
    from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel

__all__ = ["RunLevel", "begun_at", "crumbs", "inside_of", "runs_inside"]

#: characters of one part of the way
_CUT = 80


class RunLevel:
    """The runs that the steps at one node began.

    Parameters
    ----------
    model : RunViewModel
        Shows them.
    outer : sequence of Run
        The runs around them.
    path : str
        Graph path of the node there.
    """

    def __init__(self, model: RunViewModel, outer: Sequence[ViewedRun], path: str) -> None:
        self.model, self.outer, self.path = model, outer, path

    @property
    def name(self) -> str:
        """What the way calls it: the node."""
        return clean(self.path.rpartition("/")[2], _CUT)

    def grow(self) -> bool:
        """Take up the runs that came since; returns whether there were any."""
        known = set(self.model.runs)
        new = [run for run in runs_inside(self.outer, self.path) if run not in known]
        self.model.runs.extend(new)
        return bool(new)


def begun_at(run: Run) -> str:
    """Graph path of the node, in the run around `run`, whose step began it; ``""`` for a run of its own."""
    inner = lifecycle_of(run)
    return "" if inner.outer is None else str(inner.outer.lifecycle.log.path(inner.outer, inner.outer_node))


def runs_inside(outer: Sequence[ViewedRun], path: str) -> list[Run]:
    """The kept runs that steps at the node `path` of these runs began, oldest first."""
    return [child for run in outer if isinstance(run, Run) for child in run.children if begun_at(child) == path]


def inside_of(run: ViewedRun) -> dict[str, list[Run]]:
    """The kept runs that the steps of `run` began, oldest first, by the graph path of the node that began them."""
    found: dict[str, list[Run]] = {}
    for child in run.children if isinstance(run, Run) else ():
        found.setdefault(begun_at(child), []).append(child)
    return found


def crumbs(title: str, levels: Sequence[RunLevel]) -> list[str]:
    """The way to the last of `levels`: ``["report", "survey", "reader[3]"]``; empty at the outer runs."""
    if not levels:
        return []
    way = [clean(title, _CUT)]
    for level in levels:
        way.append(level.name)
        focus = level.model.focus
        if focus is not None and focus < len(level.model.runs):
            way.append(f"{clean(engine_side(level.model.runs[focus]).base, _CUT)}[{focus}]")
    return way
