"""Request and reply over a queue: whatever keeps it, in order per sender, and never silence."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.errors import CallFailed, EncodingError, ResourceError
from pocketflex_nb.resources.queues.open_queue import open_queue
from pocketflex_nb.resources.queues.queue import Queue

KINDS = ("memory", "sqlite", "redis", "amqp")
SERVERS = {"redis": "redis_server", "amqp": "rabbit_server"}


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A queue that nobody has used yet."""
    name = f"c{uuid.uuid4().hex[:12]}"
    if request.param in SERVERS:
        return f"{request.getfixturevalue(SERVERS[request.param]).url}?name={name}"
    return f"memory:{name}" if request.param == "memory" else f"sqlite:///{tmp_path}/q.db?name={name}"


async def _serve(queue: Queue, count: int, answer: Any = lambda item: item * 2) -> list[Any]:
    """Reply to so many messages, one after the other; what they were."""
    seen = []
    for _ in range(count):
        async with queue.get(timeout=30) as msg:
            seen.append(msg.item)
            await msg.reply(answer(msg.item))
    return seen


async def test_a_call_gets_its_reply(url: str) -> None:
    async with open_queue(url) as asking, open_queue(url) as serving:
        server = asyncio.create_task(_serve(serving, 2, lambda item: {"for": item, "kinds": (1, b"x")}))

        assert await asking.call("a", timeout=30) == {"for": "a", "kinds": (1, b"x")}
        assert await asking.call("b", timeout=30) == {"for": "b", "kinds": (1, b"x")}
        await server
        stats = await serving.stats()
        assert (stats.ready, stats.dead) == (0, 0)


async def test_calls_of_one_sender_are_handled_in_order_and_each_gets_its_own_reply(url: str) -> None:
    async with open_queue(url) as asking, open_queue(url) as also, open_queue(url) as serving:
        server = asyncio.create_task(_serve(serving, 40))

        one = [asyncio.create_task(asking.call(n, timeout=60)) for n in range(20)]
        other = [asyncio.create_task(also.call(100 + n, timeout=60)) for n in range(20)]

        assert await asyncio.gather(*one) == [2 * n for n in range(20)]
        assert await asyncio.gather(*other) == [2 * (100 + n) for n in range(20)]
        seen = await server
        assert [n for n in seen if n < 100] == list(range(20))
        assert [n for n in seen if n >= 100] == list(range(100, 120))


async def test_headers_and_keys_go_with_a_call(url: str) -> None:
    async with open_queue(url) as queue:
        call = asyncio.create_task(queue.call("a", timeout=30, headers={"who": "me"}, key="k"))
        async with queue.get(timeout=30) as msg:
            assert msg.headers == {"who": "me"}
            assert msg.key == "k"
            assert await msg.reply(None)
            assert msg.is_settled
        assert await call is None


async def test_nobody_there_is_told_at_the_end_of_the_time(url: str) -> None:
    async with open_queue(url) as queue:
        began = time.monotonic()

        with pytest.raises(TimeoutError, match="no reply"):
            await queue.call("a", timeout=0.3)

        assert time.monotonic() - began < 20
        async with queue.get(timeout=30) as msg:  # it is still there, and a late reply harms nobody
            assert await msg.reply("late")


async def test_a_consumer_that_fails_is_a_second_delivery_and_then_an_error(url: str) -> None:
    async with open_queue(url, max_deliveries=2) as queue:
        call = asyncio.create_task(queue.call("a", timeout=60))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                async with queue.get(timeout=30):
                    1 / 0

        with pytest.raises(CallFailed, match="ZeroDivisionError") as caught:
            await call
        assert "division" in caught.value.reason
        assert (await queue.stats()).dead == 1


async def test_the_first_reply_is_taken_after_a_second_delivery(url: str) -> None:
    async with open_queue(url) as queue:
        call = asyncio.create_task(queue.call("a", timeout=60))
        with pytest.raises(KeyError):
            async with queue.get(timeout=30):
                raise KeyError("first")
        async with queue.get(timeout=30) as msg:
            assert msg.deliveries == 2
            await msg.reply("second")

        assert await call == "second"


async def test_what_was_put_cannot_be_replied_to(url: str) -> None:
    async with open_queue(url) as queue:
        await queue.put("a")
        msg = await queue.get(timeout=30)

        with pytest.raises(ValueError, match="not called"):
            await msg.reply(1)
        assert await msg.ack()


async def test_a_reply_that_cannot_be_written_leaves_the_message_in_hand(url: str) -> None:
    async with open_queue(url) as queue:
        call = asyncio.create_task(queue.call("a", timeout=60))
        msg = await queue.get(timeout=30)

        with pytest.raises(EncodingError):
            await msg.reply(object())
        assert not msg.is_settled
        assert await msg.reply("good")
        assert await call == "good"


async def test_a_queue_that_is_closed_ends_its_calls(url: str) -> None:
    queue = open_queue(url)
    call = asyncio.create_task(queue.call("a", timeout=60))
    async with open_queue(url) as other, other.get(timeout=30) as msg:
        assert msg.item == "a"
        await queue.close()
        with pytest.raises(ResourceError, match="closed"):
            await call


def test_plain_code_calls_and_replies_too(url: str) -> None:
    with open_queue(url) as queue:
        from threading import Thread

        def serve() -> None:
            with queue.get_sync(timeout=30) as msg:
                msg.reply_sync(msg.item + 1)

        server = Thread(target=serve)
        server.start()
        assert queue.call_sync(41, timeout=30) == 42
        server.join(30)


async def test_a_killed_consumer_is_a_second_delivery(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/q.db?name=killed"
    taker = textwrap.dedent(f"""
        import asyncio, os
        from pocketflex_nb.resources import open_queue
        async def main():
            async with open_queue({url!r}, lease=1) as queue:
                await queue.get(timeout=30)
                print("taken", flush=True)
                os._exit(9)
        asyncio.run(main())
    """)
    async with open_queue(url, lease=1) as queue:
        call = asyncio.create_task(queue.call("a", timeout=60))
        done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", taker], capture_output=True, text=True, check=False)
        assert "taken" in done.stdout, done.stderr
        async with queue.get(timeout=30) as msg:
            assert msg.deliveries == 2
            await msg.reply("by another")

        assert await call == "by another"


@pytest.mark.parametrize("timeout", [-1, float("nan")])
async def test_a_time_that_is_none_is_refused(timeout: float) -> None:
    async with open_queue("memory:") as queue:
        with pytest.raises(ValueError, match="timeout"):
            await queue.call("a", timeout=timeout)
