"""What a run is called in a view: by the item that it was launched for, its own name, or the variable that holds its flow."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pocketflex_nb.core.flow.flow_graph import base_name
from pocketflex_nb.core.value_text import cut_text
from pocketflex_nb.notebook.run_data.playback import Replay, engine_side
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.value_preview import preview

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow import Flow
    from pocketflex_nb.notebook.run_data.playback import ViewedRun

__all__ = ["flow_label", "origin_text", "run_label", "unfinished_text", "variable_of"]

#: characters of an item
_ITEM = 60


def run_label(run: ViewedRun) -> str:
    """The item of ``--each`` or `launch_each`, else the run's name; where nobody gave one, the variable that holds its flow."""
    side = engine_side(run)
    item = getattr(side, "item", None)
    if item is not None:
        return _item_text(*item)
    if not getattr(side, "given_name", run.name) and not getattr(run.flow, "name", None):
        variable = variable_of(run.flow)
        if variable:
            return clean(variable + run.name.removeprefix(side.base), 120)
    return clean(run.name, 120)


def origin_text(run: ViewedRun) -> str:
    """Where what is shown comes from, when not from a run that was launched here: a journal, another run, or a replay."""
    side = engine_side(run)
    if isinstance(side, Replay):
        return f"replay, {side.speed:g}× as fast, no calls" if side.speed != 1 else "replay, no calls"
    return ", ".join(part for part in (side.source_text, side.origin) if part)


def unfinished_text(run: ViewedRun) -> str:
    """How a run goes on whose process ended before it did; ``""`` for others."""
    if run.status != "unfinished":
        return ""
    side = engine_side(run)
    asked = next((str(event["question"]) for event in run.state().asking.values()), "")
    told = f", while it asked {asked!r}" if asked else ""
    return f"{run.name}: its process ended before it did{told}; go on: %pf resume {getattr(side, 'source', '')} {run.name}"


def flow_label(flow: Flow) -> str:
    """The name of a flow, else of the variable that holds it."""
    return clean(getattr(flow, "name", None) or variable_of(flow) or base_name(flow), 80)


def variable_of(thing: object) -> str:
    """The name under which the notebook holds an object; ``""``: under none."""
    if "IPython" not in sys.modules:
        return ""
    held = list(vars(sys.modules["__main__"]).items())
    return next((name for name, value in held if value is thing and not name.startswith("_")), "")


def _item_text(key: str | None, item: object) -> str:
    """An item as a lane's name: a text as it is, other values with their key, a mapping by its items; secrets masked."""
    if isinstance(item, str):
        return _cut(preview(item, _ITEM, key=key).strip("'\""))
    if isinstance(item, Mapping) and key is None:
        return _cut(", ".join(_item_text(str(name), value) for name, value in list(item.items())[:4]))
    text = preview(item, _ITEM, key=key)
    return _cut(f"{key}={text}" if key else text)


def _cut(text: str) -> str:
    return cut_text(clean(text, _ITEM + 1), _ITEM)
