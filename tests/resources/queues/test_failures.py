"""What becomes of messages when a consumer is killed, a server is restarted, or was never there."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.errors import BadURL, MissingExtra, PocketflexError, Refused, Unreachable
from pocketflex_nb.resources.queues.open_queue import open_queue
from tests.resources.brokers import Broker, CarefulRedis, Rabbit, Redis

SPAWN = multiprocessing.get_context("spawn")
SECRET = "s3cr3t-pässword/"
WRONG = "hunter" + "22"      # so that no line of this file, shown in a traceback, has it
CLIENTS = {"redis": "redis", "amqp": "aio_pika"}


@pytest.fixture(params=["sqlite", "redis", "amqp"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = f"f{uuid.uuid4().hex[:12]}"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/q.db?name={name}"
    return f"{request.getfixturevalue({'redis': 'redis_server', 'amqp': 'rabbit_server'}[request.param]).url}?name={name}"


def hold_one(url: str, says: Any) -> None:
    """A consumer that takes a message and never answers."""
    queue = open_queue(url, lease=1)
    msg = queue.get_sync(timeout=30)
    says.send((msg.id, msg.deliveries))
    threading.Event().wait()


def killed_consumer(url: str) -> tuple[str, int]:
    """What a consumer took that was then killed."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=hold_one, args=(url, there), daemon=True)
    process.start()
    there.close()
    taken: tuple[str, int] = here.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return taken


async def test_what_a_killed_consumer_had_comes_again(url: str) -> None:
    async with open_queue(url, lease=1) as queue:
        put = await queue.put("precious", key="k")
        taken = await asyncio.to_thread(killed_consumer, url)

        async with queue.get(timeout=30) as msg:
            assert taken == (put, 1)
            assert (msg.id, msg.key, msg.item, msg.deliveries) == (put, "k", "precious", 2)


async def test_a_message_that_kills_its_consumers_becomes_a_dead_letter(url: str) -> None:
    async with open_queue(url, lease=1, max_deliveries=2) as queue:
        put = await queue.put("poison")
        taken = [await asyncio.to_thread(killed_consumer, url) for _ in range(2)]

        await queue.put("healthy")
        async with queue.get(timeout=30) as msg:
            first = msg.item
        if first == "healthy":
            with pytest.raises(TimeoutError):      # its lease may end a little later than the healthy one was put
                await queue.get(timeout=2)
        (letter,) = await queue.dead_letters()

        assert taken == [(put, 1), (put, 2)]
        assert (letter.id, letter.deliveries) == (put, 2)
        assert "ended without an answer" in letter.error


@pytest.fixture(params=[CarefulRedis, Rabbit], ids=["redis", "amqp"])
def own_server(request: pytest.FixtureRequest) -> Any:
    """A server that this test may kill."""
    request.getfixturevalue({CarefulRedis: "redis_server", Rabbit: "rabbit_server"}[request.param])     # skips where there is none
    with request.param() as server:
        yield server


@pytest.mark.timeout(180)
async def test_everybody_goes_on_when_the_server_was_killed_and_started_again(own_server: Broker) -> None:
    got: list[int] = []
    async with open_queue(own_server.url, lease=2) as queue, open_queue(own_server.url, lease=2) as other:

        async def consume() -> None:
            async for msg in other:
                got.append(msg.item)

        await asyncio.to_thread(own_server.keeps, "pfx.queue.default")
        await queue.put("later", delay=600)
        consuming = asyncio.create_task(consume())
        for n in range(20):
            await queue.put(n)
        restarting = asyncio.create_task(asyncio.to_thread(own_server.restart))
        for n in range(20, 60):
            await queue.put(n)
            await asyncio.sleep(0.01)
        await restarting
        async with asyncio.timeout(60):
            while len(set(got)) < 60:
                await asyncio.sleep(0.05)
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)

        assert set(got) == set(range(60))
        # one message in hand, one acknowledgement and one put on their way, when the server was killed
        assert len(got) <= 60 + 3
        assert (await queue.stats()).delayed == 1


