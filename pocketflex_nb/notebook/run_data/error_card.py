"""The error card: one error with the user's own lines that led to it, and the values in the step that failed."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from inspect import CO_VARARGS, CO_VARKEYWORDS, isclass, ismodule, isroutine
from types import FrameType
from typing import TypedDict

from pocketflex_nb.core.user_traceback import line_text, user_frames
from pocketflex_nb.core.value_text import stop_goes_on
from pocketflex_nb.engine.records.record import error_name
from pocketflex_nb.notebook.run_data.playback import ViewedRun, engine_side
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.safe_messages import masked_tail, speakable
from pocketflex_nb.views.values.value_preview import preview, type_label

__all__ = ["ErrorCard", "error_card", "whole_traceback"]

#: lines of a traceback, and values, that a card shows
_LINES, _VALUES = 6, 10
#: characters of a traceback that is copied
_WHOLE = 200_000


class ErrorCard(TypedDict):
    """What an error card says, as plain texts."""

    run: str
    node: str
    type: str
    text: str
    cause: str
    inputs: list[list[str]]
    trace: list[str]


def error_card(run: ViewedRun) -> ErrorCard:
    """What failed, where, on what values, and the user's own lines of the traceback, the last call first."""
    error = run.error
    assert error is not None
    frames, step = user_frames(engine_side(run).trace or error.__traceback__)  # what whoever raised it again added is none of the run's
    node = next((span.node for span in reversed(list(run.state().spans)) if span.failed), "")
    side = engine_side(run)
    trace = [line_text(frame, line) for frame, line in reversed(frames[-_LINES:])]
    if (recorded := getattr(side, "trace_lines", None)) is not None:
        trace = recorded()
    return {
        "run": clean(run.name, 120), "node": clean(node, 120), "type": error_name(error),
        "text": clean(_said(error), 600), "cause": _cause(error), "inputs": list(_values(step)) if step is not None else [],
        "trace": [clean(line, 400) for line in trace],
    }


def whole_traceback(run: ViewedRun) -> str:
    """The whole traceback of a run's error as text, secrets masked; the last part of a very long one."""
    error = run.error
    if error is None:
        return ""
    told = traceback.TracebackException(type(error), error, engine_side(run).trace or error.__traceback__)
    return masked_tail(speakable("".join(told.format())), _WHOLE)


def _said(error: BaseException) -> str:
    try:
        return str(error) or "(no message)"
    except BaseException as error:  # an error's own __str__ may fail
        stop_goes_on(error)
        return "(its text cannot be read)"


def _cause(error: BaseException) -> str:
    """What the user's code handled, or named, when it raised the error."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is None or not user_frames(cause.__traceback__)[0]:
        return ""
    return clean(f"{type(cause).__name__} {_said(cause)}", 300)


def _values(frame: FrameType) -> Iterator[list[str]]:
    """The arguments and local variables of the step, as it left them."""
    code = frame.f_code
    given = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS) + bool(code.co_flags & CO_VARKEYWORDS)
    values = frame.f_locals
    names = [name for name in (*code.co_varnames[:given], *values) if name in values and _is_told(name, values[name])]
    for name in list(dict.fromkeys(names))[:_VALUES]:
        yield [name, type_label(values[name]), clean(preview(values[name], 240, key=name))]


def _is_told(name: str, value: object) -> bool:
    is_code = ismodule(value) or isclass(value) or isroutine(value)
    return name not in ("self", "cls") and not name.startswith(("__", ".")) and not is_code
