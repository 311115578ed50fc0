"""Entries of queues and topics that are no messages: dead letters with the reason, and in nobody's way. Delays, and a clock set back."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.errors import DecodingError, ResourceError
from pocketflex_nb.resources.queues.open_queue import open_queue
from pocketflex_nb.resources.topics.open_topic import open_topic
from tests.resources.brokers import Rabbit

BODIES = {"cut": '{"a": [1', "empty": "", "deep": "[" * 100_000}


def _url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    name = f"u{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        return f"sqlite:///{folder}/q.db?name={name}"
    return f"{request.getfixturevalue({'redis': 'redis_server', 'amqp': 'rabbit_server'}[kind]).url}?name={name}"


async def _put_raw(url: str, body: str) -> None:
    """Put a body that is no value, as another program would."""
    base, name = url.partition("?")[0], url.rpartition("name=")[2]
    if url.startswith("sqlite"):
        line = sqlite3.connect(base.removeprefix("sqlite:///"))
        with line:
            line.execute(
                "INSERT INTO pfx_queue (queue, id, body, headers, put_at, due) VALUES (?, ?, ?, '{}', 1, 1)", (name, uuid.uuid4().hex, body)
            )
        line.close()
    elif url.startswith("redis"):
        import redis

        with redis.Redis.from_url(base) as client:
            client.xadd(f"pfx:{{{name}}}:queue", {"i": uuid.uuid4().hex, "b": body, "t": "1"})
    else:
        import aio_pika

        async with await aio_pika.connect(base) as line:
            channel = await line.channel()
            await channel.default_exchange.publish(aio_pika.Message(body.encode()), f"pfx.queue.{name}")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", ["sqlite", "redis", "amqp"])
async def test_a_body_that_is_no_value_is_a_dead_letter_with_the_reason(
    kind: str, body: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = _url(kind, request, tmp_path)
    async with open_queue(url) as queue:
        await _put_raw(url, BODIES[body])
        with pytest.raises(DecodingError, match="dead letter"):
            await queue.get(timeout=20)
        await queue.put("good")
        async with queue.get(timeout=20) as msg:
            assert msg.item == "good"

        (letter,) = await queue.dead_letters()
        assert "unreadable" in letter.error
        assert await queue.discard(letter) == 1
        assert (await queue.stats()).dead == 0


@pytest.mark.parametrize("kind", ["sqlite", "redis", "amqp"])
async def test_a_loop_over_a_queue_goes_on_behind_what_is_no_message(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = _url(kind, request, tmp_path)
    async with open_queue(url) as queue:
        await _put_raw(url, "{")
        await queue.put("good")

        async with asyncio.timeout(20):
            async for msg in queue:
                assert msg.item == "good"
                break


FIELDS: list[dict[Any, Any]] = [
    {"zz": "1"}, {"i": "a", "b": "1", "t": "notnum"}, {"i": "a", "b": b"\xff", "t": "1"}, {"i": "", "b": "1", "t": "1"},
    {"i": "a", "b": "1", "t": "1", "n": "many"}, {b"\xff": "1"},
]


@pytest.mark.parametrize("fields", FIELDS, ids=range(len(FIELDS)))
async def test_an_entry_of_a_stream_that_is_no_message_is_a_dead_letter(fields: Any, redis_server: Any) -> None:
    import redis

    name = f"u{uuid.uuid4().hex[:12]}"
    async with open_queue(f"{redis_server.url}?name={name}") as queue:
        with redis.Redis.from_url(redis_server.url) as client:
            client.xadd(f"pfx:{{{name}}}:queue", fields)

        with pytest.raises(DecodingError):
            await queue.get(timeout=20)

        (letter,) = await queue.dead_letters()
        assert letter.error
        assert await queue.discard(letter) == 1


async def test_a_delayed_entry_that_is_no_message_keeps_nobody_waiting(redis_server: Any) -> None:
    import redis

    name = f"u{uuid.uuid4().hex[:12]}"
    async with open_queue(f"{redis_server.url}?name={name}") as queue:
        with redis.Redis.from_url(redis_server.url) as client:
            client.zadd(f"pfx:{{{name}}}:queue:delayed", {"garbage": 1, "[1]": 1, '["i"]': 1, "{}": 1, b"\xff": 1})
        await queue.put("fine")

        async with queue.get(timeout=20) as msg:
            assert msg.item == "fine"
        assert (await queue.stats()).dead == 5
        assert await queue.discard() == 5


@pytest.mark.parametrize("column", ["put_at = 'soon'", "body = x'ff'", "due = 'never'", "id = x'00'"])
async def test_a_row_of_other_types_is_a_dead_letter(column: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/q.db"
    async with open_queue(url) as queue:
        await queue.put("bad")
        line = sqlite3.connect(tmp_path / "q.db")
        with line:
            line.execute(f"UPDATE pfx_queue SET {column}")
        line.close()

        if column.startswith("due"):
            with pytest.raises(TimeoutError):
                await queue.get(timeout=0.2)
        else:
            with pytest.raises(DecodingError):
                await queue.get(timeout=5)
        await queue.put("good")
        async with queue.get(timeout=5) as msg:
            assert msg.item == "good"
        assert (await queue.stats()).dead == 1


async def test_a_bad_entry_of_a_topic_ends_no_subscription(redis_server: Any) -> None:
    import redis

    name = f"u{uuid.uuid4().hex[:12]}"
    async with open_topic(f"{redis_server.url}?name={name}") as topic, topic.subscribe() as news:
        await topic.publish("one")
        assert (await news.get(20)).item == "one"
        with redis.Redis.from_url(redis_server.url) as client:
            client.xadd(f"pfx:{{{name}}}:topic", {"zz": "1"}, id="2-0")
            client.set(f"pfx:{{{name}}}:topic:number", "2")
        bad = await news.get(20)
        with pytest.raises(DecodingError):
            bad.item
        await topic.publish("two")

        assert (await news.get(20)).item == "two"


async def test_a_foreign_message_ends_no_subscription_at_rabbitmq(rabbit_server: Rabbit) -> None:
    import aio_pika

    name = f"u{uuid.uuid4().hex[:12]}"
    async with open_topic(f"{rabbit_server.url}?name={name}") as topic, topic.subscribe() as news:
        async with await aio_pika.connect(rabbit_server.url) as line:
            exchange = await (await line.channel()).get_exchange(f"pfx.topic.{name}")
            await exchange.publish(aio_pika.Message(b"\xff", headers={"t": "soon", "l": "x"}), "")
        bad = await news.get(20)
        with pytest.raises(DecodingError):
            bad.item
        await topic.publish("two")

        assert (await news.get(20)).item == "two"


# clocks and files -----------------------------------------------------------------------------------------------------
async def test_a_delayed_message_survives_a_clock_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/q.db"
    real = time.time
    async with open_queue(url) as queue:
        await queue.put("soon", delay=0.3)
        monkeypatch.setattr(time, "time", lambda: real() - 3_600)

        async with queue.get(timeout=20) as msg:
            assert msg.item == "soon"
        await queue.put("later", delay=0.3)
        async with open_queue(url) as other, other.get(timeout=20) as msg:  # which began after the clock was set back
            assert msg.item == "later"


async def test_a_delayed_message_survives_a_server_s_clock_set_back(redis_server: Any) -> None:
    import redis

    name = f"u{uuid.uuid4().hex[:12]}"
    async with open_queue(f"{redis_server.url}?name={name}") as queue:
        await queue.put("soon", delay=0.3)
        with redis.Redis.from_url(redis_server.url) as client:  # as if the clock had been an hour ahead until now
            base = f"pfx:{{{name}}}:queue"
            client.set(f"{base}:clock", int(client.get(f"{base}:clock")) + 3_600_000)
            for member, score in client.zrange(f"{base}:delayed", 0, -1, withscores=True):
                client.zadd(f"{base}:delayed", {member: score + 3_600_000})

        async with queue.get(timeout=20) as msg:
            assert msg.item == "soon"


@pytest.mark.parametrize("opener", [open_queue, open_topic], ids=["queue", "topic"])
async def test_a_file_that_was_removed_is_told_at_the_next_verb(opener: Any, tmp_path: Path) -> None:
    async with opener(f"sqlite:///{tmp_path}/q.db") as thing:
        for path in list(tmp_path.iterdir()):
            path.unlink()

        with pytest.raises(ResourceError, match="removed"):
            await (thing.put("a") if opener is open_queue else thing.publish("a"))


async def test_a_trigger_on_a_queue_is_told(tmp_path: Path) -> None:
    async with open_queue(f"sqlite:///{tmp_path}/q.db") as queue:
        line = sqlite3.connect(tmp_path / "q.db")
        with line:
            line.execute("CREATE TRIGGER t BEFORE INSERT ON pfx_queue BEGIN SELECT RAISE(IGNORE); END")
        line.close()

        with pytest.raises(ResourceError, match="trigger"):
            await queue.put("a")
        with pytest.raises(ResourceError, match="trigger"):
            open_queue(f"sqlite:///{tmp_path}/q.db")
