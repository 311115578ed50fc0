"""Prints of agents: under their name, line by line, in the run or the cell that started them."""

from __future__ import annotations

from typing import Any

import pytest

from pocketflex_nb.agents.host.agent_host import hosts
from tests.notebook.conftest import Shell

SETUP = """
import threading, sys
from pocketflex_nb.agents import Agent, Supervisor, child, spawn, offload
class Says(Agent):
    async def handle_call(self, message, caller):
        out = message()
        return await out if out is not None else out
    async def terminate(self, reason):
        print("bye", end="")
"""


@pytest.fixture
def says(shell: Shell) -> Any:
    shell.run(SETUP)
    yield shell
    left = [life for host in hosts() for life in list(host.incarnations.values())]
    for life in left:
        life.ref.exit("kill")


def test_a_line_has_the_agents_name(says: Shell) -> None:
    says.run("ref = Says.start_sync(name='ann')\nref.call_sync(lambda: print('a', 1)); ref.call_sync(lambda: print('b\\nc'))\n"
             "ref.call_sync(lambda: print('d', end='')); ref.call_sync(lambda: print('e', flush=True, end=''))\n"
             "ref.stop_sync(); print('plain')")

    assert says.said.splitlines() == ["[ann] a 1", "[ann] b", "[ann] c", "[ann] de", "[ann] bye", "plain"]


def test_lines_of_several_never_mix(says: Shell) -> None:
    says.run("both = threading.Barrier(2)\ndef speak():\n    print('x', end=''); both.wait(10); print('y')")
    says.run("refs = [Says.start_sync(name=name) for name in ('ann', 'bob')]")
    says.run("import asyncio\nasync def all(): return await asyncio.gather(*(ref.call(lambda: offload(speak)) for ref in refs))")

    says.run("asyncio.run(all())\ntask = spawn(print, 'by a task'); task.result_sync(); [ref.stop_sync() for ref in refs]")

    assert {"[ann] xy", "[bob] xy"} <= set(says.said.splitlines())
    assert "] by a task" in says.said


def test_an_agent_that_a_node_started_prints_into_its_run(says: Shell) -> None:
    says.run("@node\nasync def work(shared):\n    async with Supervisor([child(Says, name='inner')]) as sup:\n"
             "        await sup['inner'].call(lambda: print('hello'))")
    says.run("%pocketflex run work -o run --view none")

    assert [text for _, _, text, _ in says.names["run"].state().lines] == ["[inner] hello", "[inner] bye"]
    assert "hello" not in says.said


def test_an_agent_that_outlives_its_run_prints_into_the_cell(says: Shell) -> None:
    says.run("@node\nasync def work(shared):\n    shared['ref'] = await Says.start(name='stays')")
    says.run("%pocketflex run work -o run --view none")
    says.run("ref = run.store['ref']; ref.call_sync(lambda: print('later')); ref.stop_sync()")

    assert "[stays] later" in says.said


def test_an_agent_with_a_process_of_its_own_prints_as_any_other(says: Shell) -> None:
    says.run("ref = Says.start_sync(isolation='process', name='far')\n"
             "ref.call_sync(lambda: print('a\\nb', end=''))\nref.call_sync(lambda: print('c'))\nref.stop_sync()")

    assert says.said.splitlines()[:3] == ["[far] a", "[far] bc", "[far] bye"]
