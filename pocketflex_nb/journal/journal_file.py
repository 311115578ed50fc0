"""`JournalFile`: one journal as this process has it open, and the only place that writes to it.

A write is a list of statements that become one transaction. It is committed in one of three ways:

- ``"node"``: at once, by the thread that asks. It is then in the system's hands and survives the end of any process; the disk is not
  waited for. When another writer has the file just then, the file's own thread does it as soon as it can.
- ``"power"``: by the file's thread, together with all that waits at that moment, and the disk is waited for: it survives a loss of power.
- ``"batch"``: by the file's thread, 50 ms later at most, together with what came meanwhile. Nobody waits.

The pages of the write-ahead log are moved into the file by that thread, too: it is what waits for the disk.

References
----------
https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Literal

from pocketflex_nb.core.errors import JournalError, RunHeld
from pocketflex_nb.journal.blobs import Blobs
from pocketflex_nb.journal.file_format import check_place, check_start, prepare
from pocketflex_nb.journal.owner import LEASE, is_surely_dead, lease_left, owner_name, owner_text

__all__ = ["DURABILITIES", "Durability", "JournalFile", "Statement", "is_busy", "known_file", "known_files", "opened_file"]

Durability = Literal["node", "power", "batch"]
DURABILITIES = ("node", "power", "batch")
#: an SQL text, its values, and whether it must change a row: one that changes none was written by a run that is held by another process
Statement = tuple[str, tuple[object, ...], bool]
_Waiter = Future[None] | asyncio.Future[None] | None

#: seconds that a write waits, at most, for the writers of other processes
_PATIENCE = 30.0
#: seconds that a write of ``"batch"`` may wait for others
_BATCH = 0.05
#: statements between two looks at the size of the write-ahead log
_LOOK_EVERY = 500
#: bytes of the write-ahead log from which on it is moved into the file, beside those who write; and from which on they wait for that
_LONG, _LONGEST = 4 * 2**20, 16 * 2**20
#: the number of this process, which each write asks for
_here = [os.getpid()]
_TAKEN = (
    "INSERT INTO leases VALUES (?1, 1, ?2) ON CONFLICT (run) DO UPDATE SET token = token + 1, owner = ?2 RETURNING token"
)


def is_busy(exc: BaseException) -> bool:
    """Whether another connection has the file just now."""
    return isinstance(exc, sqlite3.OperationalError) and (exc.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class JournalFile:
    """One journal, open for writing.

    Parameters
    ----------
    path : Path
        Created if there is no file.

    Attributes
    ----------
    blobs : Blobs
        Where its large values are.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.pid = path, os.getpid()
        check_place(path)
        check_start(path)
        with contextlib.suppress(OSError):  # it is there; else it is created for its user alone
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        self.blobs = Blobs(path)
        self._line = self._connect("NORMAL")
        self._using = threading.Lock()
        self._queue: deque[tuple[Sequence[Statement], _Waiter, bool]] = deque()
        self._woken = threading.Condition()
        self._thread: threading.Thread | None = None
        self._held: set[int | str] = set()  # runs by number, agents by name
        self._owner, self._renew_at = owner_name(), 0.0
        self._failed: JournalError | None = None
        self._is_closed = self._is_committing = False
        self._since = 0
        self._batched_at = 0.0
        status = os.stat(path)
        self._identity = status.st_dev, status.st_ino

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        line = None
        try:
            line = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            prepare(line, self.path)
            if line.execute("PRAGMA journal_mode").fetchone()[0] != "wal" and _in_wal_mode(line) != "wal":
                raise JournalError(f"the journal {self.path} stands where processes cannot share memory; name a file on a local disk")
            line.execute(f"PRAGMA synchronous = {synchronous}")
            line.execute("PRAGMA wal_autocheckpoint = 0")
            line.execute(f"PRAGMA journal_size_limit = {_LONG}")
            line.execute("PRAGMA busy_timeout = 0")
        except sqlite3.Error as exc:
            if line is not None:
                line.close()
            raise _translated(exc, self.path) from exc
        except BaseException:
            if line is not None:
                line.close()
            raise
        return line

    # writing ---------------------------------------------------------------------------------------------------------
    def try_write(self, statements: Sequence[Statement]) -> bool:
        """Commit `statements` in this thread, unless somebody else is writing: False then, and nothing was done.

        Raises
        ------
        JournalError
            The disk is full, the file was removed, or the run is held by another process.
        """
        if self._queue or self._is_committing or not self._using.acquire(blocking=False):
            return False
        try:
            self._check()
            try:
                self._commit(self._line, statements)
            except sqlite3.Error as exc:
                if is_busy(exc):
                    return False
                raise _translated(exc, self.path) from exc
        finally:
            self._using.release()
        self._since += len(statements)
        if self._since >= _LOOK_EVERY:
            self._wake()
        return True

    def write(self, statements: Sequence[Statement], durability: Durability = "node") -> None:
        """Commit `statements` and wait for it; not for a loop's thread."""
        if durability == "node" and self.try_write(statements):
            return
        done: Future[None] = Future()
        self.submit(statements, done, durability)
        if durability != "batch":
            done.result()

    def submit(self, statements: Sequence[Statement], done: _Waiter, durability: Durability = "node") -> None:
        """Have the file's thread commit `statements`; `done` is resolved then, an `asyncio.Future` on its own loop."""
        with self._woken:
            self._check()
            if self._failed is not None:
                raise JournalError(f"an earlier write failed: {self._failed}") from self._failed
            self._queue.append((statements, done, durability == "power"))
            if durability == "batch" and not self._batched_at:
                self._batched_at = time.monotonic()
            elif durability != "batch":
                self._batched_at = -1.0  # somebody waits
            self._start()
            self._woken.notify()

    def flush(self) -> None:
        """Wait until everything that was submitted is committed."""
        if self._thread is not None and self._thread.is_alive():
            done: Future[None] = Future()
            self.submit((), done)
            done.result()

    def _check(self) -> None:
        if self._is_closed:
            raise JournalError(f"the journal {self.path} is closed")
        if self.pid != _here[0]:
            raise JournalError(f"the journal {self.path} was opened before this process was forked; open it again")

    def _commit(self, line: sqlite3.Connection, statements: Sequence[Statement]) -> None:
        """One transaction; of a single statement the one that SQLite makes by itself."""
        if len(statements) == 1:
            _run(line, statements[0])
            return
        line.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                _run(line, statement)
            line.execute("COMMIT")
        except BaseException:
            if line.in_transaction:
                line.execute("ROLLBACK")
            raise

    # the file's thread -----------------------------------------------------------------------------------------------
    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._serve, name=f"pocketflex-journal-{self.path.name}", daemon=True)
            self._thread.start()

    def _wake(self) -> None:
        with self._woken:
            self._start()
            self._woken.notify()

    def _serve(self) -> None:
        line = self._connect("NORMAL")
        try:
            while True:
                with self._woken:
                    self._await_work()
                    if self._is_closed and not self._queue:
                        break
                    work = [self._queue.popleft() for _ in range(len(self._queue))]
                    self._batched_at = 0.0
                    self._is_committing = bool(work)  # what comes now may rest on what is committed: it waits its turn
                if work:
                    self._commit_all(line, work)
                    self._is_committing = False
                self._renew(line)
                if self._since >= _LOOK_EVERY:
                    self._since = 0
                    self._shorten(line)
        finally:
            line.close()

    def _shorten(self, line: sqlite3.Connection) -> None:
        """Move the pages of a long write-ahead log into the file. What goes on writing meanwhile would let it grow for ever."""
        log = self.path.with_name(self.path.name + "-wal")
        with contextlib.suppress(OSError, sqlite3.Error):
            if log.stat().st_size > _LONG:
                line.execute("PRAGMA wal_checkpoint(PASSIVE)")
            if log.stat().st_size > _LONGEST:
                with self._using:  # not for long: nearly all is moved
                    line.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _await_work(self) -> None:
        """Wait for something to commit, or for the time to renew leases. The condition is held."""
        while True:
            now = time.monotonic()
            if self._is_closed or self._since >= _LOOK_EVERY or (self._held and now >= self._renew_at):
                return
            wait = self._renew_at - now if self._held else None
            if self._queue:
                left = self._batched_at + _BATCH - now if self._batched_at > 0 else 0.0
                if left <= 0:
                    return
                wait = left if wait is None else min(wait, left)
            self._woken.wait(wait)

    def _commit_all(self, line: sqlite3.Connection, work: list[tuple[Sequence[Statement], _Waiter, bool]]) -> None:
        """Commit all that waits in one transaction. One who lost its run fails alone."""
        until = time.monotonic() + _PATIENCE
        refused: dict[int, JournalError] = {}
        while True:
            try:
                line.execute(f"PRAGMA synchronous = {'FULL' if any(power for *_, power in work) else 'NORMAL'}")
                line.execute("BEGIN IMMEDIATE")
                for number, (statements, _, _) in enumerate(work):
                    if number not in refused:
                        try:
                            for statement in statements:
                                _run(line, statement)
                        except RunHeld as exc:
                            refused[number] = exc
                            raise
                line.execute("COMMIT")
            except RunHeld:
                line.execute("ROLLBACK")
                continue
            except sqlite3.Error as exc:
                if line.in_transaction:
                    line.execute("ROLLBACK")
                if is_busy(exc) and time.monotonic() < until:
                    time.sleep(0.002)
                    continue
                error = _translated(exc, self.path)
                if any(done is None for _, done, _ in work):
                    self._failed = error
                _resolve([(done, error) for _, done, _ in work])
                return
            break
        self._since += len(work)
        _resolve([(done, refused.get(number)) for number, (_, done, _) in enumerate(work)])

    # who holds which run ---------------------------------------------------------------------------------------------
    def take(self, run: int) -> int:
        """Hold a run, so that nobody else writes to it; returns the token that its writes carry.

        Raises
        ------
        RunHeld
            Another process holds it, and lives.
        """
        def refused(by: str) -> RunHeld:
            return RunHeld(f"run {run} of {self.path} {f'is held by {by}' if by else 'goes on in this process already'}")

        return self.hold(
            run, "SELECT l.owner, o.until, o.lease FROM leases l LEFT JOIN owners o USING (owner) WHERE l.run = ?",
            lambda do: int(do(_TAKEN, (run, self._owner)).fetchone()[0]), refused,
        )

    @property
    def owner(self) -> str:
        """The name of this process."""
        return self._owner

    def hold(
        self, what: int | str, holder: str, take: Callable[[Callable[..., sqlite3.Cursor]], int], refused: Callable[[str], JournalError],
        patience: float = _PATIENCE,
    ) -> int:
        """Hold a run or an agent, unless somebody does who lives; the token.

        Parameters
        ----------
        holder : str
            The query for owner, end and length of the lease of `what`.
        take : callable
            Writes the new owner within the transaction; gives the token.
        refused : callable
            The error for a holder who is named in words; by ``""`` for this process.
        patience : float
            Seconds to wait for the writers of other processes.
        """
        with self._transaction(patience) as do:
            found = do(holder, (what,)).fetchone()
            if found is not None:
                owner, until, lease = found
                if owner == self._owner and what in self._held:
                    raise refused("")
                left = lease_left(until, lease)
                if owner != self._owner and left and not is_surely_dead(owner):
                    raise refused(f"{owner_text(owner)}; stop it there, or wait: it is free {left:.0f} s after that one has ended")
            do("INSERT OR REPLACE INTO owners VALUES (?, ?, ?)", (self._owner, time.monotonic() + LEASE, LEASE))
            token = take(do)
        self._held.add(what)
        self._renew_at = time.monotonic() + LEASE / 3
        self._wake()
        return token

    def let_go(self, what: int | str, statement: Statement) -> None:
        """Hold a run or an agent no longer; `statement` says so in the file, when it can."""
        self._held.discard(what)
        with contextlib.suppress(JournalError):
            self.submit([statement], None, "batch")

    def release(self, run: int, token: int) -> None:
        """Let a run go: it is over, or somebody else shall go on with it."""
        with contextlib.suppress(JournalError):
            self.submit([self.release_statement(run, token)], None, "batch")

    def release_statement(self, run: int, token: int) -> Statement:
        """What lets a run go, for the end of its last transaction."""
        self._held.discard(run)
        return "UPDATE leases SET owner = '' WHERE run = ? AND token = ?", (run, token), False

    def _renew(self, line: sqlite3.Connection) -> None:
        if self._held and time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + LEASE / 3
            with contextlib.suppress(sqlite3.Error):  # the next time; a lease lasts three of them
                line.execute("INSERT OR REPLACE INTO owners VALUES (?, ?, ?)", (self._owner, time.monotonic() + LEASE, LEASE))

    # other work ------------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _transaction(self, patience: float = _PATIENCE) -> Iterator[Callable[..., sqlite3.Cursor]]:
        """A transaction that begins with the file's write lock; waits so many seconds for other writers."""
        until = time.monotonic() + patience
        with self._using:
            self._check()
            while True:
                try:
                    self._line.execute("BEGIN IMMEDIATE")
                    break
                except sqlite3.Error as exc:
                    if not is_busy(exc) or time.monotonic() > until:
                        raise _translated(exc, self.path) from exc
                time.sleep(0.002)
            try:
                yield self._line.execute
                self._line.execute("COMMIT")
            except sqlite3.Error as exc:
                if self._line.in_transaction:
                    self._line.execute("ROLLBACK")
                raise _translated(exc, self.path) from exc
            except BaseException:
                if self._line.in_transaction:
                    self._line.execute("ROLLBACK")
                raise

    def begin(self, name: str, begun: float, header: str, crc: Callable[[int], int]) -> int:
        """Insert a run; its number."""
        with self._transaction() as do:
            number = int(do("SELECT coalesce(max(id), 0) + 1 FROM runs").fetchone()[0])
            do("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", (number, name, begun, header, crc(number)))
        return number

    transaction = _transaction

    def read(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """The rows of a query."""
        with self._using:
            self._check()
            try:
                return self._line.execute(sql, values).fetchall()
            except sqlite3.Error as exc:
                if "decode to UTF-8" not in str(exc):
                    raise _translated(exc, self.path) from exc
            self._line.text_factory = _readable  # a byte of a text is not what was written: the row's checksum tells which
            try:
                return self._line.execute(sql, values).fetchall()
            except sqlite3.Error as exc:
                raise _translated(exc, self.path) from exc
            finally:
                self._line.text_factory = str

    def is_same(self) -> bool:
        """Whether the file at the path is still the one that was opened."""
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return self._identity == (status.st_dev, status.st_ino)

    def vacuum(self) -> None:
        """Give the room of what was removed back to the file system."""
        with self._using:
            self._check()
            try:
                self._line.execute("VACUUM")
                self._line.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as exc:
                raise _translated(exc, self.path) from exc

    def close(self) -> None:
        """Commit what waits, move the write-ahead log into the file, and close it."""
        with self._woken:
            if self._is_closed:
                return
            self._is_closed = True
            self._woken.notify()
        if self._thread is not None and self.pid == os.getpid():
            self._thread.join(_PATIENCE)
        with self._using:
            if self.pid == os.getpid():
                with contextlib.suppress(sqlite3.Error):
                    self._line.execute("DELETE FROM owners WHERE owner = ?", (self._owner,))
                    self._line.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._line.close()
        with _opening:
            if _open.get(_key(self.path)) is self:
                del _open[_key(self.path)]


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _run(line: sqlite3.Connection, statement: Statement) -> None:
    sql, values, must_change = statement
    if line.execute(sql, values).rowcount != 1 and must_change:
        raise RunHeld("the run is held by another process now: this one was away for longer than its lease, and what it does is not kept")


def _in_wal_mode(line: sqlite3.Connection) -> str:
    """Set a file to write-ahead logging; its mode then. The change waits for nobody by itself."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return str(line.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as exc:
            if not is_busy(exc) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _resolve(outcomes: list[tuple[_Waiter, JournalError | None]]) -> None:
    """Tell those who wait; those of one loop with one call to it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[None], JournalError | None]]] = {}
    for done, error in outcomes:
        if isinstance(done, Future):
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
        elif done is not None:
            by_loop.setdefault(done.get_loop(), []).append((done, error))
    for loop, waiting in by_loop.items():
        with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits
            loop.call_soon_threadsafe(_settle, waiting)


