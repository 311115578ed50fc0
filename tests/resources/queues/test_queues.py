"""What every queue promises, whatever keeps it: one suite over all kinds, against real servers."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import Flow, Node
from pocketflex_nb.agents import Agent
from pocketflex_nb.core.errors import EncodingError, ResourceError, RunCancelled
from pocketflex_nb.resources.queues.message import Message
from pocketflex_nb.resources.queues.open_queue import open_queue
from pocketflex_nb.resources.queues.queue import Queue
from tests.resources.brokers import Rabbit

KINDS = ("memory", "sqlite", "redis", "amqp")
SERVERS = {"redis": "redis_server", "amqp": "rabbit_server"}


@dataclass(frozen=True)
class Point:
    """Something of a user's own."""

    x: int
    y: tuple[int, ...]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A queue that nobody has used yet."""
    name = f"t{uuid.uuid4().hex[:12]}"
    if request.param in SERVERS:
        return f"{request.getfixturevalue(SERVERS[request.param]).url}?name={name}"
    return f"memory:{name}" if request.param == "memory" else f"sqlite:///{tmp_path}/q.db?name={name}"


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Queue]:
    async with open_queue(url, **options) as queue:
        yield queue


async def until(is_so: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until `is_so()` (a coroutine function) gives something true."""
    async with asyncio.timeout(seconds):
        while not (found := await is_so()):
            await asyncio.sleep(0.01)
    return found


async def items(queue: Queue, count: int) -> list[Any]:
    got = []
    for _ in range(count):
        async with queue.get(timeout=20) as msg:
            got.append(msg.item)
    return got


async def fail(queue: Queue, error: Exception) -> Message:
    """Take a message and raise in the block."""
    with pytest.raises(type(error)):
        async with queue.get(timeout=20) as msg:
            raise error
    return msg


async def test_a_key_that_no_server_takes_is_refused_and_odd_ones_come_back_as_they_were(url: str) -> None:
    async with opened(url) as queue:
        with pytest.raises(EncodingError, match="surrogate"):
            await queue.put(1, key="half \ud800")
        for key in ("a\x00b", r"\ud800", "ключ", "k" * 5_000):
            await queue.put({"\ud800": "\x00"}, key=key, headers={"h": "\x00\ud800"})
            async with queue.get(timeout=20) as msg:
                assert (msg.key, msg.item, msg.headers) == (key, {"\ud800": "\x00"}, {"h": "\x00\ud800"})


async def test_what_is_put_is_got_with_its_headers_key_and_id(url: str) -> None:
    async with opened(url) as queue:
        before = time.time()
        put = await queue.put({"a": (1, Point(2, (3,)))}, headers={"to": "you", "n": (1,)}, key="order-7")

        async with queue.get(timeout=20) as msg:
            assert msg.item == {"a": (1, Point(2, (3,)))}
            assert msg.headers == {"to": "you", "n": (1,)}
            assert (msg.id, msg.key, msg.deliveries) == (put, "order-7", 1)
            assert before - 1 <= msg.put_at <= time.time() + 1


async def test_a_message_without_a_key_has_its_id_as_key(url: str) -> None:
    async with opened(url) as queue:
        put = await queue.put(None)

        async with queue.get(timeout=20) as msg:
            assert (msg.key, msg.item, msg.headers) == (put, None, {})


async def test_messages_come_in_the_order_in_which_one_producer_put_them(url: str) -> None:
    async with opened(url) as queue:
        for n in range(50):
            await queue.put(n)

        assert await items(queue, 50) == list(range(50))


async def test_a_clean_exit_acknowledges(url: str) -> None:
    async with opened(url) as queue:
        await queue.put(1)

        async with queue.get(timeout=20) as msg:
            pass

        assert msg.is_settled and not msg.is_lost
        with pytest.raises(TimeoutError):
            await queue.get(timeout=0)
        stats = await queue.stats()
        assert (stats.ready, stats.delayed, stats.held or 0, stats.dead) == (0, 0, 0, 0)


