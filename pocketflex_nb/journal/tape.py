"""`Tape`: a recorded run whose results of `exec` and answers are taken by another run of the same flow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.errors import EncodingError, JournalError
from pocketflex_nb.journal.history import History
from pocketflex_nb.journal.journal import Journal
from pocketflex_nb.journal.row_kinds import Row, pairs_json, read_changes

__all__ = ["Tape", "tape_of"]


class Tape:
    """What one recorded run holds, found by address whatever its flow is called now.

    Attributes
    ----------
    name : str
        ``FILE#RUN``, for messages.
    """

    def __init__(self, path: Path, history: History) -> None:
        self.name = f"{path}#{history.name}"
        self._results = {_inside(address): row for address, row in history.results.items()}
        self._finished = {_inside(address): row for address, row in history.finished.items()}
        self._answers = {(_inside(where), number): text for (where, number), text in history.answers.items()}

    def result(self, address: str) -> Row | None:
        """The record of an `exec`, or of an item's."""
        return self._results.get(_inside(address))

    def finished(self, address: str) -> Row | None:
        """The record of a visit."""
        return self._finished.get(_inside(address))

    def changes(self, address: str, scope: str) -> list[tuple[Any, bool, Any]] | None:
        """What a visit has changed in the store at `scope` (``""`` for the run's own): each key, whether it is there, and its value.

        None when there is no record of that visit.
        """
        row = self.finished(address)
        if row is None:
            return None
        return [pair for where, pairs in read_changes(row) if _inside(where) == _inside(scope) for pair in pairs]

    def answer(self, where: str, number: int) -> tuple[bool, Any]:
        """Whether an answer was given there, and the answer."""
        text = self._answers.get((_inside(where), number))
        return (False, None) if text is None else (True, decode(text, unloaded="keep"))


def _inside(address: str) -> str:
    """An address without the flow's name, which is its first part."""
    return address.partition("/")[2]


def tape_of(source: str | os.PathLike[str], flow: str, store: Mapping[Any, Any], *, is_one: bool) -> Tape:
    """The recorded run that a new one plays.

    Parameters
    ----------
    source : str or Path
        ``FILE#RUN``; or a file alone, for the latest run of that flow.
    flow : str
        The id of the flow that plays it.
    store : mapping
        What its store begins with: of several runs, the latest that began with the same is played.
    is_one : bool
        Whether one run is launched; then a run that began otherwise is played, too, when no other is there.

    Raises
    ------
    JournalError
        There is no such file or run.
    """
    text = os.fspath(source)
    file, mark, name = text.rpartition("#") if not Path(text).expanduser().exists() else (text, "", "")
    journal = Journal(Path(file) if mark else Path(text))
    if mark and is_one:
        return Tape(journal.path, journal.history(int(name) if name.isdecimal() else name))
    candidates = list(journal.headers())
    wanted = _beginning(store)
    of_flow = [(number, header) for number, known, header in candidates
               if header.get("flow") == flow and (not mark or name in (known, known.rpartition("-")[0]))]
    for number, header in of_flow:
        if wanted is not None and header.get("store") == wanted:
            return Tape(journal.path, journal.history(number))
    if is_one and of_flow:
        return Tape(journal.path, journal.history(of_flow[0][0]))
    flows = sorted({str(header.get("flow")) for _, _, header in candidates})
    why = "that began with the same store" if of_flow else f"; it has runs of {', '.join(map(repr, flows)) or 'none'}"
    raise JournalError(f"the tape {text} has no run of the flow {flow!r} {why}; name one: tape='{journal.path}#NAME'")


def _beginning(store: Mapping[Any, Any]) -> object:
    """What a store holds, as headers have it; None when that cannot be kept."""
    try:
        return json.loads(pairs_json(store, list(store), frozenset()))
    except EncodingError:
        return None
