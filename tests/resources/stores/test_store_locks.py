"""Who writes under a lock? Who took it and what that waits for; not what was begun meanwhile and lives on."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, launch
from pocketflex_nb.core.errors import LockLost
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
