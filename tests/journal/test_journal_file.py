"""The journal's file: durable, held by one process for each run, refused where it cannot be kept, read as far as it is sound."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.errors import EncodingError, JournalError, RunHeld
from pocketflex_nb.journal import file_format, journal_file, owner
from pocketflex_nb.journal.blobs import LARGE
from pocketflex_nb.journal.file_format import APPLICATION_ID, FORMAT, check_place, file_system_of
from pocketflex_nb.journal.journal import Journal
from pocketflex_nb.journal.journal_file import JournalFile, opened_file
from pocketflex_nb.journal.owner import is_surely_dead, lease_left, owner_name
from pocketflex_nb.journal.recorder import RunRecorder, begun, resumed

NONE: frozenset[Any] = frozenset()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "runs.sqlite"
    yield where
    for file in list(journal_file._open.values()):
        if file.path.parent == tmp_path:
            file.close()


def _begun(path: Path, name: str = "night", store: dict[str, Any] | None = None, **options: Any) -> RunRecorder:
    settings: dict[str, Any] = {"durability": "node", "transient": NONE} | options
    return begun(opened_file(path), name, {"flow": "report"}, store or {}, settings["transient"], settings["durability"])


def _hops(recorder: RunRecorder, numbers: range) -> None:
    for number in numbers:
        recorder.save_now(recorder.hop(f"report/work#{number}", "again", [("", {"n": number}, ["n"])]))


@pytest.mark.parametrize("durability", ["node", "power", "batch"])
def test_what_was_recorded_is_read_again_by_another_process(path: Path, durability: str) -> None:
    recorder = _begun(path, store={"topic": "tides", "n": (0,)}, durability=durability)
    recorder.save_now(recorder.kept_result("report/work#1", {"text": b"bytes"}))
    _hops(recorder, range(1, 4))
    recorder.save_now(recorder.hop("report/work#4", None, [("", {}, ["topic"])], usage=(12, 0.5), seconds=1.5))
    recorder.save_now(recorder.answered("report/ask#1", 1, "yes"))
    recorder.save_now(recorder.over("done", "again", None))
    recorder.close()

    code = (
        "import sys, json; from pocketflex_nb.journal.journal import Journal; h = Journal(sys.argv[1]).history('night'); "
        "print(json.dumps([h.status, h.hops, h.usage, h.seconds, h.content(), h.content(hops=2), len(h.answers), h.missing, "
        "h.results['report/work#1'].value('e') == {'text': b'bytes'}, h.finished['report/work#4'].data['a']], default=str))"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=60).stdout
    status, hops, usage, seconds, now, early, answers, missing, result, action = json.loads(told)

    assert (status, hops, usage, seconds, answers, missing, result, action) == ("done", 4, [12, 0.5], 1.5, 1, [], True, None)
    assert now == {"n": 3}
    assert early == {"topic": "tides", "n": 2}


_WRITER = """
import sys
from pathlib import Path
from pocketflex_nb.journal.journal_file import opened_file
from pocketflex_nb.journal.recorder import begun
recorder = begun(opened_file(Path(sys.argv[1])), "night", {}, {}, frozenset(), sys.argv[2])
number = 0
while True:
    number += 1
    recorder.save_now(recorder.hop(f"work#{number}", "again", [("", {"n": number}, ["n"])]))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("durability", ["node", "power"])
def test_a_killed_process_loses_nothing_that_it_was_told_is_kept(path: Path, durability: str) -> None:
    for _ in range(3):
        command = [sys.executable, "-c", _WRITER, str(path), durability]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(random.uniform(0.01, 0.3))
            child.send_signal(signal.SIGKILL)
            told = child.stdout.read().split()
        last = int(told[-1]) if told else 1

        history = Journal(path).history("night")

        assert history.hops in (last, last + 1)
        assert history.content()["n"] == history.hops
        assert history.status == "unfinished"