async def test_an_error_gives_the_message_back_and_it_keeps_id_and_key(url: str) -> None:
    async with opened(url) as queue:
        await queue.put("again", key="k")

        first = await fail(queue, ValueError("not today"))
        async with queue.get(timeout=20) as second:
            assert (second.item, second.id, second.key, second.deliveries) == ("again", first.id, "k", 2)


async def test_a_cancelled_consumer_gives_the_message_back(url: str) -> None:
    async with opened(url) as queue:
        await queue.put("again")
        has_it = asyncio.Event()

        async def consume() -> None:
            async with queue.get():
                has_it.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(consume())
        await has_it.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert await items(queue, 1) == ["again"]


async def test_a_cancelled_wait_takes_nothing_with_it(url: str) -> None:
    async with opened(url) as queue:
        for n in range(10):
            waiting = asyncio.create_task(queue.get().take())
            await asyncio.sleep(0)
            putting = asyncio.create_task(queue.put(n))
            if n % 2:
                await putting
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await putting
            if not waiting.cancelled():
                await waiting.result().nack()

        assert sorted(await items(queue, 10)) == list(range(10))


async def test_a_wait_ends_with_a_timeout_that_names_the_queue_and_no_secret(url: str) -> None:
    async with opened(url) as queue:
        with pytest.raises(TimeoutError, match=r"no message in queue '\w+' at .* within 0.05 s") as caught:
            async with queue.get(timeout=0.05):
                raise AssertionError("there is none")

    assert "***" in str(caught.value) or "@" not in str(caught.value)


async def test_a_waiting_consumer_is_woken_by_a_put_through_another_opening(url: str) -> None:
    async with opened(url) as mine, opened(url) as other:
        waiting = asyncio.create_task(items(mine, 1))
        await asyncio.sleep(0)

        await other.put("here")

        assert await waiting == ["here"]


async def test_each_message_goes_to_one_of_many_consumers(url: str) -> None:
    async with opened(url) as queue:
        got: list[int] = []

        async def consume() -> None:
            async for msg in queue:
                got.append(msg.item)

        tasks = [asyncio.create_task(consume()) for _ in range(5)]
        for n in range(100):
            await queue.put(n)
        await until(lambda: _has(got, 100))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert sorted(got) == list(range(100))


async def _has(got: list[Any], count: int) -> bool:
    return len(got) >= count


async def test_a_delayed_message_comes_when_its_time_has_come(url: str) -> None:
    async with opened(url) as queue:
        await queue.put("late", delay=0.6)
        begin = time.monotonic()
        await queue.put("soon")
        assert await items(queue, 1) == ["soon"]
        with pytest.raises(TimeoutError):
            await queue.get(timeout=0)
        assert (await queue.stats()).delayed == 1

        assert await items(queue, 1) == ["late"]

        assert time.monotonic() - begin >= 0.55
        assert (await queue.stats()).delayed == 0


async def test_a_poison_message_becomes_a_dead_letter_with_its_error(url: str) -> None:
    async with opened(url, max_deliveries=3) as queue:
        put = await queue.put("poison", key="p", headers={"h": 1})
        for _ in range(3):
            await fail(queue, ValueError("it bites"))

        with pytest.raises(TimeoutError):
            await queue.get(timeout=0.05)
        (letter,) = await queue.dead_letters()
        assert (letter.id, letter.key, letter.item, letter.headers, letter.deliveries) == (put, "p", "poison", {"h": 1}, 3)
        assert "it bites" in letter.error
        assert (await queue.stats()).dead == 1


async def test_dead_letters_are_put_back_or_forgotten_by_name_or_all(url: str) -> None:
    async with opened(url, max_deliveries=1) as queue:
        for n in range(4):
            await queue.put(n)
        for _ in range(4):
            await fail(queue, ValueError("no"))
        letters = await queue.dead_letters()
        assert [letter.item for letter in letters] == [0, 1, 2, 3]

        assert await queue.requeue(letters[1]) == 1
        assert await queue.discard(letters[0].id) == 1
        async with queue.get(timeout=20) as msg:
            assert (msg.item, msg.deliveries, msg.id) == (1, 1, letters[1].id)
        assert [letter.item for letter in await queue.dead_letters()] == [2, 3]
        assert [letter.item for letter in await queue.dead_letters(limit=1)] == [2]
        assert await queue.requeue() == 2

        assert sorted(await items(queue, 2)) == [2, 3]
        assert await queue.dead_letters() == []


