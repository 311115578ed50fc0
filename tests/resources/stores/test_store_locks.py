"""Who writes under a lock? Who took it and what that waits for; not what was begun meanwhile and lives on."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, launch
from pocketflex_nb.core.errors import LockLost
from pocketflex_nb.resources.stores.backends import sqlite
from pocketflex_nb.resources.stores.open_store import open_store
from pocketflex_nb.resources.stores.shared_store import SharedStore

Pair = tuple[SharedStore, SharedStore]


def test_a_run_that_is_launched_under_a_lock_stands_outside_of_it(pair: Pair) -> None:
    store, _ = pair
    released = threading.Event()

    class Write(Node):
        def exec(self, _: Any) -> None:
            with store.lock("other", timeout=30):
                released.wait(30)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["n"] = 1

    class Take(Node):
        def exec(self, _: Any) -> None:
            with store.lock("k", timeout=30):
                store.increment("taken")

    with store.lock("k"):
        runs = launch([Flow(start=Write()), Flow(start=Take())], share=store)
        assert "taken" not in store
    released.set()
    runs.results()

    assert (store["n"], store["taken"]) == (1, 1), "not refused, though the lock that it began under is given back"


def test_a_task_that_outlives_the_lock_it_began_under_writes_on(pair: Pair) -> None:
    store, _ = pair

    async def main() -> None:
        released = asyncio.Event()

        async def write() -> None:
            await released.wait()
            await store.aset("n", 1)
            store.increment("n")

        async with store.lock("k"):
            task = asyncio.create_task(write())
            await asyncio.sleep(0)
        released.set()
        await task

    asyncio.run(main())

    assert store["n"] == 2


def test_a_plain_run_under_a_lock_writes_with_its_token(pair: Pair) -> None:
    mine, yours = pair

    class Write(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["n"] = 1

    lock = mine.lock("k", lease=0.2, renew=False)
    with pytest.raises(LockLost), lock, yours.lock("k", timeout=30):
        Flow(start=Write()).run(mine)

    assert "n" not in yours


def test_a_step_whose_run_was_cancelled_waits_for_no_lock_and_no_change(pair: Pair) -> None:
    store, other = pair
    waits, ended, got = threading.Barrier(3), [threading.Event(), threading.Event()], []

    class Lock(Node):
        def exec(self, _: Any) -> None:
            waits.wait(30)
            try:
                with store.lock("k"):
                    got.append("lock")
            finally:
                ended[0].set()

    class Watch(Node):
        def exec(self, _: Any) -> None:
            waits.wait(30)
            try:
                with store.watch("never") as changes:
                    got.append(next(changes))
            finally:
                ended[1].set()

    with other.lock("k"):
        runs = launch([Flow(start=Lock()), Flow(start=Watch())], share=store)
        waits.wait(30)
        runs.cancel()
        runs.wait()

        assert all(each.wait(30) for each in ended), "their threads came to an end"
    assert got == []


# the clock ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_a_clock_that_is_set_gives_no_sqlite_lock_to_two_and_keeps_none(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, real = f"sqlite:///{tmp_path}/s.db", time.time
    with open_store(url) as one, open_store(url) as other:
        with one.lock("k", lease=30, renew=False):
            monkeypatch.setattr(time, "time", lambda: real() + 3_600 * hours)
            with pytest.raises(TimeoutError), other.lock("k", timeout=0.1):
                pass
            one["n"] = 1
        token = other._transport.backend.take_lock(other._replication.name("k"), "", 0.05)
        monkeypatch.setattr(time, "time", real)
        with one.lock("k", timeout=5) as lock:
            assert lock.token == token + 1
            with pytest.raises(LockLost), other.fenced("k", token):
                other["n"] = 2


@pytest.mark.parametrize("clock", [10.0, 990.0, 5_000.0])
def test_a_sqlite_lock_outlives_a_restart_of_the_machine_by_one_lease_at_most(
    clock: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock that leases go by begins anew then; what it showed before was 1 000."""
    now = [1_000.0]
    monkeypatch.setattr(sqlite, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep))
    with open_store(f"sqlite:///{tmp_path}/s.db") as store:
        assert store._transport.backend.take_lock('"k"', "", 30.0) == 1
        assert store._transport.backend.take_lock('"k"', "", 30.0) == 0

        now[0] = clock

        token = store._transport.backend.take_lock('"k"', "", 30.0)
        now[0] += 0.0 if token else 40.0
        assert (token or store._transport.backend.take_lock('"k"', "", 30.0)) == 2


def test_locks_of_a_file_of_an_earlier_version_go_on_with_higher_tokens(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    with contextlib.closing(sqlite3.connect(file)) as line, line:
        line.execute(
            "CREATE TABLE pfx_locks (store INTEGER NOT NULL, name TEXT NOT NULL, token INTEGER NOT NULL, until REAL NOT NULL, "
            "PRIMARY KEY (store, name)) WITHOUT ROWID"
        )
        line.execute("INSERT INTO pfx_locks VALUES (1, '\"k\"', 7, ?)", (time.time() + 3_600,))

    with open_store(f"sqlite:///{file}") as store, store.lock("k", timeout=5) as lock:
        assert lock.token == 8
