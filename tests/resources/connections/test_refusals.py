"""What a server refuses is told as ours: no client's error passes, and what was kept before is still there."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pocketflex_nb.core.errors import Refused, ResourceError
from pocketflex_nb.resources.queues.open_queue import open_queue
from pocketflex_nb.resources.stores.open_store import open_store
from pocketflex_nb.resources.topics.open_topic import open_topic
from tests.resources.brokers import Redis
from tests.resources.postgres_server import PostgresServer


@pytest.fixture
def full(redis_server: Redis) -> Iterator[Callable[[], None]]:
    """Makes the server's memory count as full."""
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        yield lambda: client.config_set("maxmemory", 1)
        client.config_set("maxmemory", 0)


def test_a_redis_whose_memory_is_full_refuses_and_keeps_what_it_has(redis_server: Redis, full: Callable[[], None]) -> None:
    url = f"{redis_server.url}?name={uuid.uuid4().hex[:12]}"
    with open_store(url) as store, open_queue(url) as queue, open_topic(url) as topic:
        store["a"] = 1
        queue.put_sync("first")
        full()

        verbs: list[Callable[[], Any]] = [
            lambda: store.update({"a": 2}), lambda: store.increment("a"), lambda: store.lock("k").__enter__(),
            lambda: queue.put_sync(1), lambda: queue.put_sync(1, delay=9), lambda: topic.publish_sync(1),
        ]
        for verb in verbs:
            with pytest.raises(ResourceError, match=r"refuses.*memory"):
                verb()

        assert store["a"] == 1
        assert queue.stats_sync().ready == 1


@pytest.fixture
def guest(postgres_server: PostgresServer) -> Iterator[tuple[str, Any]]:
    """The URL of a role that may do nothing, and a connection of one that may do all."""
    import psycopg

    name = f"guest_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'Zq-S3cret'")
        yield postgres_server.url.replace(postgres_server.url.partition("//")[2].partition("@")[0], f"{name}:Zq-S3cret"), owner
        owner.execute(f"DROP OWNED BY {name}")
        owner.execute(f"DROP ROLE {name}")


def test_a_postgres_role_without_rights_is_refused(guest: tuple[str, Any], postgres_server: PostgresServer) -> None:
    url, owner = guest
    store_url = f"{url}?name={uuid.uuid4().hex[:12]}"
    open_store(f"{postgres_server.url}?name=first").close()  # the tables are there

    with pytest.raises(Refused, match="permission denied") as caught:
        open_store(store_url)
    assert "Zq-S3cret" not in str(caught.value)

    role = url.partition("//")[2].partition(":")[0]
    owner.execute(f"GRANT USAGE ON SCHEMA pocketflex TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA pocketflex TO {role}")
    with open_store(store_url) as store:
        store["a"] = 1
        owner.execute(f"REVOKE INSERT, UPDATE ON ALL TABLES IN SCHEMA pocketflex FROM {role}")

        for verb in (lambda: store.lock("k").__enter__(), lambda: store.update({"a": 2}), lambda: store.increment("a")):
            with pytest.raises(ResourceError, match="refuses: permission denied"):
                verb()
        assert store["a"] == 1
