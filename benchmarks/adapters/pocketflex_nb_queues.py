"""Queues and topics beside the bare client of the same server: both on one loop, in turn, at one server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.kit import entry

SYS = "pocketflex_nb"
#: rounds of both in turn; the median of their ratios counts, so that what else the machine does falls on both
ROUNDS = 11
#: seconds of each turn, put and got in pieces
TURN, PIECE = 0.3, 20
WAKES = 60
#: messages that the server sends ahead, in the variant where it does
AHEAD = 50
_PUBLISHER = """
import sys, time
from pocketflex_nb import open_topic
with open_topic(sys.argv[1]) as topic:
    for _ in range(int(sys.argv[2])):
        time.sleep(0.03)
        topic.publish_sync(time.perf_counter())
    topic.publish_sync(0.0)
"""
_numbers = itertools.count()


def item():
    return {"task": "read", "n": next(_numbers), "notes": ["tides", "moon"]}


class SqliteClient:
    """The standard library's module, as careful as the queue: write-ahead log, a lease, and a delete when it was handled."""

    async def open(self, url):
        self.line = sqlite3.connect(url.removeprefix("sqlite:///") + ".bare", isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL",
                          "CREATE TABLE bare (n INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT, due REAL)", "CREATE INDEX d ON bare (due)"):
            self.line.execute(statement)

    async def put(self):
        self.line.execute("INSERT INTO bare (body, due) VALUES (?, ?)", (json.dumps(item()), time.time()))

    async def get(self):
        now = time.time()
        ((n, body),) = self.line.execute(
            "UPDATE bare SET due = ? WHERE n = (SELECT n FROM bare WHERE due <= ? ORDER BY due LIMIT 1) RETURNING n, body", (now + 30, now),
        ).fetchall()
        json.loads(body)
        self.line.execute("DELETE FROM bare WHERE n = ?", (n,))

    async def close(self):
        self.line.close()


class RedisClient:
    """redis-py's asyncio client and a consumer group."""

    async def open(self, url):
        import redis.asyncio

        self.line = redis.asyncio.Redis.from_url(url, decode_responses=True)
        await self.line.xgroup_create("bare", "workers", "0", mkstream=True)

    async def put(self):
        await self.line.xadd("bare", {"body": json.dumps(item())})

    async def get(self):
        told = await self.line.xreadgroup("workers", "me", {"bare": ">"}, count=1, block=250)
        streams = told.values() if isinstance(told, dict) else [part for _, part in told]
        (entries,) = streams
        entry, fields = (entries[0] if len(entries[0]) == 2 else entries)[:2] if entries and entries[0] else (None, None)
        if isinstance(entry, (list, tuple)):
            entry, fields = entry
        json.loads(fields["body"])
        async with self.line.pipeline(transaction=False) as pipe:
            pipe.xack("bare", "workers", entry)
            pipe.xdel("bare", entry)
            await pipe.execute()

    async def close(self):
        await self.line.aclose()


class AmqpClient:
    """aio-pika: a quorum queue, confirms, and one message pulled at a time, or sent ahead."""

    def __init__(self, ahead=1):
        self.ahead = ahead

    async def open(self, url):
        import aio_pika

        self.pika = aio_pika
        self.line = await aio_pika.connect(url)
        self.channel, self.taking = await self.line.channel(publisher_confirms=True), await self.line.channel()
        await self.taking.set_qos(prefetch_count=self.ahead)
        self.queue = await self.taking.declare_queue("bare", durable=True, arguments={"x-queue-type": "quorum"})
        self.messages = aiter(self.queue.iterator()) if self.ahead > 1 else None

    async def put(self):
        body = json.dumps(item()).encode()
        message = self.pika.Message(body, delivery_mode=self.pika.DeliveryMode.PERSISTENT)
        await self.channel.default_exchange.publish(message, "bare")

    async def get(self):
        message = await (self.queue.get() if self.messages is None else anext(self.messages))
        json.loads(message.body)
        await message.ack()

    async def close(self):
        await self.line.close()


CLIENTS = {"sqlite": SqliteClient, "redis": RedisClient, "amqp": AmqpClient}


@contextlib.contextmanager
def place(kind):
    """The URL of a server of its own, or of a file."""
    from tests.resources.brokers import Rabbit, Redis

    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="pfx-bench-") as folder:
            yield f"sqlite:///{folder}/queue.db"
    elif kind == "postgres":
        from tests.resources.postgres_server import PostgresServer

        server = PostgresServer(fsync=True)
        try:
            yield server.start().url
        finally:
            server.remove()
    else:
        with (Redis if kind == "redis" else Rabbit)() as server:
            yield server.url


async def turn(put, get, seconds):
    """Messages put and got per second, for about so long."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(PIECE):
            await put()
        for _ in range(PIECE):
            await get()
        count += PIECE
    return count / (time.perf_counter() - start)


async def beside(m, kind, url, ahead):
    from pocketflex_nb import open_queue

    bare = CLIENTS[kind]() if ahead == 1 else AmqpClient(ahead)
    await bare.open(url)
    async with open_queue(url, prefetch=ahead) as queue:
        messages = aiter(queue)

        async def get():
            if ahead > 1:
                return (await anext(messages)).item
            async with queue.get() as msg:
                return msg.item

        rates = []
        for number in range(ROUNDS + 1):
            pair = [await turn(bare.put, bare.get, TURN), await turn(lambda: queue.put(item()), get, TURN)]
            if number:  # the first warms up
                rates.append(pair)
        messages = None  # what it has in hand is given back before the queue is counted
        m.extra |= {"ratio": statistics.median(bare / ours for bare, ours in rates), "ours": statistics.median(ours for _, ours in rates),
                    "bare": statistics.median(bare for bare, _ in rates)}
        m.check((await queue.stats()).ready == 0)
    await bare.close()


async def heard(m, url):
    from pocketflex_nb import open_topic

    took = []
    async with open_topic(url) as topic:
        with topic.subscribe() as news:
            publisher = subprocess.Popen([sys.executable, "-c", _PUBLISHER, url, str(WAKES)])
            async for msg in news:
                if not msg.item:
                    break
                took.append(time.perf_counter() - msg.item)
    m.check(publisher.wait(30) == 0 and len(took) == WAKES)
    m.extra |= {"ms": statistics.median(took) * 1e3, "worst": max(took) * 1e3}


def register_queue(kind):
    for variant, ahead in (("put, get, ack", 1), ("sent ahead", AHEAD)):
        if ahead > 1 and kind != "amqp":
            continue

        @entry(f"queue_{kind}", SYS, variant, n=1, venv="venv-servers", order=5, marked=ahead == 1)
        def _(m, ahead=ahead):
            with place(kind) as url:
                asyncio.run(beside(m, kind, url, ahead))


def register_topic(kind):
    @entry(f"topic_{kind}", SYS, "publish, async for", n=1, venv="venv-servers", order=5, marked=True)
    def _(m):
        with place(kind) as url:
            asyncio.run(heard(m, url))


for _kind in CLIENTS:
    register_queue(_kind)
for _kind in (*CLIENTS, "postgres"):
    register_topic(_kind)
