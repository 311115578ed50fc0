"""Undoes the store writes of a failed attempt of `exec`, except keys that another writer has written since.

A plain dict is left as the attempt left it, as PocketFlow does. An abandoned attempt keeps the objects that it got; the store continues
with others, restored to their former content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pocketflex_nb.core.context import walked_with
from pocketflex_nb.core.frozen.copies import NotCopied
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.store.undo import is_tracking, put_back, set_out
from pocketflex_nb.engine.records.frame import Frame

__all__ = ["begin_try", "end_tries", "take_back", "withdraw"]


def begin_try(frame: Frame | None) -> None:
    """Begin to record what the current node writes, so that it can be undone."""
    if frame is not None and (isinstance(walked_with(frame), Store) or is_tracking(frame)):
        set_out(frame)


def take_back(frame: Frame | None, prep_res: object) -> object:
    """Undo what the failed attempt wrote, and return `prep_res` for the next one."""
    if frame is None or frame.undo is None:
        return prep_res
    failed, swapped = put_back(frame)
    for key, why in failed:
        _tell(frame, f"{frame.node_id}: what a failed try did to {key!r} could not be taken back: {why}")
    swapped.update(frame.swapped or {})
    frame.swapped = None
    return _replaced(prep_res, swapped) if swapped else prep_res


def end_tries(frame: Frame | None) -> None:
    """Stop recording: what is written from here on stays."""
    if frame is not None:
        frame.undo = None


def withdraw(step: Frame) -> None:
    """An abandoned `step` keeps the objects that it got: replace them in the store by others."""
    swapped: dict[int, tuple[object, object]] = {}
    walks = list(_walks(step))
    for frame in walks:
        for cell, store in list((frame.touched or {}).items()):
            try:
                given = store._withdraw(cell, step)
            except (NotCopied, RuntimeError) as exc:
                _tell(step, f"{step.node_id}: {cell.key!r} cannot be copied, so an abandoned step can still change it: {exc}")
                continue
            if given is not None:
                swapped[id(given[0])] = given
    for frame in walks[1:]:
        frame.swapped = {**(frame.swapped or {}), **swapped}


def _tell(frame: Frame, text: str) -> None:
    frame.note("abandoned", what="store", text=text)


def _walks(step: Frame) -> Iterator[Frame]:
    """The step and the walk that it belongs to."""
    yield step
    while step.step and step.parent is not None:
        step = step.parent
        yield step


def _replaced(value: Any, swapped: dict[int, tuple[object, object]], deep: int = 4) -> object:
    """`value` with the objects that were withdrawn replaced by those that took their place."""
    if id(value) in swapped:
        return swapped[id(value)][1]
    if not deep:
        return value
    cls = type(value)
    if cls in (list, tuple):
        items = [_replaced(item, swapped, deep - 1) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else cls(items)
    if cls is dict:
        pairs = {key: _replaced(item, swapped, deep - 1) for key, item in value.items()}
        return value if all(pairs[key] is value[key] for key in pairs) else pairs
    return value