async def test_a_failed_message_waits_for_its_retry_delay(url: str) -> None:
    async with opened(url, retry_delay=0.5) as queue:
        await queue.put(1)
        await fail(queue, ValueError("no"))
        begin = time.monotonic()

        async with queue.get(timeout=20) as msg:
            assert msg.deliveries == 2
        assert time.monotonic() - begin >= 0.4


async def test_the_loop_over_a_queue_acknowledges_and_gives_back_what_it_is_left_with(url: str) -> None:
    async with opened(url) as queue:
        for n in range(3):
            await queue.put(n)

        got = []
        async for msg in queue:
            got.append(msg.item)
            if msg.item == 1:
                break
        del msg
        again = await items(queue, 2)

        assert got == [0, 1]
        assert sorted(again) == [1, 2]


async def test_the_loop_allows_blocks_and_acks_of_its_own(url: str) -> None:
    async with opened(url) as queue:
        for n in range(3):
            await queue.put(n)
        seen = []

        async for msg in queue:
            try:
                async with msg:
                    seen.append((msg.item, msg.deliveries))
                    if seen == [(0, 1)]:
                        raise ValueError("once more")
            except ValueError:
                continue
            if len(seen) == 4:
                break

        assert sorted(seen) == [(0, 1), (0, 2), (1, 1), (2, 1)]
        with pytest.raises(TimeoutError):
            await queue.get(timeout=0.1)


async def test_closing_ends_loops_and_waits(url: str) -> None:
    queue = open_queue(url)

    async def loop() -> str:
        async for _ in queue:
            pass
        return "ended"

    async def wait() -> None:
        async with queue.get():
            pass

    tasks = [asyncio.create_task(loop()), asyncio.create_task(wait())]
    await asyncio.sleep(0.05)
    await queue.close()

    assert await asyncio.wait_for(tasks[0], 10) == "ended"
    with pytest.raises(ResourceError, match="closed"):
        await asyncio.wait_for(tasks[1], 10)
    with pytest.raises(ResourceError, match="open it again"):
        await queue.put(1)


async def test_what_is_in_hand_when_its_queue_is_closed_comes_again_elsewhere(url: str) -> None:
    queue = open_queue(url, lease=1)
    await queue.put("work")
    held = await queue.get(timeout=10)

    await queue.close()

    async with opened(url, lease=1) as other, other.get(timeout=20) as msg:
        assert (msg.item, msg.deliveries) == ("work", 2)
        assert await held.ack() is False
        assert held.is_lost


@pytest.mark.parametrize("blocks", [False, True], ids=["async step", "plain step"])
async def test_a_step_whose_run_was_cancelled_takes_nothing_more(url: str, blocks: bool) -> None:
    """A plain one stands in a thread that cannot be stopped: it has to let the message go, not handle it for nobody."""
    async with opened(url) as queue:
        waits = threading.Event()

        class Plain(Node):
            def exec(self, _: Any) -> Any:
                waits.set()
                with queue.get_sync() as msg:
                    return msg.item

        class Awaits(Node):
            async def exec(self, _: Any) -> Any:
                waits.set()
                async with queue.get() as msg:
                    return msg.item

        run = Flow(start=Plain() if blocks else Awaits()).launch({})
        await asyncio.to_thread(waits.wait, 20)
        await asyncio.sleep(0.05)  # now it asks the server
        run.cancel()
        with pytest.raises(RunCancelled):
            await run
        await queue.put("work")

        async with queue.get(timeout=20) as msg:
            assert msg.item == "work"


async def test_large_headers_arrive_whole(url: str) -> None:
    """Longer ones than a frame of AMQP."""
    async with opened(url, max_deliveries=1) as queue:
        headers = {"text": "é" * 200_000, "n": (1,)}
        await queue.put(b"item", headers=headers)

        msg = await queue.get(timeout=20)
        assert (msg.item, msg.headers) == (b"item", headers)
        await msg.nack("no")

        letter, = await queue.dead_letters()
        assert (letter.item, letter.headers) == (b"item", headers)


