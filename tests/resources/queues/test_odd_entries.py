"""What a foreign writer leaves among the entries of queues and topics: a dead letter or one unreadable message, and in nobody's way."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.errors import DecodingError
from pocketflex_nb.resources.queues.open_queue import open_queue
from pocketflex_nb.resources.topics.open_topic import open_topic

_BYTES = b"\xff\xfe"
#: what stands in a column of a row, and whether the row is a message all the same
ROWS: dict[str, tuple[str, Any, bool]] = {
    "a blob as its id": ("id", _BYTES, False),
    "broken UTF-8 as its id": ("id", (_BYTES,), True),
    "no id": ("id", "", False),
    "a blob as its body": ("body", _BYTES, False),
    "broken UTF-8 as its body": ("body", (_BYTES,), False),
    "a NUL as its body": ("body", "\x00", False),
    "a blob as its headers": ("headers", _BYTES, False),
    "broken UTF-8 as its headers": ("headers", (_BYTES,), False),
    "a list as its headers": ("headers", "[1]", False),
    "headers cut short": ("headers", "[", False),
    "a blob as its key": ("key", _BYTES, True),
    "a text as its time": ("put_at", "x", False),
    "a text as when it is due": ("due", "x", False),
    "a blob as when it is due": ("due", _BYTES, False),
    "a text as its count": ("deliveries", "x", True),
    "a huge count": ("deliveries", 10**18, False),
    "a state of its own": ("dead", 2, False),
}


def _insert(file: Path, table: str, row: dict[str, Any]) -> None:
    places = ["CAST(? AS TEXT)" if isinstance(value, tuple) else "?" for value in row.values()]
    values = [value[0] if isinstance(value, tuple) else value for value in row.values()]
    with contextlib.closing(sqlite3.connect(file)) as line, line:
        line.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(places)})", values)


async def _taken(queue: Any) -> list[Any]:
    found = []
    while True:
        try:
            async with queue.get(timeout=0.2) as message:
                found.append(message.item)
                assert isinstance(message.headers, dict)
        except DecodingError:
            continue
        except TimeoutError:
            return found


@pytest.mark.parametrize("odd", ROWS)
async def test_an_odd_row_of_a_queue_is_a_message_or_one_dead_letter(odd: str, tmp_path: Path) -> None:
    column, value, is_message = ROWS[odd]
    row = {"queue": "q", "id": "odd", "body": '"odd"', "headers": "{}", "put_at": 1.0, "due": 1.0} | {column: value}
    async with open_queue(f"sqlite:///{tmp_path}/q.db?name=q") as queue:
        _insert(tmp_path / "q.db", "pfx_queue", row)
        await queue.put("good")

        assert await _taken(queue) == (["odd", "good"] if is_message else ["good"])

        letters = await queue.dead_letters()
        assert len(letters) == (0 if is_message else 1)
        for letter in letters:
            assert await queue.discard(letter) == 1
        assert await queue.dead_letters() == []


@pytest.mark.parametrize("kind", ["sqlite", "redis", "amqp"])
async def test_headers_that_are_no_headers_make_a_dead_letter(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = f"h{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/q.db?name={name}"
    else:
        url = f"{request.getfixturevalue({'redis': 'redis_server', 'amqp': 'rabbit_server'}[kind]).url}?name={name}"
    async with open_queue(url) as queue:
        base = url.partition("?")[0]
        if kind == "sqlite":
            row = {"queue": name, "id": "odd", "body": "1", "headers": "[", "put_at": 1.0, "due": 1.0}
            _insert(tmp_path / "q.db", "pfx_queue", row)
        elif kind == "redis":
            import redis

            with redis.Redis.from_url(base) as client:
                client.xadd(f"pfx:{{{name}}}:queue", {"i": "odd", "b": "1", "t": "1", "h": "["})
        else:
            import aio_pika

            async with await aio_pika.connect(base) as line:
                channel = await line.channel()
                message = aio_pika.Message(b"1", headers={"h": "["}, message_id="odd")
                await channel.default_exchange.publish(message, f"pfx.queue.{name}")

        with pytest.raises(DecodingError, match="headers"):
            await queue.get(timeout=20)
        await queue.put("good")
        async with queue.get(timeout=20) as found:
            assert found.item == "good"
        assert len(await queue.dead_letters()) == 1


async def _heard(news: Any) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(20):
        while "last" not in found:
            one = await anext(news)
            try:
                found.append(one.item)
            except DecodingError:
                found.append("unreadable")
    return found


@pytest.mark.parametrize("number", ["abc", _BYTES, 2.5, 2**63 - 1, 900])
async def test_a_foreign_number_in_a_topic_s_file_stops_neither_publishers_nor_subscribers(number: Any, tmp_path: Path) -> None:
    async with open_topic(f"sqlite:///{tmp_path}/t.db?name=t") as topic, topic.subscribe() as news:
        await topic.publish("first")
        _insert(tmp_path / "t.db", "pfx_topic", {"topic": "t", "n": number, "id": "odd", "body": "[1", "headers": "{}", "put_at": 1.0})
        await topic.publish("last")

        assert sorted(await _heard(news)) in (["first", "last", "unreadable"], ["first", "last"])
        await topic.publish("last")
        assert "last" in await _heard(news)


@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_a_foreign_entry_ahead_in_a_topic_stops_neither_publishers_nor_subscribers(kind: str, request: pytest.FixtureRequest) -> None:
    name, server = f"t{uuid.uuid4().hex[:12]}", request.getfixturevalue(f"{kind}_server").url
    async with open_topic(f"{server}?name={name}") as topic, topic.subscribe() as news:
        await topic.publish("first")
        if kind == "redis":
            import redis

            with redis.Redis.from_url(server) as client:
                client.xadd(f"pfx:{{{name}}}:topic", {"i": _BYTES, "b": _BYTES}, id="2-0")
        else:
            import psycopg

            with psycopg.connect(server.partition("?")[0], autocommit=True) as line:
                line.execute("INSERT INTO pocketflex.news VALUES (%s, 2, 'odd', '[1', '{}', 1)", (name,))
        await topic.publish("last")

        assert await _heard(news) == ["first", "unreadable", "last"]


async def test_a_foreign_row_ahead_in_a_store_s_log_stops_no_writer(postgres_server: Any) -> None:
    import psycopg

    from pocketflex_nb.resources.stores.open_store import open_store

    name = f"s{uuid.uuid4().hex[:12]}"
    with open_store(f"{postgres_server.url}?name={name}") as store:
        store["a"] = 1
        with psycopg.connect(postgres_server.url.partition("?")[0], autocommit=True) as line:
            line.execute("INSERT INTO pocketflex.log VALUES (%s, 2, '\"b\"', '7', '')", (name,))

        store["a"] = 2

        assert store["a"] == 2
        with open_store(f"{postgres_server.url}?name={name}") as again:
            assert again["a"] == 2
