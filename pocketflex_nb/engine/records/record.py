"""The record of a finished hop, the notes between hops, and the reading of both in rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.errors import RecordedError
from pocketflex_nb.core.store.change_log import HOP_START, TIME

if TYPE_CHECKING:
    pass

__all__ = ["CHANGED", "FINISHED", "Failure", "Note", "error_name", "format_error", "rows"]


class Failure:
    """The stand-in for the action of a hop that failed."""

    __slots__ = ("error", "handled", "status")

    def __init__(self, error: BaseException, handled: bool = False, status: str = "failed") -> None:
        self.error, self.handled, self.status = error, handled, status


class Note:
    """The stand-in for the action in a record that is not of a hop: a kind of event, its facts, and the number of its cause."""

    __slots__ = ("cause", "data", "kind")

    def __init__(self, kind: str, data: object = None, cause: int | None = None) -> None:
        self.kind, self.data, self.cause = kind, data, cause

#: the last record of a run, by status; the other facts are the run's own
FINISHED = {status: Note("run_finished", status) for status in ("done", "failed", "cancelled")}


def error_name(error: BaseException | None) -> str:
    """The name of an error's class; of a recorded one that of the class that it had."""
    recorded = error.kind.rpartition(":")[2].rpartition(".")[2] if isinstance(error, RecordedError) else ""
    return recorded or type(error).__name__


def format_error(error: BaseException) -> str:
    """An error as text for events: its class, and its message where there is one."""
    if isinstance(error, RecordedError):
        return error.told
    try:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    except Exception:  # a __str__ of the user's that raises must not lose the event
        return type(error).__name__

#: stands for the action where a record is of changes of a store: the flat list of their places instead of the start, and minus the end.
#: A hop that made one change of a plain value has the position of it, page and index, instead of its start and end, which are stored there.
CHANGED = Note("store_changed")


def rows(records: list[Any]) -> Iterator[tuple[Any, ...]]:
    """The records as (frame, node, action or stand-in, start, end); a hop that holds a change gives that first."""
    fields = iter(records)
    for row in zip(fields, fields, fields, fields, fields, strict=False):
        frame, node, what, page, at = row
        if type(page) is list and what is not CHANGED:
            yield frame, node, CHANGED, page, at
            yield frame, node, what, page[at + HOP_START], page[at + TIME]
        else:
            yield row