async def test_a_delay_without_end_is_refused(url: str) -> None:
    async with opened(url) as queue:
        for delay in (float("inf"), float("nan"), -1):
            with pytest.raises(ValueError, match="delay="):
                await queue.put(1, delay=delay)
        if url.startswith("amqp"):
            with pytest.raises(ValueError, match="48 days"):
                await queue.put(1, delay=1e9)

        stats = await queue.stats()
        assert (stats.ready, stats.delayed) == (0, 0)


async def test_what_cannot_be_written_is_refused_with_its_path_and_nothing_is_put(url: str) -> None:
    async with opened(url) as queue:
        with pytest.raises(EncodingError, match=r"item\.deep\[1\]"):
            await queue.put({"deep": [1, threading.Lock()]})
        with pytest.raises(EncodingError, match=r"headers\.who"):
            await queue.put(1, headers={"who": object()})

        assert (await queue.stats()).ready == 0


async def test_what_waits_is_there_when_the_queue_is_opened_again(url: str) -> None:
    async with opened(url) as queue:
        await queue.put("kept")

    async with opened(url) as queue:
        assert (await queue.stats()).ready == 1
        assert await items(queue, 1) == ["kept"]


async def test_a_message_that_is_nacked_by_hand_keeps_its_error(url: str) -> None:
    async with opened(url, max_deliveries=2) as queue:
        await queue.put(1)
        msg = await queue.get(timeout=20)
        assert await msg.nack("first", delay=0.05)
        assert not await msg.nack("twice")
        msg = await queue.get(timeout=20)
        assert await msg.nack(KeyError("second"))

        (letter,) = await queue.dead_letters()
        assert "second" in letter.error


async def test_one_queue_serves_a_cells_loop_and_the_engines_thread_and_plain_code(url: str) -> None:
    class Take(Node):
        async def exec(self, _: Any) -> Any:
            async with queue.get(timeout=20) as msg:
                return msg.item

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["taken"] = exec_res

    class TakePlainly(Node):
        def exec(self, _: Any) -> Any:
            with queue.get_sync(timeout=20) as msg:
                return msg.item

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["plainly"] = exec_res
            queue.put_sync("answer")

    async with opened(url) as queue:
        await queue.put(1)
        await queue.put(2)
        first, second = Take(), TakePlainly()
        first >> second
        run = Flow(first).launch({}, show=False)
        await run

        assert dict(run.store) == {"taken": 1, "plainly": 2}
        assert await items(queue, 1) == ["answer"]


async def test_an_agent_is_fed_from_a_queue_and_its_failure_gives_the_message_back(url: str) -> None:
    class Adder(Agent):
        async def init(self) -> None:
            self.sum, self.failed = 0, False

        async def handle_call(self, message: Any, caller: Any) -> int:
            self.sum += message
            return self.sum

    async with opened(url) as queue:
        ref = await Adder.start()

        async def feed() -> None:
            async for msg in queue:
                await ref.call(msg.item)

        feeding = asyncio.create_task(feed())
        for n in range(10):
            await queue.put(n)
        await until(lambda: _sums(ref, 45))
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await ref.stop()


async def _sums(ref: Any, total: int) -> bool:
    return bool(await ref.call(0) == total)


def test_plain_code_uses_a_queue_with_no_loop_at_all(url: str) -> None:
    with open_queue(url, max_deliveries=1) as queue:
        queue.put_sync("a", key="k", headers={"h": 1})
        queue.put_sync("b")
        with queue.get_sync(timeout=20) as msg:
            assert (msg.item, msg.key, msg.headers) == ("a", "k", {"h": 1})
        with pytest.raises(ValueError, match="no"), queue.get_sync(timeout=20):
            raise ValueError("no")
        with pytest.raises(TimeoutError):
            queue.get_sync(timeout=0)
        assert queue.stats_sync().dead == 1
        assert [letter.item for letter in queue.dead_letters_sync()] == ["b"]
        assert queue.requeue_sync() == 1
        queue.get_sync(timeout=20).nack_sync("no")
        assert queue.discard_sync() == 1