def test_a_loop_goes_on_while_the_disk_is_waited_for(path: Path) -> None:
    async def main() -> tuple[int, int]:
        recorders = [_begun(path, f"run {n}", durability="power") for n in range(20)]
        turns, is_over = 0, False

        async def turn() -> None:
            nonlocal turns
            while not is_over:
                turns += 1
                await asyncio.sleep(0)

        async def walk(recorder: RunRecorder) -> None:
            for number in range(20):
                await recorder.save(recorder.hop(f"work#{number}", "again", []))

        turning = asyncio.ensure_future(turn())
        await asyncio.gather(*map(walk, recorders))
        is_over = True
        await turning
        return turns, sum(history.hops for history in Journal(path).histories())

    turns, hops = asyncio.run(main())

    assert hops == 400
    assert turns > 20


def test_writes_of_many_threads_and_connections_wait_for_each_other(path: Path) -> None:
    other = JournalFile(path)
    recorders = [_begun(path, f"run {n}") for n in range(3)]
    recorders.append(begun(other, "other", {}, {}, NONE, "node"))
    threads = [threading.Thread(target=_hops, args=(recorder, range(100))) for recorder in recorders]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [history.hops for history in Journal(path).histories()] == [100] * 4
    other.close()


# values ---------------------------------------------------------------------------------------------------------------
def test_what_cannot_be_kept_is_told_with_its_path_and_the_mend(path: Path) -> None:
    recorder = _begun(path)

    with pytest.raises(EncodingError, match=r"notes\.deep\[0\].*Store\(transient=\{'notes'\}\)") as caught:
        recorder.hop("work#1", "again", [("", {"notes": {"deep": [object()]}}, ["notes"])])
    assert caught.value.path == ("notes", "deep", 0)
    with pytest.raises(EncodingError, match="client"):
        _begun(path, store={"client": object()})

    assert _begun(path, "ok", store={"client": object(), "n": 1}, transient=frozenset({"client"})).run
    assert Journal(path).history("ok").content() == {"n": 1}


def test_a_result_that_cannot_be_kept_is_noted_and_nothing_is_written(path: Path) -> None:
    recorder = _begun(path)

    assert recorder.kept_result("work#1", object()) == []
    assert recorder.unkept == {"work#1"}


def test_large_values_are_files_beside_the_journal_once_for_equal_ones(path: Path) -> None:
    recorder, large = _begun(path, store={"big": "x" * LARGE}), "ü" * LARGE
    for number in (1, 2):
        recorder.save_now(recorder.hop(f"work#{number}", "again", [("", {"draft": large}, ["draft"])]))
    recorder.save_now(recorder.answered("work#1", 1, large))

    assert len(list(recorder.file.blobs.folder.iterdir())) == 3
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in recorder.file.blobs.folder.iterdir())
    assert Journal(path).history("night").content() == {"big": "x" * LARGE, "draft": large}
    assert path.stat().st_size + path.with_name(path.name + "-wal").stat().st_size < LARGE


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_large_value_that_is_gone_is_told(path: Path, how: str) -> None:
    recorder = _begun(path)
    recorder.save_now(recorder.hop("work#1", "again", [("", {"draft": "x" * LARGE}, ["draft"])]))
    (file,) = recorder.file.blobs.folder.iterdir()
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(b"y" + file.read_bytes()[1:])

    with pytest.raises(JournalError, match=how):
        Journal(path).history("night")


def test_a_hop_costs_at_most_300_bytes_beside_its_values(path: Path) -> None:
    recorder = _begun(path, store={f"key {n}": n for n in range(100)})
    recorder.file.close()
    before = path.stat().st_size
    recorder = resumed(opened_file(path), 1, "node", NONE, [])
    _hops(recorder, range(2_000))
    recorder.file.close()

    assert (path.stat().st_size - before) / 2_000 < 300


