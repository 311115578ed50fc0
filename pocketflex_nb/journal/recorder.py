"""`RunRecorder`: what a running flow writes into its journal, and what it finds there of an earlier process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.errors import EncodingError, RecordedError
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.journal.blobs import LARGE
from pocketflex_nb.journal.file_format import RUN_BITS, checksum
from pocketflex_nb.journal.history import History
from pocketflex_nb.journal.journal_file import Durability, JournalFile, Statement
from pocketflex_nb.journal.owner import owner_name
from pocketflex_nb.journal.row_kinds import Kind, Row, action_json, changes_json, kept_json, pairs_json
from pocketflex_nb.journal.tally import Tally

__all__ = ["RunRecorder", "begun", "resumed"]

_Changes = Iterable[tuple[str, Mapping[Any, Any], Iterable[Any]]]
_RECORD = "INSERT INTO records SELECT ?1, ?2, ?3, ?4, ?5 FROM leases WHERE run = ?6 AND token = ?7"
_ANSWER = "INSERT INTO answers SELECT ?1, ?2, ?3, ?4, ?5 FROM leases WHERE run = ?6 AND token = ?7"
_BLOB = "INSERT INTO blobs VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO UPDATE SET kept = ?3"


class RunRecorder:
    """The writing side of one run. Its methods may be called from any thread; what is awaited is never the disk of somebody else.

    Parameters
    ----------
    file : JournalFile
        Where it writes.
    run, token : int
        Its number, and what its writes carry: those of a process that lost the run change nothing.
    durability : {"node", "power", "batch"}
        What a write waits for.
    transient : frozenset
        Keys of the store that are not kept.
    begun : float
        When it was launched, in seconds since 1970.
    history : History, optional
        What an earlier process has recorded.

    Attributes
    ----------
    unkept : set of str
        Addresses whose results could not be kept: their calls run again after a crash.
    """

    def __init__(
        self, file: JournalFile, run: int, token: int, durability: Durability, transient: frozenset[Any], begun: float,
        history: History | None = None,
    ) -> None:
        self.file, self.run, self.token, self.durability, self.transient = file, run, token, durability, transient
        self.history = history
        self._zero = perf_counter() - (time.time() - begun)  # from here on no setting of the clock moves what is recorded
        base = run << RUN_BITS
        self._numbers = count(base + 1 + (0 if history is None else history.last))
        self._answers = count(base + 1 + (0 if history is None else history.last_answer))
        self.unkept: set[str] = set()
        self._tally = Tally() if history is None else Tally(history.rows)
        self._contents: dict[str, dict[Any, Any]] | None = None

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.file.path

    # what is known ---------------------------------------------------------------------------------------------------
    def finished(self, address: str) -> Row | None:
        """The record of a visit that an earlier process has finished."""
        return None if self.history is None else self.history.finished.get(address)

    def result(self, address: str) -> Row | None:
        """The record of an `exec`, or of an item's, that an earlier process has finished."""
        return None if self.history is None else self.history.results.get(address)

    def attempts(self, address: str) -> int:
        """How many attempts of `exec` are spent there."""
        return 0 if self.history is None else self.history.attempts.get(address, 0)

    def inner_hops(self, address: str) -> int:
        """How many visits inside of a finished one were recorded."""
        return 0 if self.history is None else self.history.inner[address]

    def answer(self, address: str, number: int) -> tuple[bool, Any]:
        """Whether an answer was given there, and the answer; `number` counts the questions of one attempt from 1."""
        text = None if self.history is None else self.history.answers.get((address, number))
        return (False, None) if text is None else (True, decode(text, unloaded="keep"))

    def asked_number(self, where: str, number: int) -> int:
        """The number that a question had in an earlier process; 0: it was not asked there."""
        return 0 if self.history is None else self.history.questions().get((where, number), 0)

    def begun_content(self, address: str) -> tuple[dict[Any, Any], dict[str, Any]] | None:
        """What a store at `address` holds now that an earlier process has begun, and what was kept beside it."""
        row = None if self.history is None else self.history.contents.get(address)
        if row is None or self.history is None:
            return None
        more = {name: row.value(name) for name in row.data if name not in ("all", "c")}
        if self._contents is None:
            self._contents = self.history.private_contents()
        return self._contents.pop(address, {}), more

    # records ---------------------------------------------------------------------------------------------------------
    def leave_out(self, keys: frozenset[Any]) -> None:
        """Keep these keys of stores out of the journal from now on, too."""
        self.transient |= keys

    def hop(
        self, address: str, action: object, changes: _Changes, *, seconds: float = 0.0, usage: tuple[float, float] | None = None,
        origin: str = "",
    ) -> list[Statement]:
        """A finished node: one transaction. `origin`: ``"cached"`` or ``"taped"`` when its results were taken from there."""
        more = f'{_spent(usage)},"{origin}":true' if origin else _spent(usage)
        parts = list(changes)
        did, changed = action_json(action), changes_json(parts, self.transient)
        body = f'{{"a":{did},"c":{changed},"s":{seconds:.6g}{more}}}'
        told = 0 if changed == "[]" else 1 if len(parts) == 1 else len(json.loads(changed))
        sums = self._tally.hop(address, did, seconds, 1 + told, usage)
        if sums is not None:  # first: they stand for what comes before
            return [*self._record(Kind.SUMS, "", sums), *self._record(Kind.HOP, address, body, is_timed=True)]
        return self._record(Kind.HOP, address, body, is_timed=True)

    def failed(self, address: str, error: BaseException, told: str, changes: _Changes, *, seconds: float = 0.0) -> list[Statement]:
        """A node whose error edge is taken."""
        kind = error.kind if isinstance(error, RecordedError) else f"{type(error).__module__}:{type(error).__qualname__}"
        body = {"error": told, "class": kind}
        text = json.dumps(body, ensure_ascii=False)[:-1] + f',"c":{changes_json(changes, self.transient)},"s":{seconds:.6g}}}'
        return self._record(Kind.FAILED, address, text, is_timed=True)

    def kept_result(
        self, address: str, value: object, *, is_item: bool = False, usage: tuple[float, float] | None = None, changes: _Changes = ()
    ) -> list[Statement]:
        """What `exec` gave, before `post` begins; nothing when it cannot be kept, which is noted in `unkept`."""
        try:
            text = kept_json(value, (), "")
        except EncodingError:
            self.unkept.add(address)
            return []
        also = changes_json(changes, self.transient)
        also = "" if also == "[]" else f',"c":{also}'
        return self._record(Kind.ITEM if is_item else Kind.RESULT, address, f'{{"e":{text}{also}{_spent(usage)}}}')

    def attempt(self, address: str, number: int, told: str) -> list[Statement]:
        """A failed attempt that another one follows; `number` counts from 0."""
        return self._record(Kind.ATTEMPT, address, json.dumps({"n": number, "error": told}, ensure_ascii=False), is_timed=True)

    def noted(self, events: Iterable[tuple[str, str, bool, float, Mapping[str, Any]]]) -> list[Statement]:
        """What steps told and did: of each event its kind, address, whether it is a node's, when (`perf_counter`), and its facts."""
        told = ",".join(
            f"[{json.dumps(kind)},{json.dumps(address, ensure_ascii=False)},{int(is_node)},{when - self._zero:.6f},{_facts_json(facts)}]"
            for kind, address, is_node, when, facts in events
        )
        return self._record(Kind.NOTED, "", f'{{"n":[{told}]}}') if told else []

    def content(self, address: str, content: Mapping[Any, Any], *, more: Mapping[str, Any] | None = None) -> list[Statement]:
        """What a store at `address` begins with."""
        body = f'{{"all":true,"c":{changes_json([(address, content, list(content))], self.transient)}'
        for name, value in (more or {}).items():
            body += f",{json.dumps(name)}:{kept_json(value, (name,), 'give values that can be kept')}"
        return self._record(Kind.CONTENT, address, body + "}")

    def answered(self, address: str, number: int, value: object) -> list[Statement]:
        """An answer, before the run goes on with it."""
        text = kept_json(value, ("the answer",), "answer with what can be kept")
        blobs: list[Statement] = []
        text = self._small(text, blobs)
        row = next(self._answers), address, number, text
        return [*blobs, (_ANSWER, (*row, checksum(*row), self.run, self.token), True)]

    def over(self, status: str, action: object, told: str | None, changes: _Changes = ()) -> list[Statement]:
        """The end of the run, with what it changed after its last node."""
        text = f'"a":{action_json(action)},"error":{json.dumps(told, ensure_ascii=False)},"c":{changes_json(changes, self.transient)}'
        return self._record(Kind.END, "", f'{{"status":"{status}",{text},"t":{time.time()!r}}}')

    def _record(self, kind: Kind, address: str, body: str, *, is_timed: bool = False) -> list[Statement]:
        blobs: list[Statement] = []
        if len(body) > LARGE:  # without the time, so that equal ones are one file
            body = self._small(body, blobs)
        elif is_timed:  # in seconds since the run was launched
            body = f'{body[:-1]},"t":{perf_counter() - self._zero:.6f}}}'
        row = next(self._numbers), int(kind), address, body
        return [*blobs, (_RECORD, (*row, checksum(*row), self.run, self.token), True)]

    def _small(self, body: str, blobs: list[Statement]) -> str:
        """A body whose large parts are files beside the journal."""
        if len(body) <= LARGE:
            return body
        mention, digest, size = self.file.blobs.keep(body)
        blobs.append((_BLOB, (digest, size, time.time()), False))
        return mention

    # writing ---------------------------------------------------------------------------------------------------------
    async def save(self, statements: Sequence[Statement]) -> None:
        """Commit them; returns when they are as durable as was asked for. The loop goes on meanwhile.

        Raises
        ------
        JournalError
            They were not committed: the disk is full, another process holds the run.
        """
        if not statements:
            return
        if self.durability == "node" and self.file.try_write(statements):
            return
        if self.durability == "batch":
            self.file.submit(statements, None, "batch")
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.file.submit(statements, done, self.durability)
        await done

    def save_now(self, statements: Sequence[Statement]) -> None:
        """`save` from plain code, in a thread that may wait."""
        if statements:
            self.file.write(statements, self.durability)

    def save_soon(self, statements: Sequence[Statement]) -> None:
        """Commit them within 50 ms; nobody waits for it."""
        if statements:
            self.file.submit(statements, None, "batch")

    def end_soon(self, statements: Sequence[Statement]) -> None:
        """Commit the last statements and let the run go; nobody waits for it."""
        self.file.submit([*statements, self.file.release_statement(self.run, self.token)], None, "batch")

    def close(self) -> None:
        """Let the run go."""
        self.file.release(self.run, self.token)


