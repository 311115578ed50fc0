"""Tests of queues and topics: ``async def`` tests on a fresh loop, and a RabbitMQ server, started once and ended with the session."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from tests.environment import need
from tests.resources.brokers import Rabbit


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Run ``async def test_...`` on a fresh loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[Rabbit]:
    need(Rabbit.is_here(), "rabbitmq-server", "apt-get install rabbitmq-server")
    with Rabbit() as server:
        yield server
