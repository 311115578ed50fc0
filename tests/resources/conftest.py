"""Real servers and fresh stores for the tests of this room, and ``async def`` tests on a fresh loop."""

from __future__ import annotations

import asyncio
import inspect
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.resources.stores.open_store import open_store
from pocketflex_nb.resources.stores.shared_store import SharedStore
from tests.environment import need
from tests.resources.brokers import Rabbit, Redis
from tests.resources.postgres_server import PostgresServer

#: the module that pytest began with, as this room was collected
_MAIN = sys.modules["__main__"]


@pytest.fixture(scope="package", autouse=True)
def _main_is_a_file() -> Iterator[None]:
    """An IPython shell of another room's tests leaves a `__main__` that no child process could begin with."""
    now, sys.modules["__main__"] = sys.modules["__main__"], _MAIN
    yield
    sys.modules["__main__"] = now


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Run ``async def test_...`` on a fresh loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


KINDS = ("memory", "sqlite", "redis", "postgres")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    need(Redis.is_here(), "redis-server", "apt-get install redis-server")
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[Rabbit]:
    need(Rabbit.is_here(), "rabbitmq-server", "apt-get install rabbitmq-server")
    with Rabbit() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.remove()


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of a store that nobody has used yet."""
    name = uuid.uuid4().hex[:12]
    if kind == "memory":
        return f"memory:{name}"
    if kind == "sqlite":
        return f"sqlite:///{folder / 'stores.db'}?name={name}"
    return f"{request.getfixturevalue(f'{kind}_server').url}?name={name}"


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


@pytest.fixture(params=[kind for kind in KINDS if kind != "memory"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that other processes reach, too."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture
def opened(url: str) -> Iterator[Callable[..., SharedStore]]:
    """Opens the test's store, as often as it is called; closes what was opened."""
    stores: list[SharedStore] = []

    def open_one(**options: Any) -> SharedStore:
        stores.append(open_store(url, **options))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def pair(opened: Callable[..., SharedStore]) -> tuple[SharedStore, SharedStore]:
    """Two who have opened the same store, as two kernels would."""
    return opened(), opened()
