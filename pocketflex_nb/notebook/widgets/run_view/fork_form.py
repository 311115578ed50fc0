"""`run from here`: a journalled run forked before one of its visits, with the values that its step reads to edit."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.flow.input_keys import keys_read
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.notebook.run_data.detail_tabs import store_of
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.visits import Visit
from pocketflex_nb.notebook.widgets.run_view.step_code import node_of
from pocketflex_nb.notebook.widgets.run_view.value_source import LONGEST_SOURCE, value_source
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.value_preview import preview, type_label

__all__ = ["begin_fork", "fork_form", "refusal"]

#: fields of a form
_FIELDS = 24


def refusal(run: ViewedRun) -> str:
    """Why a run cannot be run on from one of its steps; ``""`` when it can."""
    if not isinstance(run, Run):
        return "A replay makes no calls: run on from a step of the run that it plays."
    if lifecycle_of(run).kept_at is None or ports.journal is None:
        return 'This run has no journal. Launch the flow with one to run on from any step: flow.launch(..., journal="runs.sqlite").'
    return ""


def fork_form(visit: Visit) -> dict[str, object]:
    """Where a fork before a visit begins, and the values that its step reads: key, type, preview, source or None, whether it is a text."""
    history = _history(visit.run)
    at = _hops_before(visit, history)
    content = history.content(hops=at)
    place, _ = store_of(visit.run, visit.address)
    note = f"The step is on the private store of {clean(place, 160)}: an edit reaches the run's own store." if place else ""
    wanted: list[Any] = [key for key in keys_read(node_of(visit)) if key in content]
    keys = [key for key in wanted or list(content) if isinstance(key, str)][:_FIELDS]
    return {"at": at, "note": note, "fields": [_field(key, content[key]) for key in keys]}


def _field(key: str, value: object) -> list[object]:
    source = value_source(value, key)
    is_text = isinstance(value, str) and source is not None
    text = value if is_text else source
    return [key, type_label(value), clean(preview(value, 160, key=key)), text, is_text]


def begin_fork(visit: Visit, edits: Sequence[Sequence[Any]]) -> Run:
    """Run on from before a visit.

    Parameters
    ----------
    edits : sequence of (key, text, whether it is a text)
        Values of the store that differ, as source or as texts.

    Raises
    ------
    ValueError
        A text is no value, or the run cannot be forked there.
    """
    run = visit.run
    assert isinstance(run, Run)
    given = {str(key): str(text) if is_text else _value(str(key), str(text)) for key, text, is_text in edits}
    at = _hops_before(visit, _history(run))
    made: Run = ports.engine.fork(run, at, before=None, swap=None, name=None, show=False, edits=given)
    return made


def _value(key: str, text: str) -> object:
    try:
        return ast.literal_eval(text[: 2 * LONGEST_SOURCE].strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{key}: {clean(text, 60)!r} is no Python value: write a number, a quoted text, a list or a dict") from None


def _history(run: ViewedRun) -> Any:
    assert isinstance(run, Run)
    assert ports.journal is not None  # `refusal` was asked
    kept_at = lifecycle_of(run).kept_at
    assert kept_at is not None
    return ports.journal.left(*kept_at)


def _hops_before(visit: Visit, history: Any) -> int:
    """How many recorded visits are taken over: all before the first that belongs to this one."""
    over = [row.address for row in history.rows if "s" in row.data]
    return next((n for n, address in enumerate(over) if visit.holds(address)), len(over))

