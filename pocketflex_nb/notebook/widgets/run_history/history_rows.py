"""The rows of the run history: what is quickly known of the runs of some journals, newest first, as plain data."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

from pocketflex_nb.core.errors import JournalError
from pocketflex_nb.core.units import duration_text
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.journal.journal import Journal, journals_in
from pocketflex_nb.notebook.run_data.run_labels import run_label
from pocketflex_nb.views.text.page_text import clean

__all__ = ["MOST", "HistoryRow", "RunsKept", "age_text", "told_rows"]

#: rows at most, the latest
MOST = 500


class HistoryRow(TypedDict):
    """One run of a journal."""

    key: int
    name: str
    flow: str
    status: str
    begun: float
    seconds: float
    steps: int
    tokens: float
    cost: float
    error: str
    origin: str
    journal: str
    item: bool


class RunsKept:
    """The runs of some journals.

    Parameters
    ----------
    paths : iterable of path, optional
        Their files. Default: those that this process has open, and those that stand in the folder of the notebook.
    flow : Flow or dict of str to Flow, optional
        See `open_journal`.

    Attributes
    ----------
    problems : list of str
        What could not be read.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]] = (), flow: object = None) -> None:
        self._paths, self._flow = [Path(path) for path in paths], flow
        self._journals: dict[Path, Journal] = {}
        self._runs: dict[tuple[Path, int], Run] = {}
        self._over: dict[tuple[Path, int], HistoryRow] = {}  # of runs that are over: nothing changes there
        self.problems: list[str] = []
        self._stamp: object = None

    def paths(self) -> list[Path]:
        """The files that are looked at."""
        return self._paths or journals_in(Path.cwd())

    def is_changed(self) -> bool:
        """Whether a file was written to since the last call."""
        before, self._stamp = self._stamp, [_written(path) for path in self.paths()]
        return before != self._stamp

    def journal(self, path: Path) -> Journal:
        """The journal at `path`, opened once."""
        known = self._journals.get(path)
        if known is None:
            known = self._journals[path] = Journal(path, flow=self._flow)
        return known

    def all(self) -> list[tuple[Path, int]]:
        """Where each run is, the newest first."""
        found, self.problems = list[tuple[float, Path, int]](), []
        for path in self.paths():
            try:
                found += [(begun, path, number) for number, begun in self.journal(path).begun_at(MOST)]
            except JournalError as exc:
                self._journals.pop(path, None)
                self.problems.append(str(exc))
        return [(path, number) for _, path, number in sorted(found, reverse=True)[:MOST]]

    def run(self, place: tuple[Path, int]) -> Run:
        """The run there: the live one while it goes on in this process."""
        path, number = place
        run: Run = self.journal(path).run(number)
        return run

    def rows(self) -> list[HistoryRow]:
        """What is known of each, the newest first; one that is over is read once."""
        told = []
        for place in self.all():
            row = self._over.get(place)
            if row is None:
                row = self._row(place)
                if row["status"] in ("done", "failed", "cancelled"):
                    self._over[place] = row
            told.append(row)
        return told

    def forget(self, places: Iterable[tuple[Path, int]]) -> None:
        """They were removed, or went on."""
        for place in places:
            self._over.pop(place, None)

    def place(self, key: int) -> tuple[Path, int]:
        """Where the run of a row is.

        Raises
        ------
        LookupError
            There is no such row.
        """
        for path in self.paths():
            for number, _ in self.journal(path).begun_at(MOST):
                if _key(path, number) == key:
                    return path, number
        raise LookupError(f"no run {key}")

    def _row(self, place: tuple[Path, int]) -> HistoryRow:
        path, number = place
        run, glance = self.run(place), self.journal(path).glance(number)
        life, header = lifecycle_of(run), glance.header
        tokens, cost = glance.usage()
        end = glance.end()
        is_elsewhere = glance.is_held and end is None and life.recording is None
        error = str(end.data.get("error") or "") if end is not None else ""
        return {
            "key": _key(path, number), "name": clean(run_label(run), 120), "flow": clean(str(header.get("flow", "")), 80),
            "status": "running elsewhere" if is_elsewhere else run.status, "begun": glance.begun, "seconds": round(run.seconds, 3),
            "steps": glance.hops(), "tokens": tokens, "cost": round(cost, 6), "error": clean(error, 200), "origin": clean(life.origin, 120),
            "journal": clean(path.name, 80), "item": life.item is not None,
        }


def _written(path: Path) -> Any:
    """What changes when a journal is written to."""
    found = []
    for file in (path, path.with_name(path.name + "-wal")):
        try:
            status = file.stat()
            found.append((status.st_mtime_ns, status.st_size))
        except OSError:
            found.append((0, 0))
    return path, found


def _key(path: Path, number: int) -> int:
    return hash((str(path), number)) & 0xFFFFFFFFFFFF


def age_text(begun: float, now: float | None = None) -> str:
    """How long ago, in words: ``5 min``, ``3 h``, ``2 d``.

    Examples
    --------
    >>> age_text(100.0, 130.0), age_text(0.0, 7_200.0), age_text(0.0, 864_000.0)
    ('30 s', '2 h', '10 d')
    """
    seconds = max((time.time() if now is None else now) - begun, 0.0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def told_rows(rows: Iterable[HistoryRow]) -> list[dict[str, object]]:
    """The rows as people read them."""
    return [
        {
            "run": row["name"], "flow": row["flow"], "status": row["status"], "age": age_text(row["begun"]),
            "seconds": duration_text(row["seconds"]), "steps": row["steps"], "tokens": f"{row['tokens']:,.0f}" if row["tokens"] else "",
            "cost": f"{row['cost']:g}" if row["cost"] else "", "error": row["error"], "origin": row["origin"], "journal": row["journal"],
        }
        for row in rows
    ]
