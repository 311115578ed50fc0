"""`Journal`: the runs of one file, whichever kernels they ran in, to be listed, read, thinned out and exported."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import JournalError, nearest
from pocketflex_nb.journal.blobs import hash_in
from pocketflex_nb.journal.file_format import APPLICATION_ID, RUN_BITS, check_start, is_sound
from pocketflex_nb.journal.glance import Glance
from pocketflex_nb.journal.history import History
from pocketflex_nb.journal.journal_file import JournalFile, known_files, opened_file
from pocketflex_nb.journal.owner import is_surely_dead, lease_left
from pocketflex_nb.journal.recorder import resumed
from pocketflex_nb.journal.row_kinds import Kind
from pocketflex_nb.journal.salvage import DamagedJournal

__all__ = ["Journal", "journals_in", "open_journal"]

_DAY = 86_400.0
#: the runs that there are records of are found by a step for each, not for each record
_NUMBERS = f"""
WITH RECURSIVE recorded(run) AS (
    SELECT (SELECT min(at) FROM records) >> {RUN_BITS}
    UNION ALL
    SELECT (SELECT min(at) FROM records WHERE at >= (run + 1) << {RUN_BITS}) >> {RUN_BITS} FROM recorded WHERE run IS NOT NULL
)
SELECT run FROM recorded WHERE run IS NOT NULL UNION SELECT id FROM runs ORDER BY 1
"""


class Journal:
    """The runs that a journal holds.

    Parameters
    ----------
    path : str or Path
        Its file; a damaged one is read as far as it is sound.
    flow : Flow or dict of str to Flow, optional
        What its runs walk, for forks of them. Default: the notebook's flows.

    Attributes
    ----------
    path : Path
        Its file.
    missing : list of str
        What is damaged, in words; empty for a sound file.

    Raises
    ------
    JournalError
        There is no file, it is no journal, or one of a later version of this package.
    """

    def __init__(self, path: str | os.PathLike[str], *, flow: object = None) -> None:
        named = Path(path).expanduser()
        self.path, self._flow = named.parent.resolve() / named.name, flow
        if self.path.is_dir():
            raise JournalError(f"{self.path} is a folder; name a journal in it: open_journal({str(self.path / 'runs.sqlite')!r})")
        if not self.path.exists():
            near = [other.name for other in self.path.parent.glob("*.sqlite")] if self.path.parent.is_dir() else []
            raise JournalError(f"there is no journal {self.path}{nearest(self.path.name, near)}")
        self._file: JournalFile | DamagedJournal
        self.missing: list[str] = []
        try:
            self._file = file = opened_file(self.path)
            file.flush()
            self._check()
        except JournalError as exc:
            if "damaged" not in str(exc):
                raise
            check_start(self.path)
            self._file = DamagedJournal(self.path, str(exc.__cause__ or exc))
            self.missing = self._file.missing

    def _check(self) -> None:
        """Raise if SQLite cannot read the tables to their ends."""
        for table in ("runs", "records", "answers"):
            self._file.read(f"SELECT count(*), max(length(crc)) FROM {table} WHERE crc >= 0")

    @property
    def is_damaged(self) -> bool:
        """Whether only a part of it can be read; such a journal is not written to."""
        return isinstance(self._file, DamagedJournal)

    def numbers(self) -> list[int]:
        """The numbers of its runs, oldest first; those whose header is lost included."""
        return [int(str(row[0])) for row in self._file.read(_NUMBERS)]

    def headers(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Number, name and header of its runs, the latest first, as far as they are sound."""
        for row in self._file.read("SELECT id, name, begun, header, crc FROM runs ORDER BY id DESC"):
            if is_sound(row):
                yield int(str(row[0])), str(row[1]), json.loads(self._file.blobs.filled(str(row[3])))

    def begun_at(self, number: int) -> list[tuple[int, float]]:
        """The numbers of its last runs, so many at most, and when they were launched."""
        rows = self._file.read("SELECT id, begun FROM runs ORDER BY id DESC LIMIT ?", (number,))
        found: list[tuple[Any, Any]] = [(row[0], row[1]) for row in rows]
        return [(int(run), float(begun) if isinstance(begun, (int, float)) else 0.0) for run, begun in found]

    def histories(self) -> Iterator[History]:
        """What is recorded of each run, oldest first."""
        for number in self.numbers():
            yield self.history(number)

    def number(self, run: int | str) -> int:
        """The number of a run: itself, or that of the latest one of a name, as it was numbered in its kernel or before.

        Raises
        ------
        JournalError
            There is none.
        """
        named: list[tuple[Any, Any]] = [(row[0], row[1]) for row in self._file.read("SELECT id, name FROM runs ORDER BY id DESC")]
        for number, name in named:
            if run in (number, name):
                return int(number)
        if run in self.numbers():
            return int(run)
        for number, name in named:
            base, _, digits = str(name).rpartition("-")
            if base == run and digits.isdecimal():
                return int(number)
        raise JournalError(f"the journal {self.path} has no run {run!r}{nearest(str(run), [str(name) for _, name in named])}")

    def history(self, run: int | str) -> History:
        """What is recorded of a run."""
        return History(self._file, self.number(run))

    def glance(self, run: int | str) -> Glance:
        """What can be told of a run at once."""
        number = self.number(run)
        return Glance(self._file, self.path, number, self.is_held(number))

    def runs(self) -> list[Any]:
        """Its runs, oldest first: the same handles as those of this process's own, read when they are looked at.

        Returns
        -------
        list of Run
            Those that go on in this process are the live ones. The status of one whose process ended before it did is ``"unfinished"``:
            `resume` goes on with it.
        """
        return [ports.engine.reopened(self.glance(number), self._flow) for number in self.numbers()]

    def run(self, name: int | str) -> Any:
        """One run.

        Parameters
        ----------
        name : int or str
            Its number in the journal, or its name: the latest of that name.

        Returns
        -------
        Run
            See `runs`.

        Raises
        ------
        JournalError
            There is no such run.
        """
        return ports.engine.reopened(self.glance(name), self._flow)

    def is_held(self, run: int) -> bool:
        """Whether a living process writes the run now."""
        rows: list[Any] = self._file.read(
            "SELECT l.owner, o.until, o.lease FROM leases l LEFT JOIN owners o USING (owner) WHERE l.run = ?", (run,)
        )
        return any(owner and lease_left(until, lease) and not is_surely_dead(owner) for owner, until, lease in rows)

    def unfinished(self) -> list[int]:
        """The numbers of the runs that did not end, and that no living process writes."""
        bounds = f"at >= r.id << {RUN_BITS} AND at < (r.id + 1) << {RUN_BITS}"
        last = f"SELECT kind FROM records WHERE {bounds} AND kind IN ({int(Kind.RESUMED)}, {int(Kind.END)}) ORDER BY at DESC LIMIT 1"
        rows: list[Any] = self._file.read(f"SELECT r.id FROM runs r WHERE coalesce(({last}), 0) <> {int(Kind.END)} ORDER BY r.id")
        return [int(row[0]) for row in rows if not self.is_held(int(row[0]))]

    # care ------------------------------------------------------------------------------------------------------------
    def _writable(self) -> JournalFile:
        if isinstance(self._file, DamagedJournal):
            raise JournalError(f"the journal {self.path} is damaged, and is only read: export() what is sound, and begin a new one")
        return self._file

    def cancel(self, run: int | str) -> bool:
        """Mark a run that did not end as cancelled, so that `resume` passes it over; False when it is over.

        Raises
        ------
        RunHeld
            A living process writes it.
        """
        file, number = self._writable(), self.number(run)
        if Glance(file, self.path, number, False).end() is not None:
            return False
        recorder = resumed(file, number, "node", frozenset(), ())
        recorder.save_now(recorder.over("cancelled", None, "it was cancelled after its process had ended"))
        recorder.close()
        file.flush()
        return True

    def prune(self, keep: int | None = None, older_than: float | None = None, *, only: Iterable[int | str] | None = None) -> int:
        """Remove runs that are over, with their records, answers and large values; returns how many.

        With `older_than`, cached results that were not used for so long go, too.

        Parameters
        ----------
        keep : int, optional
            So many of those that are over stay: the latest.
        older_than : float, optional
            Only those that were launched more than so many days ago.
        only : iterable of int or str, optional
            Only these, by number or name; one that did not end goes too, unless a living process writes it.

        Raises
        ------
        ValueError
            None of them is given, or one is negative.
        JournalError
            There is no such run.
        """
        if keep is None and older_than is None and only is None:
            raise ValueError("prune() needs keep= (a number of runs), older_than= (days), or only= (runs)")
        if (keep or 0) < 0 or (older_than or 0) < 0:
            raise ValueError(f"prune(keep={keep!r}, older_than={older_than!r}): 0 or more")
        file = self._writable()
        file.flush()
        chosen = None if only is None else {self.number(run) for run in only}
        open_runs = set(self.unfinished()) - (chosen or set())
        with file.transaction() as do:
            found = do("SELECT id, begun FROM runs ORDER BY id DESC").fetchall()
            over = [(number, begun) for number, begun in found if number not in open_runs and not _is_held_in(do, number)]
            limit = time.time() - (older_than or 0.0) * _DAY
            gone = [number for number, begun in over[keep or 0 :] if older_than is None or begun < limit]
            gone = gone if chosen is None else [number for number in gone if number in chosen]
            for number in gone:
                bounds = number << RUN_BITS, (number + 1) << RUN_BITS
                for table in ("records", "answers"):
                    do(f"DELETE FROM {table} WHERE at >= ? AND at < ?", bounds)
                do("DELETE FROM runs WHERE id = ?", (number,))
                do("DELETE FROM leases WHERE run = ?", (number,))
            if older_than is not None:
                do("DELETE FROM results WHERE used < ?", (limit,))
            kept = _mentioned(do)
            for (digest,) in do("SELECT hash FROM blobs").fetchall():
                if digest not in kept:
                    do("DELETE FROM blobs WHERE hash = ?", (digest,))
            file.blobs.drop_but(kept)
        return len(gone)

    def vacuum(self) -> None:
        """Give the room of pruned runs back to the file system."""
        self._writable().vacuum()

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write everything as lines of JSON, which any program reads; returns the path.

        Parameters
        ----------
        path : str or Path
            The file to write: a line for each run, record and answer, with its large values in it.
        """
        target = Path(path).expanduser()
        part = target.with_name(target.name + ".part")
        with open(part, "w", encoding="utf-8", errors="surrogatepass") as out:
            for number in self.numbers():
                history = self.history(number)
                line: dict[str, Any] = {"run": number, "name": history.name, "begun": history.begun, "header": history.header}
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
                for row in history.every:
                    line = {"run": number, "record": row.number, "kind": row.kind.name.lower(), "address": row.address, "body": row.data}
                    out.write(json.dumps(line, ensure_ascii=False) + "\n")
                for (address, question), text in history.answers.items():
                    line = {"run": number, "answer": question, "address": address, "body": json.loads(text)}
                    out.write(json.dumps(line, ensure_ascii=False) + "\n")
        os.replace(part, target)
        return target

    def __repr__(self) -> str:
        return f"<Journal {self.path}: {len(self.numbers())} runs{', damaged' if self.is_damaged else ''}>"


def journals_in(folder: Path) -> list[Path]:
    """The journals that stand in a folder, and those that this process has open; nothing is opened for it."""
    found = dict.fromkeys(file.path for file in known_files())
    for path in sorted(folder.glob("*.sqlite")):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if file.read(72)[68:] == APPLICATION_ID.to_bytes(4, "big"):
                found.setdefault(path.parent.resolve() / path.name)
    return [path for path in found if path.exists()]


def open_journal(path: str | os.PathLike[str], *, flow: object = None) -> Journal:
    """The runs that a journal keeps, also those of earlier kernels, to be looked at, forked, replayed, thinned out and exported.

    Parameters
    ----------
    path : str or Path
        Its file; a damaged one opens as far as it is sound, and `Journal.missing` says what is lost.
    flow : Flow or dict of str to Flow, optional
        What its runs walk, for forks of them, by the flows' ids. Default: the notebook's flows. Nothing is imported and no code of yours
        is run because of what is read.

    Returns
    -------
    Journal

    Raises
    ------
    JournalError
        There is no such file, it is no journal, it has a later format, or it stands where no process may write or share it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pocketflex_nb import linear, node, open_journal
    >>> @node
    ... def draft(shared):
    ...     shared["text"] = f"about {shared['topic']}"
    >>> file = Path(tempfile.mkdtemp()) / "runs.sqlite"
    >>> _ = linear(draft, name="report").launch({"topic": "tides"}, name="night", journal=file).wait(10)
    >>> run = open_journal(file).run("night")
    >>> run.status, run.hops, dict(run.store)
    ('done', 1, {'topic': 'tides', 'text': 'about tides'})
    >>> [event.kind for event in run.events]
    ['run_started', 'store_changed', 'node_finished', 'run_finished']
    """
    return Journal(path, flow=flow)


def _is_held_in(do: Any, run: int) -> bool:
    rows = do("SELECT l.owner, o.until, o.lease FROM leases l LEFT JOIN owners o USING (owner) WHERE l.run = ?", (run,)).fetchall()
    return any(owner and lease_left(until, lease) and not is_surely_dead(owner) for owner, until, lease in rows)


def _mentioned(do: Any) -> set[str]:
    """The hashes of the blobs that are still needed."""
    found: set[str] = set()
    for table, column in (("runs", "header"), ("records", "body"), ("answers", "body"), ("results", "body"), ("agents", "body")):
        rows = do(f"SELECT {column} FROM {table} WHERE length({column}) < 200 AND {column} LIKE '%pfx blob%'").fetchall()
        found.update(filter(None, (hash_in(body) for (body,) in rows)))
    return found