def _facts_json(facts: Mapping[str, Any]) -> str:
    """The facts of an event as JSON; what cannot be kept as its text."""
    return f"{{{','.join(f'{json.dumps(str(name), ensure_ascii=False)}:{_fact_json(value)}' for name, value in facts.items())}}}"


def _fact_json(value: object) -> str:
    try:
        return kept_json(value, (), "")
    except EncodingError:
        if isinstance(value, Mapping):
            return _facts_json(value)
        return json.dumps(value.__name__ if isinstance(value, type) else value_text(value, 200), ensure_ascii=False)


def _spent(usage: tuple[float, float] | None) -> str:
    return f',"u":[{usage[0]!r},{usage[1]!r}]' if usage else ""


def begun(
    file: JournalFile, name: str, header: Mapping[str, Any], store: Mapping[Any, Any], transient: frozenset[Any], durability: Durability
) -> RunRecorder:
    """A new run of the journal: its header is written, and this process holds it.

    Raises
    ------
    EncodingError
        The store holds what cannot be kept.
    """
    text = json.dumps(dict(header) | {"owner": owner_name(), "durability": durability}, ensure_ascii=False)[:-1]
    text += f',"store":{pairs_json(store, list(store), transient)}}}'
    if len(text) > LARGE:
        text = file.blobs.keep(text)[0]
    when = time.time()
    run = file.begin(name, when, text, lambda number: checksum(number, name, when, text))
    return RunRecorder(file, run, file.take(run), durability, transient, when)


def resumed(
    file: JournalFile, run: int, durability: Durability, transient: frozenset[Any], changed: Sequence[str], known: History | None = None
) -> RunRecorder:
    """A run that an earlier process left: this one holds it from now on. `known` is what was read of it just now.

    Raises
    ------
    RunHeld
        Another process holds it, and lives.
    """
    token = file.take(run)
    bounds = run << RUN_BITS, (run + 1) << RUN_BITS
    last = file.read("SELECT max(at) FROM records WHERE at > ? AND at < ?", bounds)[0][0]
    if known is None or (run << RUN_BITS) + known.last != (last or bounds[0]):  # somebody has gone on with it since
        known = History(file, run)
    recorder = RunRecorder(file, run, token, durability, transient, known.begun, known)
    body = json.dumps({"owner": owner_name(), "t": time.time(), "changed": list(changed)}, ensure_ascii=False)
    recorder.save_now(recorder._record(Kind.RESUMED, "", body))
    return recorder