async def test_an_acknowledgement_after_the_connection_was_lost_says_so(rabbit_server: Rabbit) -> None:
    async with open_queue(f"{rabbit_server.url}?name=lost{uuid.uuid4().hex[:8]}") as queue:
        await queue.put(1)
        msg = await queue.get(timeout=20)
        connection = msg._stored.tag[0]
        await connection.client.close()

        assert not await msg.ack()
        assert msg.is_lost
        async with queue.get(timeout=20) as again:
            assert (again.id, again.deliveries) == (msg.id, 2)


async def test_a_consumer_whose_lease_was_taken_over_is_told(redis_server: Redis) -> None:
    url = f"{redis_server.url}?name=taken{uuid.uuid4().hex[:8]}"
    async with open_queue(url, lease=1) as queue, open_queue(url, lease=1) as other:
        await queue.put(1)
        mine = await queue.get(timeout=20)
        queue._release(mine)             # as if this process had been stopped for longer than the lease

        theirs = await other.get(timeout=20)

        assert not await mine.nack("late")
        assert mine.is_lost
        assert await theirs.ack()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_where_no_server_listens_the_error_has_host_port_and_no_secret_within_5_s(scheme: str) -> None:
    from urllib.parse import quote

    from tests.environment import free_port

    port = free_port()
    begin = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        open_queue(f"{scheme}://me:{quote(SECRET, safe='')}@127.0.0.1:{port}/")

    assert time.monotonic() - begin < 5
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
    assert f"127.0.0.1:{port}" in str(caught.value)
    told_nothing_secret(caught.value)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_server_that_never_answers_is_given_up_within_5_s(scheme: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            open_queue(f"{scheme}://me:{WRONG}@127.0.0.1:{silent.getsockname()[1]}/")

    assert time.monotonic() - begin < 5
    told_nothing_secret(caught.value)


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_a_wrong_password_is_refused_and_not_told(kind: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue({"redis": "redis_server", "amqp": "rabbit_server"}[kind])
    scheme = {"redis": "redis", "amqp": "amqp"}[kind]
    user = {"redis": "", "amqp": "guest"}[kind]

    begin = time.monotonic()
    with pytest.raises(Refused) as caught:
        open_queue(f"{scheme}://{user}:{WRONG}@127.0.0.1:{server.port}/0" if kind == "redis" else
                   f"{scheme}://{user}:{WRONG}@127.0.0.1:{server.port}/")

    assert time.monotonic() - begin < 5
    told_nothing_secret(caught.value)


def test_a_virtual_host_that_is_not_there_is_told(rabbit_server: Rabbit) -> None:
    with pytest.raises(Refused, match="is there a virtual host 'nowhere'"):
        open_queue(f"{rabbit_server.url}nowhere")


def told_nothing_secret(error: BaseException) -> None:
    import traceback

    text = "".join(traceback.format_exception(error)) + repr(vars(error))
    assert "s3cr3t" not in text and WRONG not in text and "***" in text


@pytest.mark.parametrize(("scheme", "module", "extra"), [("redis", "redis", "redis"), ("amqp", "aio_pika", "rabbitmq")])
def test_a_missing_client_is_an_error_with_the_pip_line(scheme: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)         # what makes `import` fail

    with pytest.raises(MissingExtra) as caught:
        open_queue(f"{scheme}://me:{WRONG}@127.0.0.1/")

    assert f"pip install 'pocketflex_nb[{extra}]'" in str(caught.value)
    told_nothing_secret(caught.value)


@pytest.mark.parametrize("url", ["postgresql://h/db", "mysql://h", "redis", "sqlite://q.db"])
def test_a_url_of_no_queue_is_told(url: str) -> None:
    with pytest.raises(BadURL, match="open_queue"):
        open_queue(url)


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database, and longer than an empty file would be " * 30)

    for path in (tmp_path / "missing" / "q.db", tmp_path / "text.db"):
        with pytest.raises(PocketflexError, match="cannot be opened"):
            open_queue(f"sqlite:///{path}")