# who holds a run ------------------------------------------------------------------------------------------------------
def test_a_run_belongs_to_one_process_and_is_free_when_that_has_ended(path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(path), "node"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(RunHeld, match=f"process {child.pid}"):
            resumed(opened_file(path), 1, "node", NONE, [])
        assert Journal(path).unfinished() == []
        child.kill()
        child.stdout.read()

    assert Journal(path).unfinished() == [1]
    recorder = resumed(opened_file(path), 1, "node", NONE, [])
    with pytest.raises(RunHeld, match="in this process"):
        resumed(opened_file(path), 1, "node", NONE, [])
    assert recorder.finished("work#1") is not None
    _hops(recorder, range(100_000, 100_002))
    assert Journal(path).history(1).finished["report/work#100001"].number == recorder.history.last + 3  # type: ignore[union-attr]


def test_what_a_process_writes_after_it_lost_a_run_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = _begun(path)
    _hops(late, range(1, 3))
    with late.file.transaction() as do:
        do("UPDATE leases SET token = token + 1, owner = 'somebody else'")

    for durability in ("node", "power"):
        late.durability = durability  # type: ignore[assignment]
        with pytest.raises(RunHeld, match="away for longer"):
            _hops(late, range(3, 4))

    assert Journal(path).history(1).hops == 2


def test_one_who_lost_a_run_keeps_nobody_of_the_same_commit_from_writing(path: Path) -> None:
    late, good = _begun(path, "late"), _begun(path, "good")
    with late.file.transaction() as do:
        do("UPDATE leases SET token = token + 1 WHERE run = 1")

    async def main() -> list[Any]:
        saving = [recorder.save(recorder.hop("work#1", "again", [])) for recorder in (late, good, late, good)]
        late.durability = good.durability = "power"
        return await asyncio.gather(*saving, return_exceptions=True)

    outcomes = asyncio.run(main())

    assert [isinstance(outcome, RunHeld) for outcome in outcomes] == [True, False, True, False]
    assert Journal(path).history("good").hops == 2


@pytest.mark.parametrize(("until", "is_over"), [(1_005.0, False), (999.0, True), (5_000.0, True), ("soon", True), (None, True)])
def test_a_lease_goes_by_a_clock_that_nobody_sets_and_outlives_no_restart(
    until: Any, is_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner.time, "monotonic", lambda: 1_000.0)

    assert (lease_left(until, 10.0) == 0) is is_over


def test_a_process_that_is_there_is_not_dead_and_another_one_is() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        alive = owner_name().replace(f"|{os.getpid()}|", f"|{child.pid}|").replace(
            owner._started(os.getpid()), owner._started(child.pid)
        )
        assert not is_surely_dead(alive)
        child.kill()
        child.wait()
        assert is_surely_dead(alive)
    assert not is_surely_dead(owner_name())
    assert not is_surely_dead("")
    assert not is_surely_dead("another host|pid:[1]|1|1|kernel")


# refusals -------------------------------------------------------------------------------------------------------------
def _foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as line, line:
        line.execute("CREATE TABLE t (x)")


def _newer(path: Path) -> None:
    JournalFile(path).close()
    with contextlib.closing(sqlite3.connect(path)) as line, line:
        line.execute(f"PRAGMA user_version = {FORMAT + 1}")


REFUSED = {
    "no SQLite file": (lambda path: path.write_text("hello, this is a text"), "no SQLite file"),
    "an SQLite file of another program": (_foreign, "another program"),
    "a later format": (_newer, "update it"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_journal_is_refused_and_left_alone(what: str, path: Path) -> None:
    make, told = REFUSED[what]
    make(path)
    before = path.read_bytes() if path.is_file() else b""

    for opened in (opened_file, Journal):
        with pytest.raises(JournalError, match=told):
            opened(path)

    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_journal_that_is_not_there_is_told_with_the_nearest_name(path: Path) -> None:
    JournalFile(path).close()

    with pytest.raises(JournalError, match=r"did you mean 'runs\.sqlite'"):
        Journal(path.with_name("run.sqlite"))
    with pytest.raises(JournalError, match="create it"):
        opened_file(path.parent / "nowhere" / "runs.sqlite")


def test_a_network_file_system_is_refused(path: Path) -> None:
    mounts = path.with_name("mounts")
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/x {path.parent} nfs4 rw 0 0\nserver:/y {path.parent}/elsewhere cifs rw 0 0\n")

    with pytest.raises(JournalError, match=r"network file system \(nfs4\)"):
        check_place(path, str(mounts))
    assert file_system_of(Path("/x"), str(mounts)) == "ext4"
    assert file_system_of(path.parent / "elsewhere" / "x", str(mounts)) == "cifs"
    assert file_system_of(path, str(mounts) + "none") == ""


def test_a_read_only_place_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_format.os, "access", lambda where, mode: False)  # root may write everywhere

    with pytest.raises(JournalError, match="read-only"):
        opened_file(path)


def test_the_file_says_what_it_is_and_is_its_user_s_alone(path: Path) -> None:
    _begun(path)

    assert path.stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(path)) as line:
        assert line.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert line.execute("PRAGMA user_version").fetchone()[0] == FORMAT
        assert line.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_full_disk_is_told_and_what_was_recorded_is_kept(path: Path) -> None:
    recorder = _begun(path)
    _hops(recorder, range(1, 4))
    pages = recorder.file.read("PRAGMA page_count")[0][0]
    recorder.file.read(f"PRAGMA max_page_count = {pages}")  # as a disk without room

    with pytest.raises(JournalError, match="full"):
        recorder.save_now(recorder.hop("work#9", "again", [("", {"draft": "x" * 100_000}, ["draft"])]))

    assert Journal(path).history(1).hops == 3


def test_a_journal_opened_before_a_fork_is_not_written_by_the_child(path: Path) -> None:
    recorder = _begun(path)
    pid = os.fork()
    if pid == 0:
        try:
            _hops(recorder, range(1))
        except JournalError:
            os._exit(7)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    _hops(recorder, range(1))
    assert Journal(path).history(1).hops == 1


# damage ---------------------------------------------------------------------------------------------------------------
@pytest.fixture
def written(path: Path) -> Path:
    """A journal of three runs, closed."""
    for name in ("a", "b", "c"):
        recorder = _begun(path, name, store={"topic": name})
        _hops(recorder, range(1, 120))
        recorder.save_now(recorder.hop("report/long#1", "again", [("", {"draft": "x" * 20_000}, ["draft"])]))
        recorder.save_now(recorder.answered("report/ask#1", 1, "yes"))
        recorder.save_now(recorder.over("done", None, None))
        recorder.close()
    opened_file(path).close()
    return path


def _read_all(path: Path) -> tuple[int, int, list[str]]:
    """The numbers of runs and of records that can be read, and what is told to be missing."""
    journal = Journal(path)
    histories = list(journal.histories())
    missing = [*journal.missing, *(text for history in histories for text in history.missing)]
    rows = sum(len(history.rows) for history in histories)
    if isinstance(journal._file, JournalFile):
        journal._file.close()
    return len(histories), rows, missing


def test_a_file_cut_at_any_page_opens_as_far_as_it_is_sound(written: Path) -> None:
    whole = written.read_bytes()
    runs, rows, missing = _read_all(written)
    assert (runs, rows, missing) == (3, 3 * 121, [])
    found = []

    for end in range(4_096, len(whole), 4_096):
        written.write_bytes(whole[:end])
        try:
            runs, rows, missing = _read_all(written)
        except JournalError as exc:
            assert "no journal" in str(exc) or "damaged" in str(exc)  # noqa: PT017
            continue
        assert missing
        found.append(rows)

    assert found == sorted(found), "a longer file gives no fewer rows"
    assert found[-1] >= 3 * 121 - 60


def test_flipped_bytes_cost_the_rows_that_they_stand_in_at_most(written: Path) -> None:
    whole, chance = written.read_bytes(), random.Random(7)
    for _ in range(60):
        data = bytearray(whole)
        at = chance.randrange(100, len(data))
        data[at] ^= 1 << chance.randrange(8)
        written.write_bytes(data)

        runs, rows, missing = _read_all(written)

        assert rows >= 3 * 121 - 80
        assert runs >= 2
        if (runs, rows) != (3, 3 * 121):
            assert missing


def test_a_damaged_log_beside_the_file_costs_no_more_than_what_stands_in_it(path: Path) -> None:
    recorder = _begun(path)
    _hops(recorder, range(1, 50))
    data, log = path.read_bytes(), path.with_name(path.name + "-wal").read_bytes()
    copy = path.with_name("copy.sqlite")

    for end in range(0, len(log), len(log) // 20):
        copy.write_bytes(data)
        copy.with_name(copy.name + "-wal").write_bytes(log[:end])
        try:
            runs, rows, _ = _read_all(copy)
        except JournalError:
            continue
        assert runs <= 1
        assert rows <= 49


def test_a_damaged_journal_is_exported_and_not_written(written: Path, tmp_path: Path) -> None:
    data = bytearray(written.read_bytes())
    data[100:4_096] = bytes(4_096 - 100)
    written.write_bytes(data)

    journal = Journal(written)
    lines = [json.loads(line) for line in journal.export(tmp_path / "all.jsonl").read_text().splitlines()]

    assert journal.is_damaged
    assert len(lines) > 300
    with pytest.raises(JournalError, match="only read"):
        journal.prune(keep=0)


# care -----------------------------------------------------------------------------------------------------------------
def test_prune_removes_runs_that_are_over_with_all_that_is_theirs(written: Path) -> None:
    open_run = _begun(written, "open", store={"big": "y" * LARGE})
    over = _begun(written, "over", store={"big": "z" * LARGE})
    over.save_now(over.over("failed", None, "ValueError: x"))
    over.close()
    for file in open_run.file.blobs.folder.iterdir():
        os.utime(file, (1, 1))
    journal = Journal(written)

    assert journal.prune(keep=1) == 3
    assert [history.name for history in journal.histories()] == ["open", "over"]
    assert journal.prune(keep=0) == 1
    assert [history.name for history in journal.histories()] == ["open"]
    assert [file.read_text()[-20:] for file in open_run.file.blobs.folder.iterdir()] != []
    assert len(list(open_run.file.blobs.folder.iterdir())) == 1
    _hops(open_run, range(3))
    journal.vacuum()
    assert written.stat().st_size < 60_000
    assert Journal(written).history("open").content()["n"] == 2


def test_prune_by_age_and_its_arguments(written: Path) -> None:
    journal = Journal(written)

    assert journal.prune(older_than=1) == 0
    assert journal.prune(older_than=0) == 3
    for wrong in ({}, {"keep": -1}, {"older_than": -1}):
        with pytest.raises(ValueError, match="prune"):
            journal.prune(**wrong)


def test_the_write_ahead_log_stays_small(path: Path) -> None:
    recorder = _begun(path)
    for number in range(6_000):
        recorder.save_now(recorder.hop(f"work#{number}", "again", [("", {"text": "x" * 3_000}, ["text"])]))
    recorder.file.flush()

    assert path.with_name(path.name + "-wal").stat().st_size < 32 * 2**20
    recorder.file.close()
    assert not path.with_name(path.name + "-wal").exists()


def test_what_waits_in_a_batch_is_kept_within_a_moment_and_at_exit(path: Path) -> None:
    recorder = _begun(path, durability="batch")
    _hops(recorder, range(1, 4))
    recorder.file.flush()
    assert Journal(path).history(1).hops == 3

    code = _WRITER.replace("while True:", "while number < 50:")
    subprocess.run([sys.executable, "-c", code, str(path), "batch"], check=True, timeout=60, stdout=subprocess.DEVNULL)

    assert Journal(path).history(2).hops == 50
