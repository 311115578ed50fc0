"""What every topic promises, whatever carries it: one suite over all kinds, against real servers."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import Flow, Node
from pocketflex_nb.agents import Agent
from pocketflex_nb.core.errors import BadURL, EncodingError, ResourceError, RunCancelled, Unreachable
from pocketflex_nb.resources.queues.open_queue import open_queue
from pocketflex_nb.resources.topics.open_topic import open_topic
from pocketflex_nb.resources.topics.subscription import Subscription
from pocketflex_nb.resources.topics.topic import Topic
from tests.environment import free_port
from tests.resources.brokers import Broker, CarefulRedis, Rabbit
from tests.resources.postgres_server import PostgresServer

SERVERS = {"redis": "redis_server", "postgres": "postgres_server", "amqp": "rabbit_server"}
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=["memory", "sqlite", "redis", "postgres", "amqp"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A topic that nobody has used yet."""
    name = f"t{uuid.uuid4().hex[:12]}"
    if request.param in SERVERS:
        return f"{request.getfixturevalue(SERVERS[request.param]).url}?name={name}"
    return f"memory:{name}" if request.param == "memory" else f"sqlite:///{tmp_path}/t.db?name={name}"


async def items(news: Subscription, count: int) -> list[Any]:
    return [(await news.get(timeout=20)).item for _ in range(count)]


async def test_every_subscriber_gets_everything_in_order_with_its_headers(url: str) -> None:
    async with open_topic(url) as topic, open_topic(url) as other:
        subscriptions = [topic.subscribe(), topic.subscribe(), other.subscribe()]
        ids = [await topic.publish({"n": (n,)}, headers={"h": n}) for n in range(20)]

        for news in subscriptions:
            got = [await news.get(timeout=20) for _ in range(20)]
            assert [msg.id for msg in got] == ids
            assert [msg.item for msg in got] == [{"n": (n,)} for n in range(20)]
            assert [msg.headers for msg in got] == [{"h": n} for n in range(20)]
            assert news.missed == 0


async def test_a_subscriber_gets_nothing_from_before_it_came(url: str) -> None:
    async with open_topic(url) as topic:
        await topic.publish("old")

        with topic.subscribe() as news:
            await topic.publish("new")

            assert await items(news, 1) == ["new"]
            with pytest.raises(TimeoutError, match="nothing was published"):
                await news.get(timeout=0)


async def test_a_topic_without_subscribers_takes_what_is_published(url: str) -> None:
    async with open_topic(url) as topic:
        assert await topic.publish(1) != await topic.publish(1)


async def test_topics_of_other_names_are_apart(url: str) -> None:
    async with open_topic(url) as topic, open_topic(url, name=f"x{uuid.uuid4().hex[:8]}") as other:
        with topic.subscribe() as news:
            await other.publish("theirs")
            await topic.publish("ours")

            assert await items(news, 1) == ["ours"]


async def test_the_loop_over_a_topic_is_a_subscription_and_ends_when_it_is_closed(url: str) -> None:
    topic = open_topic(url)
    got: list[int] = []
    began = asyncio.Event()

    async def read() -> str:
        news = aiter(topic)
        began.set()
        async for msg in news:
            got.append(msg.item)
        return "ended"

    reading = asyncio.create_task(read())
    await began.wait()
    for n in range(5):
        await topic.publish(n)
    async with asyncio.timeout(20):
        while len(got) < 5:
            await asyncio.sleep(0.01)
    await topic.close()

    assert await asyncio.wait_for(reading, 10) == "ended"
    assert got == list(range(5))
    with pytest.raises(ResourceError, match="closed"):
        await topic.publish(1)
    with pytest.raises(ResourceError, match="closed"):
        topic.subscribe()


async def test_who_does_not_read_in_time_misses_the_oldest_and_knows_how_many(url: str) -> None:
    async with open_topic(url) as topic:
        slow, marker = topic.subscribe(limit=3), topic.subscribe()
        for n in range(10):
            await topic.publish(n)
        await items(marker, 10)
        async with asyncio.timeout(20):
            while len(slow._news) + slow.missed < 10:
                await asyncio.sleep(0.01)

        assert await items(slow, 3) == [7, 8, 9]
        assert slow.missed == 7


