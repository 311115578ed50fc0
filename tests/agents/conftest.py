"""Agents' tests run on a loop of their own, and leave nobody alive and no task behind."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from pocketflex_nb.agents.host.agent_host import hosts
from pocketflex_nb.agents.messaging.name_table import names
from pocketflex_nb.testing import VirtualClock, settle


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Run ``async def test_...`` on a fresh loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(_checked(pyfuncitem.obj(**arguments)))
    return True


async def _checked(test: Any) -> None:
    await test
    await settle()
    loop = asyncio.get_running_loop()
    here = [life for host in hosts() if host.loop is loop for life in host.incarnations.values()]
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not here, f"still alive: {here}"
    assert not tasks, f"still there: {tasks}"


@pytest.fixture(autouse=True)
def nobody_is_left() -> Any:
    """No test leaves an agent on the engine thread, or a name."""
    yield
    left = [life for host in hosts() for life in host.incarnations.values()]
    for life in left:
        life.ref.exit("kill")
    assert not left, f"still alive: {left}"
    assert names.count() == 0, names.select()