def test_a_message_that_one_loop_took_is_answered_on_another(url: str) -> None:
    with open_queue(url) as queue:
        queue.put_sync("x")
        msg = queue.get_sync(timeout=20)

        assert asyncio.run(_ack_and_close(msg, queue))

        assert queue.stats_sync().ready == 0


async def _ack_and_close(msg: Message, queue: Queue) -> bool:
    done = await msg.ack()
    await queue.put("y")
    await items(queue, 1)
    return done


async def test_a_message_whose_consumer_never_answers_comes_again(url: str) -> None:
    """The lease ends when nobody holds the message; RabbitMQ and memory see it at once."""
    async with opened(url, lease=1) as queue:
        await queue.put("again")
        msg = await queue.get(timeout=20)
        first = msg.id
        del msg
        gc.collect()

        async with queue.get(timeout=20) as again:
            assert (again.id, again.deliveries) == (first, 2)


async def test_a_lease_is_renewed_while_its_consumer_works_and_blocks_its_own_loop(url: str) -> None:
    async with opened(url, lease=1) as queue, opened(url, lease=1) as other:
        await queue.put("long")

        async with queue.get(timeout=20) as msg:
            time.sleep(2.5)
            with pytest.raises(TimeoutError):
                await other.get(timeout=0.1)

        assert not msg.is_lost


async def test_messages_that_are_sent_ahead_are_all_taken_and_what_nobody_took_goes_back(rabbit_server: Rabbit) -> None:
    url = f"{rabbit_server.url}?name=ahead{uuid.uuid4().hex[:8]}"
    async with opened(url) as plain:
        async with opened(url, prefetch=10) as queue, opened(url, prefetch=10) as idle:
            for n in range(60):
                await (queue if n % 2 else idle).put(n)
            got = []
            async for msg in queue:
                got.append(msg.item)
                if len(got) == 40:
                    await msg.ack()
                    break

        assert sorted(got + await items(plain, 20)) == list(range(60))


@pytest.mark.parametrize(("arguments", "told"), [
    ({"max_deliveries": 0}, "max_deliveries=0"), ({"retry_delay": -1}, "retry_delay=-1"), ({"lease": 0.1}, "lease=0.1"),
    ({"prefetch": 0}, "prefetch=0"), ({"name": "a b"}, "letters, digits"),
])
def test_wrong_options_are_told_before_anything_is_opened(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        open_queue("memory:", **arguments)


async def test_wrong_arguments_of_put_and_get_are_told() -> None:
    async with open_queue("memory:") as queue:
        with pytest.raises(ValueError, match="delay=-1"):
            await queue.put(1, delay=-1)
        with pytest.raises(TypeError, match="idempotency key"):
            await queue.put(1, key="")
        with pytest.raises(ValueError, match="10,001 characters"):
            await queue.put(1, key="k" * 10_001)
        with pytest.raises(TypeError, match="a dict"):
            await queue.put(1, headers=[1])     # type: ignore[arg-type]
        with pytest.raises(ValueError, match="timeout=-1"):
            queue.get(timeout=-1)


def test_unnamed_memory_queues_are_apart_and_named_ones_are_one() -> None:
    name = uuid.uuid4().hex
    with open_queue("memory:") as one, open_queue("memory:") as two, open_queue(f"memory:{name}") as three, \
            open_queue("memory:", name=name) as four:
        one.put_sync(1)
        three.put_sync(3)

        assert two.stats_sync().ready == 0
        assert four.get_sync(timeout=0).item == 3


async def test_a_task_that_is_cancelled_in_a_put_or_an_acknowledgement_ends(url: str) -> None:
    """Whatever the client does with a cancellation: redis-py's timeout of a socket loses it on Python 3.11."""
    async with opened(url) as queue:

        async def work() -> None:
            while True:
                await queue.put(1)
                async with queue.get():
                    await asyncio.sleep(0)

        for n in range(20):
            working = asyncio.create_task(work())
            await asyncio.sleep(0.0007 * n)
            working.cancel()
            done, _ = await asyncio.wait([working], timeout=10)
            assert done and working.cancelled()
