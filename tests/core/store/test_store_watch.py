"""Waiting for changes, and locks by name."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading

import pytest

from pocketflex_nb import Store
from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.frozen.freezer import MISSING


async def first(watch):
    async for change in watch:
        return change
    return None


def test_watch_gives_each_change_of_its_keys():
    async def body():
        store = Store({"a": 0})
        watch = store.watch("a", "c")
        store["a"] = 1
        store["b"] = 2
        store["c"] = 3
        del store["c"]

        got = [await first(watch), await first(watch)]

        assert [(change.key, change.op, change.old, change.new) for change in got] == [
            ("a", "set", 0, 1), ("c", "delete", MISSING, MISSING),
        ]

    asyncio.run(body())


def test_unread_changes_of_one_key_become_one():
    async def body():
        store = Store({"n": 0})
        with store.watch() as watch:
            for number in range(1, 100):
                store["n"] = number

            change = await first(watch)

            assert (change.old, change.new, change.version) == (0, 99, 99)
            assert watch.take() is None

    asyncio.run(body())


def test_watch_wakes_from_another_thread():
    async def body():
        store = Store()
        watch = store.watch()
        waiting = asyncio.ensure_future(first(watch))
        await asyncio.sleep(0)

        thread = threading.Thread(target=store.__setitem__, args=("a", 1))
        thread.start()

        assert (await asyncio.wait_for(waiting, 10)).new == 1
        thread.join()

    asyncio.run(body())


def test_queue_of_a_watch_is_bounded_and_counts_what_it_dropped():
    store = Store()
    watch = store.watch(limit=10)

    for number in range(25):
        store[number] = number

    assert watch.missed == 15
    assert watch.take().key == 15


def test_closed_watch_gives_what_is_queued_and_ends():
    async def body():
        store = Store()
        watch = store.watch()
        store["a"] = 1
        watch.close()
        store["b"] = 1

        assert [change.key async for change in watch] == ["a"]
        watch.close()

    asyncio.run(body())


def test_close_wakes_a_reader():
    async def body():
        watch = Store().watch()
        waiting = asyncio.ensure_future(first(watch))
        await asyncio.sleep(0)

        await watch.aclose()

        assert await asyncio.wait_for(waiting, 10) is None

    asyncio.run(body())


def test_cancelled_reader_leaves_the_watch_usable():
    async def body():
        store = Store()
        watch = store.watch()
        waiting = asyncio.ensure_future(first(watch))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        store["a"] = 1

        assert (await first(watch)).key == "a"

    asyncio.run(body())


def test_watch_that_nobody_holds_goes_away_and_writes_are_quick_again():
    store = Store()
    idle = store._busy
    watch = store.watch()
    assert store._busy == idle + 1

    del watch
    gc.collect()
    store["a"] = 1

    assert store._busy == idle


def test_two_readers_of_one_watch_are_refused():
    async def body():
        watch = Store().watch()
        waiting = asyncio.ensure_future(first(watch))
        await asyncio.sleep(0)

        with pytest.raises(RuntimeError, match="give each its own"):
            await first(watch)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(body())


def test_writer_outlives_the_loop_of_its_watcher():
    store = Store()
    watch = store.watch()

    async def body():
        waiting = asyncio.ensure_future(first(watch))
        await asyncio.sleep(0)
        waiting.get_loop().stop()

    loop = asyncio.new_event_loop()
    task = loop.create_task(body())
    loop.run_forever()
    for other in asyncio.all_tasks(loop):
        other._log_destroy_pending = False
    loop.close()
    store["a"] = 1

    assert store == {"a": 1} and task is not None


def test_subscriber_is_called_after_the_write_and_can_be_ended():
    store = Store({"a": 0})
    seen = []
    end = store.subscribe(lambda change: seen.append((change.new, dict(store))), "a")

    store["a"] = 1
    store["b"] = 1
    end()
    store["a"] = 2

    assert seen == [(1, {"a": 1})]


def test_subscriber_may_write_itself():
    store = Store({"a": 0})
    store.subscribe(lambda change: store.increment("seen") if change.key == "a" else None)

    store["a"] = 1
    store.update("a", lambda a: a + 1)

    assert store == {"a": 2, "seen": 2}


def test_subscriber_is_called_without_the_lock():
    store = Store()
    free = []

    def act(change):
        thread = threading.Thread(target=lambda: free.append(store.snapshot().version))
        thread.start()
        thread.join(10)

    store.subscribe(act)
    store["a"] = 1

    assert free == [1]


def test_subscriber_that_raises_is_logged_and_the_write_stands(caplog):
    store = Store()
    store.subscribe(lambda change: 1 / 0)

    with caplog.at_level(logging.ERROR, "pocketflex_nb"):
        store["a"] = 1

    assert store == {"a": 1}
    assert "'a'" in caplog.text and "ZeroDivisionError" in caplog.text


# locks ---------------------------------------------------------------------------------------------------------------
def test_lock_lets_one_thread_in_at_a_time():
    store, inside, most = Store(), [], []

    def act():
        for _ in range(20):
            with store.lock("door"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=act) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(most) == 160 and max(most) == 1
    assert not store.lock("door").is_held


def test_lock_lets_one_task_in_at_a_time_first_come_first_served():
    async def body():
        store, order = Store(), []

        async def act(number):
            async with store.lock("door") as lock:
                order.append(("in", number))
                await asyncio.sleep(0)
                order.append(("out", number))
                return lock.token

        tokens = await asyncio.gather(*(act(number) for number in range(100)))

        assert order == [(way, number) for number in range(100) for way in ("in", "out")]
        assert tokens == sorted(set(tokens))

    asyncio.run(body())


def test_lock_goes_from_a_thread_to_a_task():
    async def body():
        store, release = Store(), threading.Event()
        held = threading.Event()

        def holder():
            with store.lock("door"):
                held.set()
                release.wait(10)

        thread = threading.Thread(target=holder)
        thread.start()
        held.wait(10)
        asyncio.get_running_loop().call_soon(release.set)

        async with store.lock("door"):
            assert store.lock("door").is_held
        thread.join()

    asyncio.run(body())


def test_lock_held_twice_by_one_task_or_thread_is_refused():
    store = Store()

    with store.lock("door"), pytest.raises(StoreError, match="held by this thread already"), store.lock("door"):
        pass

    async def body():
        async with store.lock("door"):
            with pytest.raises(StoreError, match="held by this task already"):
                async with store.lock("door"):
                    pass

    asyncio.run(body())
    assert not store.lock("door").is_held


def test_waiting_that_would_stop_the_loop_for_ever_is_refused():
    async def body():
        store = Store()

        async def blocking():
            with store.lock("door"):
                pass

        async with store.lock("door"):
            with pytest.raises(StoreError, match="async with"):
                await asyncio.ensure_future(blocking())

    asyncio.run(body())


def test_lock_that_is_not_free_in_time_is_given_up():
    store = Store()

    async def body():
        async with store.lock("door"):
            with pytest.raises(TimeoutError, match=r"lock\('door'\) was not free within 0 s"):
                await asyncio.ensure_future(late())

    async def late():
        async with store.lock("door", timeout=0):
            pass

    asyncio.run(body())

    failures = []

    def thread_body():
        try:
            with store.lock("door", timeout=0.01):
                pass
        except TimeoutError as exc:
            failures.append(exc)

    with store.lock("door"):
        thread = threading.Thread(target=thread_body)
        thread.start()
        thread.join()

    assert len(failures) == 1
    with store.lock("door"):
        pass


def test_cancelled_waiter_does_not_keep_the_lock():
    async def body():
        store = Store()

        async def act():
            async with store.lock("door"):
                await asyncio.sleep(0)

        async with store.lock("door"):
            waiting = [asyncio.ensure_future(act()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        assert waiting[0].cancelled() and not store.lock("door").is_held

    asyncio.run(body())


def test_a_hundred_tasks_read_and_write_without_loss_under_a_lock():
    async def body():
        store = Store({"n": 0})

        async def act():
            async with store.lock("n"):
                seen = store["n"]
                await asyncio.sleep(0)
                store["n"] = seen + 1

        await asyncio.gather(*(act() for _ in range(100)))

        assert store["n"] == 100

    asyncio.run(body())
