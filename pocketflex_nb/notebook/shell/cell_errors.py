"""Shows errors in cells: in one or two lines; the user's own with the lines of the user's code only."""

from __future__ import annotations

import contextlib
import linecache
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from pocketflex_nb.core.errors import CheckError, DiagramError, PocketflexError
from pocketflex_nb.core.user_traceback import without_engine
from pocketflex_nb.views.text.redaction import redacted
from pocketflex_nb.views.text.safe_messages import inert_but_colours, speakable
from pocketflex_nb.views.text.safe_text import inert

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Interrupted", "fail", "own_error", "shortened", "syntax_error", "usage", "users_line"]


class Interrupted(KeyboardInterrupt):
    """The kernel's stop button ended the runs of this cell."""

    def _render_traceback_(self) -> list[str]:
        return [speakable(str(self))]


def usage(message: str) -> UsageError:
    """An error of one line, without a traceback."""
    return UsageError(inert(message))


def shortened(error: PocketflexError) -> BaseException:
    """An error of ours in one or two lines; one that passed through the user's own code stays as it is."""
    if getattr(error, "_render_traceback_", None) is not None:
        return error
    what = "" if isinstance(error, (DiagramError, CheckError)) else f"{type(error).__name__}: "
    return usage(speakable(f"{what}{error}"))


def fail(shell: InteractiveShell, error: BaseException, where: str) -> BaseException:
    """`error` of a node, ready to be raised in the cell: shown with the user's own lines and where it happened."""
    trace = without_engine(error.__traceback__)  # now: whoever catches the error on its way adds lines
    return _rendered(error, lambda: [*_lines(shell, error, trace), speakable(where)])


def own_error(shell: InteractiveShell, error: BaseException) -> BaseException:
    """`error` of a cell's own code, ready to be raised: shown with the user's own lines."""
    trace = without_engine(error.__traceback__)
    return _rendered(error, lambda: _lines(shell, error, trace))


def syntax_error(error: SyntaxError) -> str:
    """A syntax error of a body: its line, and a caret. IPython would show our own lines with it."""
    if not error.text:
        return f"SyntaxError: {error.msg}"
    caret = " " * max((error.offset or 1) - 1, 0) + "^"
    return f"SyntaxError in line {error.lineno} of this cell: {error.msg}\n    {error.text.rstrip()}\n    {caret}"


def users_line(shell: InteractiveShell, error: BaseException | None) -> str:
    """Where in the user's own code `error` was raised, such as ``Cell In[3], line 4: return 1 / 0``; ``""`` when nowhere."""
    place = ""
    for frame in traceback.extract_tb(without_engine(error.__traceback__) if error is not None else None):
        known = shell.compile.format_code_name(frame.filename)
        if known is not None:
            line = linecache.getline(frame.filename, frame.lineno or 0).strip()
            place = f"{known[0]} {known[1]}, line {frame.lineno}{f' ({line})' if line else ''}"
    return place


def _lines(shell: InteractiveShell, error: BaseException, trace: TracebackType | None) -> list[str]:
    if trace is None:
        return [speakable(f"{type(error).__name__}: {error}")]
    *lines, said = map(inert_but_colours, shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0))
    return [*lines, redacted(said)]


def _rendered(error: BaseException, render: Callable[[], list[str]]) -> BaseException:
    if getattr(error, "_render_traceback_", None) is None:
        with contextlib.suppress(AttributeError):  # an exception with slots keeps IPython's own form
            error._render_traceback_ = render  # type: ignore[attr-defined]
    return error
