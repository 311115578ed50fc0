"""What the engine asks of journals: a run that begins, the runs that were left, and going on with one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pocketflex_nb.core.errors import JournalError, nearest
from pocketflex_nb.journal.agent_state import AgentState, forgotten, taken
from pocketflex_nb.journal.blobs import LARGE
from pocketflex_nb.journal.file_format import RUN_BITS, checksum
from pocketflex_nb.journal.glance import Glance
from pocketflex_nb.journal.history import History
from pocketflex_nb.journal.journal import Journal
from pocketflex_nb.journal.journal_file import DURABILITIES, Durability, JournalFile, is_busy, known_file, opened_file
from pocketflex_nb.journal.recorder import RunRecorder, begun, resumed
from pocketflex_nb.journal.result_cache import ResultCache
from pocketflex_nb.journal.row_kinds import Kind, changes_json
from pocketflex_nb.journal.tape import Tape, tape_of

__all__ = ["agent_state", "begin", "cache", "cancel", "forget_agent", "fork", "glance", "go_on", "left", "tape", "unfinished"]

_Path = str | os.PathLike[str]


def begin(
    path: _Path, name: str, header: Mapping[str, Any], store: Mapping[Any, Any], transient: frozenset[Any], durability: str
) -> RunRecorder:
    """A new run of the journal at `path`, which is created if there is none."""
    return begun(opened_file(path), name, header, store, transient, _checked(durability))


def cache(path: _Path) -> ResultCache:
    """The cached results of the file at `path`, which is created if there is none."""
    return ResultCache(opened_file(path))


def tape(source: _Path, flow: str, store: Mapping[Any, Any], is_one: bool) -> Tape:
    """The recorded run that a new run of a flow plays: ``FILE#RUN``, or the latest of the file; see `tape_of`."""
    return tape_of(source, flow, store, is_one=is_one)


def agent_state(path: _Path, key: str, may_wait: bool = True) -> AgentState | None:
    """The state of an agent in the file at `path`, which is created if there is none; this process holds it from now on.

    Without `may_wait` None when the file is not open here yet, or others write to it just now.
    """
    if may_wait:
        return taken(opened_file(path), key)
    file = known_file(path)
    try:
        return None if file is None else taken(file, key, 0.0)
    except JournalError as exc:
        if exc.__cause__ is not None and is_busy(exc.__cause__):
            return None
        raise


def forget_agent(path: _Path, key: str) -> bool:
    """Remove the state of an agent; False when there is none."""
    if not Path(path).expanduser().exists():
        raise JournalError(f"there is no file {path}")
    return forgotten(opened_file(path), key)


def unfinished(path: _Path) -> list[int]:
    """The numbers of the runs that did not end, and that no living process writes."""
    return Journal(path).unfinished()


def left(path: _Path, run: int | str) -> History:
    """What is recorded of a run."""
    return Journal(path).history(run)


def cancel(path: _Path, run: int) -> None:
    """Mark a run that did not end as cancelled."""
    Journal(path).cancel(run)


def glance(path: _Path, run: int) -> Glance:
    """What can be told at once of a run, which may go on."""
    journal = Journal(path)
    return journal.glance(run)


def fork(path: _Path, run: int, hops: int, name: str, header: Mapping[str, Any], edits: Mapping[Any, Any]) -> int:
    """A new run of the journal that begins where another one had so many finished nodes; its number.

    Parameters
    ----------
    header : dict
        What is not as in the other one's.
    edits : dict
        Values of its store that differ from there on.
    """
    file = opened_file(path)
    file.flush()
    history = History(file, run)
    kept = [row for row in history.until(hops) if row.kind not in (Kind.RESUMED, Kind.END, Kind.SUMS)]
    when = time.time() - max((float(row.data.get("t", 0.0)) for row in kept), default=0.0)  # what was taken over lies before what it does
    origin = {"run": run, "name": history.name, "at": hops}
    text = _small(file, json.dumps(history.header | dict(header) | {"origin": origin}, ensure_ascii=False))
    rows = [(int(row.kind), row.address, _small(file, row.body)) for row in kept]
    if edits:
        rows.append((int(Kind.CONTENT), "", f'{{"c":{changes_json([("", edits, list(edits))], frozenset())}}}'))
    with file.transaction() as do:
        number = int(do("SELECT coalesce(max(id), 0) + 1 FROM runs").fetchone()[0])
        do("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", (number, name, when, text, checksum(number, name, when, text)))
        for at, (kind, address, body) in enumerate(rows, (number << RUN_BITS) + 1):
            do("INSERT INTO records VALUES (?, ?, ?, ?, ?)", (at, kind, address, body, checksum(at, kind, address, body)))
    return number


def go_on(path: _Path, history: History, durability: str, transient: frozenset[Any], changed: Sequence[str]) -> RunRecorder:
    """Go on with a run that `left` gave; `changed` names what is not as it was."""
    return resumed(opened_file(path), history.run, _checked(durability), transient, changed, history)


def _checked(durability: str) -> Durability:
    if durability not in DURABILITIES:
        raise ValueError(f"durability={durability!r}: no such durability{nearest(str(durability), DURABILITIES)}")
    return cast(Durability, durability)


def _small(file: JournalFile, text: str) -> str:
    """A text, or the mention of the file that it is kept in."""
    return file.blobs.keep(text)[0] if len(text) > LARGE else text
