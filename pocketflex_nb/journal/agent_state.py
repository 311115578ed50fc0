"""`AgentState`: the state of one agent in a file, between its restarts and its kernels."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from pocketflex_nb.core.errors import JournalError, RunHeld, StateHeld
from pocketflex_nb.journal.blobs import LARGE
from pocketflex_nb.journal.file_format import checksum
from pocketflex_nb.journal.journal_file import JournalFile, Statement

__all__ = ["AGENT_FORMAT", "AgentState", "forgotten", "taken"]

#: number of the format of a state's text
AGENT_FORMAT = 1
_SAVED = (
    "UPDATE agents SET format = ?3, class = ?4, saved = ?5, body = ?6, crc = ?7 WHERE key = ?1 AND token = ?2"
)
_BLOB = "INSERT INTO blobs VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO UPDATE SET kept = ?3"
_HOLDER = "SELECT a.owner, o.until, o.lease FROM agents a LEFT JOIN owners o USING (owner) WHERE a.key = ?"


class AgentState:
    """The state of one agent, which this process holds.

    Parameters
    ----------
    file : JournalFile
        Where it is.
    key : str
        Whose it is.
    token : int
        What its writes carry: those of an incarnation that lost it change nothing.
    """

    def __init__(self, file: JournalFile, key: str, token: int) -> None:
        self.file, self.key, self.token = file, key, token
        self._saved: str | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def read(self) -> str | None:
        """What was saved last; None when nothing was.

        Raises
        ------
        JournalError
            It is damaged, or of a later version.
        """
        rows = self.file.read("SELECT format, class, body, crc FROM agents WHERE key = ?", (self.key,))
        if not rows or rows[0][2] is None:
            return None
        version, name, body, crc = rows[0]
        if isinstance(version, int) and version > AGENT_FORMAT:
            raise JournalError(
                f"the state of agent {self.key!r} in {self.path} has format {version}; this version of pocketflex_nb reads up to "
                f"{AGENT_FORMAT}: update it (pip install -U pocketflex_nb)"
            )
        if crc != checksum(self.key, version, name, body):
            raise JournalError(f"the state of agent {self.key!r} in {self.path} is damaged")
        self._saved = self.file.blobs.filled(str(body))
        return self._saved

    async def save(self, text: str, name: str) -> None:
        """Write the state in one transaction, unless it is what was saved last. `name` is that of the agent's class.

        Raises
        ------
        StateHeld
            Another process holds it meanwhile.
        JournalError
            It could not be written.
        """
        if text == self._saved:
            return
        statements: list[Statement] = []
        now, body = time.time(), text
        if len(text) > LARGE:
            body, digest, size = self.file.blobs.keep(text)
            statements.append((_BLOB, (digest, size, now), False))
        values = self.key, self.token, AGENT_FORMAT, name, now, body, checksum(self.key, AGENT_FORMAT, name, body)
        statements.append((_SAVED, values, True))
        try:
            if not self.file.try_write(statements):
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self.file.submit(statements, done)
                await done
        except RunHeld as exc:
            raise StateHeld(
                f"the state of agent {self.key!r} in {self.path} is held by another process now: this one was away for longer than its "
                "lease, and what it does is not kept"
            ) from exc
        self._saved = text

    def release(self) -> None:
        """Let it go."""
        self.file.let_go(self.key, ("UPDATE agents SET owner = '' WHERE key = ? AND token = ?", (self.key, self.token), False))


def taken(file: JournalFile, key: str, patience: float = 30.0) -> AgentState:
    """Hold the state of an agent, so that nobody else writes it; waits so many seconds for the writers of other processes.

    Raises
    ------
    StateHeld
        Another process, or another agent of this one, holds it.
    """

    def held(by: str) -> StateHeld:
        return StateHeld(f"the state of agent {key!r} in {file.path} is held by {by or 'an agent of this process'}")

    def take(do: Callable[..., object]) -> int:
        sql = (
            "INSERT INTO agents (key, token, owner) VALUES (?1, 1, ?2) ON CONFLICT (key) DO UPDATE SET token = token + 1, owner = ?2 "
            "RETURNING token"
        )
        row: tuple[int] = do(sql, (key, file.owner)).fetchone()  # type: ignore[attr-defined]  # a cursor's
        return row[0]

    return AgentState(file, key, file.hold(key, _HOLDER, take, held, patience))


def forgotten(file: JournalFile, key: str) -> bool:
    """Remove the state of an agent, so that it starts clean; False when there is none.

    Raises
    ------
    StateHeld
        A living agent holds it.
    """
    state = taken(file, key)
    try:
        with file.transaction() as do:
            return bool(do("UPDATE agents SET body = NULL WHERE key = ? AND body IS NOT NULL", (key,)).rowcount)
    finally:
        state.release()