async def test_an_agent_that_subscribed_gets_each_item_until_it_ends(url: str) -> None:
    class Listener(Agent):
        async def init(self, topic: Any, heard: list[Any]) -> None:
            self.heard = heard
            self.news = topic.subscribe(self.ref)

        async def handle_info(self, message: Any) -> None:
            self.heard.append(message)

    async with open_topic(url) as topic:
        heard: list[Any] = []
        ref = await Listener.start(topic, heard)
        marker = topic.subscribe()

        for n in range(5):
            await topic.publish(n)
        async with asyncio.timeout(20):
            while len(heard) < 5:
                await asyncio.sleep(0.01)
        assert len(topic._told) == 1
        await ref.stop()
        await topic.publish("nobody hears this")
        await items(marker, 6)
        async with asyncio.timeout(20):
            while topic._told:
                await asyncio.sleep(0.01)

        assert heard == list(range(5))


async def test_a_function_is_called_with_each_item_and_its_errors_are_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    got: list[Any] = []
    enough = threading.Event()

    def hear(item: Any) -> None:
        if item == "bad":
            raise ValueError("cannot hear that")
        got.append(item)
        if item == "last":
            enough.set()

    async with open_topic(url) as topic:
        subscription = topic.subscribe(hear)
        del subscription        # one with a function lives until it is closed
        gc.collect()
        for item in ("first", "bad", "last"):
            await topic.publish(item)

        assert await asyncio.to_thread(enough.wait, 20)
    assert got == ["first", "last"]
    assert "failed on message" in caplog.text


async def test_a_step_whose_run_was_cancelled_reads_nothing_more() -> None:
    async with open_topic("memory:") as topic:
        news, waits = topic.subscribe(), threading.Event()

        class Reads(Node):
            def exec(self, _: Any) -> Any:
                waits.set()
                return news.get_sync().item

        run = Flow(start=Reads()).launch({})
        await asyncio.to_thread(waits.wait, 20)
        run.cancel()
        with pytest.raises(RunCancelled):
            await run
        await topic.publish("rain")

        assert (await news.get(timeout=20)).item == "rain"


async def test_large_headers_arrive_whole(url: str) -> None:
    async with open_topic(url) as topic, topic.subscribe() as news:
        await topic.publish(1, headers={"text": "é" * 200_000})

        assert (await news.get(timeout=20)).headers == {"text": "é" * 200_000}


async def test_a_closed_subscription_gets_nothing_more(url: str) -> None:
    async with open_topic(url) as topic:
        news, marker = topic.subscribe(), topic.subscribe()
        await topic.publish(1)
        await items(news, 1)
        news.close()
        await topic.publish(2)
        await items(marker, 2)

        with pytest.raises(ResourceError, match="closed"):
            await news.get(timeout=0.1)


async def test_what_cannot_be_written_or_called_is_told(url: str) -> None:
    async def hear(item: Any) -> None: ...

    async with open_topic(url) as topic:
        with pytest.raises(EncodingError, match=r"item\.a"):
            await topic.publish({"a": threading.Lock()})
        with pytest.raises(TypeError, match="async for"):
            topic.subscribe(hear)
        with pytest.raises(TypeError, match="a plain function"):
            topic.subscribe(1)
        with pytest.raises(ValueError, match="limit=0"):
            topic.subscribe(limit=0)


def test_plain_code_publishes_and_reads(url: str) -> None:
    with open_topic(url) as topic, topic.subscribe() as news:
        topic.publish_sync("x", headers={"h": 1})

        msg = news.get_sync(timeout=20)

        assert (msg.item, msg.headers) == ("x", {"h": 1})


def publish_elsewhere(url: str, count: int) -> None:
    with open_topic(url) as topic:
        for n in range(count):
            topic.publish_sync(n)


