"""What may a step tell while it works? Tokens, usage, progress, logs."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core.context import FRAME
from pocketflex_nb.core.errors import nearest

__all__ = ["emit"]

_KINDS = ("token", "usage", "progress", "log")


def emit(kind: str, text: Any = None, **fields: Any) -> None:
    """Tell the run's views and log what a step is at. Silent outside of a run.

    Parameters
    ----------
    kind : {"token", "usage", "progress", "log"}
        ``token``: a piece of streamed text. ``usage``: ``tokens=``, ``cost=``, counted against the run's budget. ``progress``:
        ``done=``, ``total=``. ``log``: a line.
    text : str, optional
        For tokens and logs.
    **fields
        See `kind`; more are kept with the event.

    Raises
    ------
    ValueError
        For another kind.
    """
    if kind not in _KINDS:
        raise ValueError(f"emit({kind!r}): no such kind{nearest(kind, _KINDS)}")
    frame = FRAME.get()
    if frame is None or frame.fenced:
        return
    if kind in ("token", "log"):
        frame.note("output", stream=kind, text="" if text is None else str(text), **fields)
        return
    if text is not None:
        fields["text"] = str(text)
    frame.note(kind, **fields)
    if kind == "usage":
        frame.run.hold_state().spend(fields)