def _settle(waiting: list[tuple[asyncio.Future[None], JournalError | None]]) -> None:
    for done, error in waiting:
        if not done.done():
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)


def _translated(exc: sqlite3.Error, path: Path) -> JournalError:
    """An SQLite error as one that says how to mend it."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return JournalError(f"the disk of the journal {path} is full; make room, and resume the runs: what was recorded is kept")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return JournalError(f"others wrote to the journal {path} for {_PATIENCE:g} s on end; is one of them stopped inside of a write?")
    if code == sqlite3.SQLITE_READONLY:
        return JournalError(f"the journal {path} became read-only, or was moved; put it back, and resume the runs")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return JournalError(f"the journal {path} is damaged ({exc}); open_journal({str(path)!r}) reads what is sound")
    return JournalError(f"the journal {path} cannot be used: {exc}")


_open: dict[str, JournalFile] = {}
_opening = threading.Lock()


def _key(path: Path) -> str:
    return str(path)


def known_file(path: str | os.PathLike[str]) -> JournalFile | None:
    """The journal at `path`, if this process has it open."""
    where = Path(path).expanduser()
    known = _open.get(_key(where.parent.resolve() / where.name))
    return known if known is not None and known.pid == os.getpid() and not known._is_closed and known.is_same() else None


def opened_file(path: str | os.PathLike[str]) -> JournalFile:
    """The journal at `path`, opened once in this process, and again when the file was removed or replaced or the process forked."""
    where = Path(path).expanduser()
    where = where.parent.resolve() / where.name
    with _opening:
        if (known := known_file(where)) is not None:
            return known
        made = _open[_key(where)] = JournalFile(where)
        return made


def known_files() -> list[JournalFile]:
    """The journals that this process has open."""
    return [file for file in list(_open.values()) if file.pid == os.getpid() and not file._is_closed]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _here.__setitem__(0, os.getpid()))


@atexit.register
def _close_all() -> None:
    """What waits is committed when Python exits."""
    for file in list(_open.values()):
        with contextlib.suppress(Exception):
            file.close()
