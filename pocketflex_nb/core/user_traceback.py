"""Which frames of a traceback are the user's: neither this package, nor the standard library, nor an installed package."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from functools import cache
from types import FrameType, TracebackType

__all__ = ["is_engine_file", "is_user_file", "last_user_line", "line_text", "shorten_in_notebook", "user_frames", "without_engine"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_MACHINERY = tuple(os.path.join(_LIBRARY, name) for name in ("asyncio", "concurrent"))
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)


@cache
def is_engine_file(name: str) -> bool:
    """Whether a file is part of this package.

    Parameters
    ----------
    name : str
        As in ``frame.f_code.co_filename``.

    Examples
    --------
    >>> is_engine_file(__file__), is_engine_file("/srv/ipykernel_1/2.py")
    (True, False)
    """
    return os.path.abspath(name).startswith(_PACKAGE)


@cache
def is_user_file(name: str) -> bool:
    """Whether a file is a notebook's cell or the user's own module.

    Parameters
    ----------
    name : str
        As in ``frame.f_code.co_filename``.

    Examples
    --------
    >>> import json
    >>> is_user_file("/srv/ipykernel_1/2.py"), is_user_file("<ipython-input-1-ab>"), is_user_file(json.__file__)
    (True, True, False)
    """
    if name.startswith("<"):
        return not name.startswith(("<frozen ", "<__array_function__", "<attrs generated"))
    path = os.path.abspath(name)
    return not path.startswith((_PACKAGE, _LIBRARY, *_places())) and not any(mark in path for mark in _INSTALLED)


@cache
def _places() -> tuple[str, ...]:
    import site
    import sysconfig  # needed only where an error is shown

    named = (sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    found = {place for place in (*named, site.getusersitepackages() if site.ENABLE_USER_SITE else None) if place}
    return tuple(sorted(os.path.join(os.path.abspath(place), "") for place in found))


def user_frames(trace: TracebackType | None) -> tuple[list[tuple[FrameType, int]], FrameType | None]:
    """The user's frames with their lines, in the order of the calls, and the frame of the step that was called last.

    Parameters
    ----------
    trace : traceback or None
        Of an error that ended a run.

    Returns
    -------
    list of (frame, int), frame or None
        The step is the first of the user's frames below the engine; None where the engine called nothing of the user's.
    """
    frames: list[tuple[FrameType, int]] = []
    step = None
    for frame, line in traceback.walk_tb(trace):
        name = frame.f_code.co_filename
        if is_engine_file(name):
            step = None if f"{os.sep}engine{os.sep}" in name else step
        elif is_user_file(name):
            frames.append((frame, line))
            step = step or frame
    return frames, step


def line_text(frame: FrameType, line: int) -> str:
    """Where a frame stands, as ``cell:14  in exec``, and the text of the line below it, where that is known.

    Parameters
    ----------
    frame : frame
        Its file is a notebook's cell or a module.
    line : int
        Its line number.
    """
    code = frame.f_code
    is_cell = "ipykernel" in code.co_filename or code.co_filename.startswith("<")
    text = linecache.getline(code.co_filename, line, frame.f_globals).strip()[:160]
    return f"{'cell' if is_cell else os.path.basename(code.co_filename)}:{line}  in {code.co_name}" + (f"\n    {text}" if text else "")


def last_user_line(trace: TracebackType | None) -> str:
    """The `line_text` of the user's last frame in a traceback; ``""`` where there is none.

    Parameters
    ----------
    trace : traceback or None
        Of an error.
    """
    frames, _ = user_frames(trace)
    return line_text(*frames[-1]) if frames else ""


def without_engine(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this package, and of asyncio above the user's code.

    Parameters
    ----------
    trace : traceback or None
        It is left as it is.

    Returns
    -------
    traceback or None
        None where all frames are the engine's.
    """
    kept: list[TracebackType] = []
    while trace is not None:
        name = os.path.abspath(trace.tb_frame.f_code.co_filename)
        if not is_engine_file(name) and not (name.startswith(_MACHINERY) and not kept):
            kept.append(trace)
        trace = trace.tb_next
    chained: TracebackType | None = None
    for one in reversed(kept):
        chained = TracebackType(chained, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return chained


def shorten_in_notebook(error: BaseException) -> None:
    """Take this package's frames out of an error's traceback where IPython shows it; elsewhere it stays whole.

    Parameters
    ----------
    error : BaseException
        About to be raised to the user's code.
    """
    if "IPython" in sys.modules:
        error.__traceback__ = without_engine(error.__traceback__)
