"""What holds when the ones who share a store are processes: sums are exact, killed holders are followed, nothing told is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.errors import LockLost, Unreachable
from pocketflex_nb.resources.stores.open_store import open_store
from tests.environment import ROOT
from tests.resources.brokers import CarefulRedis, Redis
from tests.resources.conftest import url_of
from tests.resources.postgres_server import PostgresServer


@contextmanager
def worker(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process of :mod:`tests.resources.stores.store_workers`, ended with the block."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    line = [sys.executable, "-m", "tests.resources.stores.store_workers", *command]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def together(processes: int, *command: str, named: bool = False) -> None:
    """Run so many workers to their end, all begun together."""
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(*command, *([str(number)] if named else []))) for number in range(processes)]
        for process in workers:
            assert told(process) == "ready"
        for process in workers:
            go(process)
        for process in workers:
            assert told(process).startswith("done")


def slices() -> Any:
    """A short slice of each run always, the whole of it for `python -m tests stress`."""
    return pytest.mark.parametrize(("processes", "times"), [
        pytest.param(4, 150, id="slice"), pytest.param(8, 5_000, id="whole", marks=[pytest.mark.stress, pytest.mark.timeout(900)]),
    ])


@slices()
def test_increments_by_several_processes_are_exact(shared_url: str, processes: int, times: int) -> None:
    begin = time.perf_counter()

    together(processes, "count", shared_url, str(times))

    seconds = time.perf_counter() - begin
    with open_store(shared_url) as store:
        assert store["n"] == store.version == processes * times
    print(f"{shared_url.partition(':')[0]}: {processes} processes x {times} increments in {seconds:.1f} s, exact")


def test_updates_by_several_processes_lose_nothing_and_keep_each_ones_order(shared_url: str) -> None:
    together(3, "append", shared_url, "25", named=True)

    with open_store(shared_url) as store:
        notes = store["notes"]
    assert sorted(notes) == [[str(name), turn] for name in range(3) for turn in range(25)]
    assert [turn for name, turn in notes if name == "1"] == list(range(25))


def test_every_change_of_every_process_arrives_at_a_watch_in_order(shared_url: str) -> None:
    with open_store(shared_url) as store:
        seen = []
        done = threading.Event()
        store.subscribe(lambda change: (seen.append(change.new), done.set() if change.new == 200 else None), "n")

        together(2, "count", shared_url, "100")

        assert done.wait(30)
        assert seen == list(range(1, 201))
        assert len({change.kernel for change in store.history("n")}) == 2


# locks ---------------------------------------------------------------------------------------------------------------
def test_the_lock_of_a_killed_holder_ends_with_its_lease(shared_url: str) -> None:
    with open_store(shared_url) as store, worker("hold", shared_url, "1.0") as holder:
        assert told(holder) == "held 1"
        holder.kill()
        holder.wait(30)
        assert store.lock("k").is_held, "its lease goes on for a while"

        with store.lock("k", timeout=30) as lock:
            assert lock.token == 2
            store["holder"] = lock.token
            with store.fenced("k", 1), pytest.raises(LockLost):  # whoever still had the dead one's token
                store["holder"] = "late"

        assert store["holder"] == 2


def test_the_late_write_of_a_stopped_holder_is_refused(shared_url: str) -> None:
    with open_store(shared_url) as store, worker("hold", shared_url, "1.0") as holder:
        assert told(holder) == "held 1"
        holder.send_signal(signal.SIGSTOP)

        with store.lock("k", timeout=30) as lock:
            store["holder"] = lock.token
            go(holder)
            holder.send_signal(signal.SIGCONT)
            assert told(holder) == "LockLost"

        assert store["holder"] == 2


# what is told is kept ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rounds", [
    pytest.param(1, id="slice"), pytest.param(20, id="whole", marks=[pytest.mark.stress, pytest.mark.timeout(900)]),
])
def test_a_sqlite_file_whose_writers_are_all_killed_is_whole_and_lacks_nothing_told(tmp_path: Path, rounds: int) -> None:
    path = tmp_path / "killed.db"
    url = f"sqlite:///{path}"
    kept: dict[str, int] = {}
    total = 0
    for number in range(rounds):
        acknowledged: dict[str, list[int]] = {}
        with ExitStack() as stack:
            writers = {f"w{number}-{index}": None for index in range(4)}
            processes = {name: stack.enter_context(worker("write", url, name)) for name in writers}
            for process in processes.values():
                assert told(process) == "ready"
            for process in processes.values():
                go(process)
            for process in processes.values():  # all are in the midst of it
                for _ in range(30):
                    assert told(process)
            for process in processes.values():
                process.send_signal(signal.SIGKILL)
            for name, process in processes.items():
                assert process.stdout is not None
                lines = process.stdout.read().split("\n")[:-1]  # the last may be cut off
                acknowledged[name] = list(range(1, 31 + len(lines)))
        for name, turns in acknowledged.items():
            total += len(turns)
            for turn in turns:
                kept[f"{name}-{turn % 50}"] = turn

        checked = sqlite3.connect(path)
        assert checked.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        checked.close()
        with open_store(url) as store:
            now = dict(store.items())
            # a write that was done but not yet told may have come after
            assert {key: turn for key, turn in kept.items() if now[key] not in (turn, *range(turn + 1, turn + 100))} == {}
            assert total <= now["all"] <= total + 4 * (number + 1)
            versions = [change.version for change in store.history()]
            assert versions == list(range(store.version - len(versions) + 1, store.version + 1))
    print(f"sqlite: {rounds} rounds of 4 writers killed, {total} acknowledged turns, none missing")


class Restarting:
    """A thread that restarts a server again and again, until told to stop."""

    def __init__(self, restart: Any) -> None:
        self._restart, self._ended = restart, threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)
        self.count = 0

    def _go(self) -> None:
        while not self._ended.wait(0.3):
            self._restart()
            self.count += 1

    def __enter__(self) -> Restarting:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join(60)


@contextmanager
def _server(kind: str) -> Iterator[Any]:
    if kind == "redis":
        with CarefulRedis() as server:
            yield server
    else:
        postgres = PostgresServer(fsync=True)
        try:
            yield postgres.start()
        finally:
            postgres.remove()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_a_store_outlives_restarts_of_its_server_and_no_sum_is_made_twice(kind: str) -> None:
    with _server(kind) as server, open_store(server.url) as store:

        def restart() -> None:
            if kind == "redis":
                server.kill()
            else:
                server.stop()
            server.start()

        told_by_watch: list[int] = []
        store.subscribe(lambda change: told_by_watch.append(change.new), "n")
        with Restarting(restart) as restarting:
            done = 0
            while restarting.count < 3:
                try:
                    value = store.increment("n")
                except Unreachable:
                    continue
                done += 1
                assert value == done, "neither lost nor made twice"
        watch = store.watch("end")
        store["end"] = True
        while watch.next(30) is None:
            pass

        assert store["n"] == done
        assert told_by_watch[-1] == done


def test_a_server_that_is_gone_is_told_with_its_place_and_the_mirror_goes_on() -> None:
    with Redis() as server, open_store(server.url) as store:
        store["a"] = 1
        server.kill()

        with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{server.port}") as caught:
            store["a"] = 2
        with store.replica_only():
            assert store["a"] == 1
        assert server.password not in str(caught.value)
        server.start()
        store["a"] = 3
        assert store["a"] == 3


@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_a_place_that_was_emptied_is_seen_empty(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = url_of(kind, request, tmp_path)
    with open_store(url) as store:
        store["a"] = 1
        _empty(url)

        assert dict(store.items()) == {}
        store["b"] = 2
        assert dict(store.items()) == {"b": 2}


def _empty(url: str) -> None:
    if url.startswith("redis"):
        import redis

        with redis.Redis.from_url(url.partition("?")[0]) as client:
            client.flushall()
    else:
        import psycopg

        with psycopg.connect(url.partition("?")[0], autocommit=True) as line:
            line.execute("DROP SCHEMA pocketflex CASCADE")


def test_a_child_of_fork_uses_connections_of_its_own(shared_url: str) -> None:
    with open_store(shared_url) as store:
        store["n"] = 0
        child = os.fork()
        if child == 0:
            for _ in range(50):
                store.increment("n")
            os._exit(0)
        for _ in range(50):
            store.increment("n")
        assert os.waitpid(child, 0)[1] == 0

        assert store["n"] == 100
