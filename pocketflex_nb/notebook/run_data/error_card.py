"""The error card: one error with the steps that led to it and their values."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from pocketflex_nb.core.value_text import stop_goes_on
from pocketflex_nb.engine.runs.run import lifecycle_of
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.value_preview import preview, type_label

__all__ = ["error_card"]


_OURS = str(Path(__file__).resolve().parents[2])


def error_card(run: Any) -> dict[str, Any]:
    """What failed, where, on what input, and the user's own lines of the traceback."""
    error = run.error
    steps = _user_steps(lifecycle_of(run).trace or error.__traceback__)  # what whoever raised it again added is none of the run's
    node = next((span.node for span in reversed(list(run.state().spans)) if span.failed), "")
    return {
        "run": clean(run.name, 120), "node": clean(node, 120), "type": type(error).__name__,
        "text": clean(_said(error), 600), "inputs": _inputs(steps),
        "trace": [_step(frame, line) for frame, line in steps[-4:]],
    }


def _said(error: BaseException) -> str:
    try:
        return str(error) or "(no message)"
    except BaseException as error:  # an error's own __str__ may fail
        stop_goes_on(error)
        return "(its text cannot be read)"


def _is_cell(name: str) -> bool:
    return "ipykernel" in name or name.startswith("<")


def _user_steps(trace: TracebackType | None) -> list[tuple[FrameType, int]]:
    walked = traceback.walk_tb(trace)
    return [(frame, line) for frame, line in walked if not frame.f_code.co_filename.startswith(_OURS)]


def _step(frame: FrameType, line: int) -> str:
    code = frame.f_code
    file = "cell" if _is_cell(code.co_filename) else Path(code.co_filename).name
    text = _line(frame, line)
    return f"{file}:{line}  in {code.co_name}" + (f"\n    {text}" if text else "")


def _line(frame: FrameType, line: int) -> str:
    return clean(linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip(), 160)


def _inputs(steps: list[tuple[FrameType, int]]) -> list[list[str]]:
    """The arguments of the user's first function on the way to the error: of a node's exec, what prep gave."""
    return list(_arguments(steps[0][0])) if steps else []


def _arguments(frame: FrameType) -> Iterator[list[str]]:
    for name in frame.f_code.co_varnames[: frame.f_code.co_argcount]:
        if name in ("self", "cls") or name not in frame.f_locals:
            continue
        value = frame.f_locals[name]
        yield [name, type_label(value), clean(preview(value, 240, key=name))]