@pytest.mark.parametrize("kind", ["sqlite", "redis", "postgres", "amqp"])
async def test_another_process_is_heard(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = f"p{uuid.uuid4().hex[:8]}"
    url = f"sqlite:///{tmp_path}/t.db" if kind == "sqlite" else request.getfixturevalue(SERVERS[kind]).url
    async with open_topic(f"{url}?name={name}") as topic:
        with topic.subscribe() as news:
            process = SPAWN.Process(target=publish_elsewhere, args=(f"{url}?name={name}", 50))
            process.start()

            assert await items(news, 50) == list(range(50))
            process.join()


async def test_a_file_keeps_no_more_than_it_was_told_and_who_is_behind_knows(tmp_path: Path) -> None:
    async with open_topic(f"sqlite:///{tmp_path}/t.db", keep=10) as topic:
        for n in range(200):
            await topic.publish(n)

        rows, _ = await topic._backend._file.do("SELECT count(*), max(n) FROM pfx_topic")      # type: ignore[attr-defined]
        assert rows[0][0] <= 10 + 64
        assert rows[0][1] == 200


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", [CarefulRedis, Rabbit], ids=["redis", "amqp"])
async def test_a_subscriber_goes_on_after_the_server_was_killed_and_started_again(
    kind: type[Broker], request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue({CarefulRedis: "redis_server", Rabbit: "rabbit_server"}[kind])     # skips where there is none
    with kind() as server:
        async with open_topic(server.url) as topic:
            with topic.subscribe() as news:
                await topic.publish("before")
                assert await items(news, 1) == ["before"]
                await asyncio.to_thread(server.restart)

                for n in range(10):
                    await topic.publish(n)

                got: list[Any] = []
                while 9 not in got:
                    got += await items(news, 1)
                assert list(dict.fromkeys(got)) == list(range(10))      # one may have been published twice


async def test_a_message_of_a_megabyte_arrives_whole(url: str) -> None:
    async with open_topic(url) as topic:
        with topic.subscribe() as news:
            await topic.publish({"text": "ä" * 1_000_000})

            assert await items(news, 1) == [{"text": "ä" * 1_000_000}]


@pytest.mark.timeout(120)
async def test_a_postgres_topic_goes_on_after_a_restart_with_each_message_once(postgres_server: PostgresServer) -> None:
    server = PostgresServer(fsync=True)
    try:
        await asyncio.to_thread(server.start)
        async with open_topic(server.url) as topic, open_topic(server.url) as other:
            with topic.subscribe() as news:
                await topic.publish("before")
                assert await items(news, 1) == ["before"]
                publishing = asyncio.create_task(publish_all(other, 500))
                await asyncio.to_thread(server.stop, signal.SIGQUIT)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(topic.publish("lost"), 0.5)      # waits while the server is away
                await asyncio.to_thread(server.start)
                await publishing

                got = await items(news, 500)
                assert [item for item in got if item != "lost"] == list(range(500))[: len(got) - got.count("lost")]
    finally:
        await asyncio.to_thread(server.remove)


async def publish_all(topic: Topic, count: int) -> None:
    for n in range(count):
        await topic.publish(n)


async def test_a_postgres_topic_whose_tables_were_deleted_begins_anew(postgres_server: PostgresServer) -> None:
    import psycopg

    async with open_topic(f"{postgres_server.url}?name=gone") as topic:
        with topic.subscribe() as news:
            await topic.publish("before")
            assert await items(news, 1) == ["before"]
            with psycopg.connect(postgres_server.url, autocommit=True) as line:
                line.execute("DROP TABLE pocketflex.news, pocketflex.topics CASCADE")
                line.execute("DROP FUNCTION pocketflex.publish_2")

            await topic.publish("after")

            assert await items(news, 1) == ["after"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_fork_publishes_and_subscribes_with_connections_of_its_own(postgres_server: PostgresServer) -> None:
    with open_topic(f"{postgres_server.url}?name=forked") as topic, topic.subscribe() as news:
        child = os.fork()
        if child == 0:
            with topic.subscribe() as mine:
                topic.publish_sync("from the child")
                os._exit(0 if mine.get_sync(20).item == "from the child" else 1)
        assert os.waitpid(child, 0)[1] == 0
        topic.publish_sync("from the parent")

        assert [news.get_sync(20).item, news.get_sync(20).item] == ["from the child", "from the parent"]


async def test_a_subscriber_that_comes_as_the_last_one_goes_is_followed(url: str) -> None:
    async with open_topic(url) as topic:
        for n in range(20):
            news = topic.subscribe()
            await topic.publish(n)
            assert await items(news, 1) == [n]
            news.close()


def test_who_wants_a_queue_at_postgres_is_told_where_there_are_queues() -> None:
    with pytest.raises(BadURL, match=r"no queue for 'postgresql' URLs.*amqp:.*memory:.*redis:.*sqlite:"):
        open_queue("postgresql://me:secret@localhost/db")


def test_where_nobody_listens_the_error_is_the_same_as_a_queues() -> None:
    port = free_port()

    for scheme in ("redis", "postgresql", "amqp"):
        with pytest.raises(Unreachable, match=str(port)):
            open_topic(f"{scheme}://127.0.0.1:{port}/")
    with pytest.raises(BadURL, match="open_topic"):
        open_topic("https://example.org")
    with pytest.raises(ValueError, match="keep=0"):
        open_topic("memory:", keep=0)
