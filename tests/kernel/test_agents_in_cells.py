"""Scenarios S67 and S70: agents and cells of a real kernel."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.kernel.kernels import Kernel

SETUP = """
%load_ext pocketflex_nb
import asyncio, time
from pocketflex_nb import Agent, Supervisor, child
from pocketflex_nb.agents import living, whereis

class Ticker(Agent):
    async def init(self):
        self.n = 0
        self.ticking = asyncio.create_task(self.tick())
    async def tick(self):
        while True:
            await asyncio.sleep(0.01)
            self.n += 1
    async def handle_call(self, message, caller):
        return self.n
    async def terminate(self, reason):
        self.ticking.cancel()

class Sleeper(Agent):
    async def handle_call(self, seconds, caller):
        await asyncio.sleep(seconds)
        return "slept"
"""
TREE = 'sup = await Supervisor([child(Ticker, id=n, name=n) for n in "abc"], name="sup").start(); print(len(living()), sup.ref.pid)'


@pytest.fixture
def kernel(fresh_kernel: Kernel) -> Kernel:
    ran = fresh_kernel.run(SETUP)
    assert ran.status == "ok", ran.errors
    return fresh_kernel


def run_as(kernel: Kernel, cell_id: str | None, code: str) -> Any:
    """Run `code` as the cell of that id, the way JupyterLab tells it."""
    ran = kernel.run(code, cell_id=cell_id)
    assert ran.status == "ok", ran.errors
    return ran


@pytest.mark.parametrize("cell_id", ["cell-7", None], ids=["with a cell id", "by the supervisor's name"])
def test_S67_running_a_cell_again_stops_its_old_tree_first(kernel: Kernel, cell_id: str | None) -> None:
    first = run_as(kernel, cell_id, TREE).text.split()
    run_as(kernel, "another" if cell_id else None, "old, order = sup, list(sup.events)")

    second = run_as(kernel, cell_id, TREE).text.split()

    assert first[0] == second[0] == "1"
    assert first[1] != second[1]
    told = run_as(
        kernel,
        "another" if cell_id else None,
        "print([e['id'] for e in old.events if e.kind == 'exit'], old.is_alive, [whereis(n) is sup[n] for n in 'abc'])\n"
        "print(max(e.seq for e in old.events if e.kind == 'exit') < min(e.seq for e in sup.events))",
    ).text
    assert "['c', 'b', 'a', 'sup'] False [True, True, True]" in told
    assert "True" in told.splitlines()[1]


def test_S70_the_stop_button_ends_the_waiting_and_no_agent(kernel: Kernel) -> None:
    assert kernel.run("sleeper, ticker = Sleeper.start_sync(), Ticker.start_sync(); before = ticker.call_sync('?')").status == "ok"
    for code in ("print('waiting'); sleeper.call_sync(30, timeout=60)", "print('waiting'); await sleeper.call(30, timeout=60)"):
        cell = kernel.start(code)
        kernel.wait_for_text(cell, "waiting")
        time.sleep(0.3)  # the call is on its way: nothing to be seen of it from here
        began = time.monotonic()
        kernel.interrupt()
        ran = kernel.finish(cell)

        assert time.monotonic() - began < 2 + 3  # three seconds for a busy machine
        assert ran.status == "error"
        assert "KeyboardInterrupt" in ran.errors or "CancelledError" in ran.errors
    told = kernel.run("print(sleeper.is_alive, ticker.is_alive, ticker.call_sync('?') > before + 10)").text
    assert told.split() == ["True", "True", "True"]


def test_an_agent_that_never_awaits_is_killed_while_other_cells_answer(kernel: Kernel) -> None:
    spin = (
        "class Spins(Agent):\n    async def handle_cast(self, message):\n        while True:\n            pass\n"
        "sup = await Supervisor([child(Spins, id='s'), child(Ticker, id='t')]).start(); spinner = sup['s']; spinner.cast('go')"
    )
    assert kernel.run(spin).status == "ok"
    assert kernel.run("print(6 * 7)").text == "42\n"
    look = "while not (lags := [e['where'] for e in sup.events if e.kind == 'lag']):\n    time.sleep(0.01)\nprint(lags[0])"
    told = kernel.run(look).text
    assert told.endswith((":3\n", ":4\n"))  # the line of the cell that spins
    ran = kernel.run("spinner.exit('kill'); print(spinner.monitor().wait(10).ref is spinner, await sup['t'].call('?') >= 0)")
    assert ran.text.split() == ["True", "True"], ran.errors
    assert kernel.run("print([e.kind for e in sup.events if e.kind == 'restart'])").text == "['restart']\n"


def test_prints_of_agents_go_to_the_cell_that_started_them(kernel: Kernel) -> None:
    run_as(kernel, None, "class Says(Agent):\n    async def handle_call(self, message, caller):\n        print('said', message)\n"
                         "    async def handle_cast(self, message):\n        1 / 0")
    first = kernel.start('sup = await Supervisor([child(Says, name="ann")]).start(); await sup["ann"].call(1)')
    kernel.finish(first)

    second = kernel.start('await sup["ann"].call(2); sup["ann"].cast(0); await asyncio.sleep(0.1); await sup["ann"].call(3); print("here")')
    kernel.finish(second)

    kernel.wait_for_text(first, "[ann] said 1")
    kernel.wait_for_text(first, "[ann] said 3")
    text = "".join(m["content"].get("text", "") for m in kernel.seen(second) if m["msg_type"] == "stream")
    assert "said" not in text
    assert "here" in text
    run_as(kernel, None, "await sup.stop()")


def test_terminate_runs_when_the_kernel_is_shut_down(kernel: Kernel, tmp_path: Any) -> None:
    told = tmp_path / "told"
    run_as(kernel, None, f"told = {str(told)!r}\nclass Last(Agent):\n    async def init(self, name):\n        self.name = name\n"
                         "    async def terminate(self, reason):\n        with open(told, 'a') as file:\n"
                         "            print(self.name, reason, file=file)")
    run_as(kernel, None, 'sup = await Supervisor([child(Last, n, id=n) for n in "abc"]).start(); ref = await Last.start("late")')

    kernel.manager.shutdown_kernel()

    assert told.read_text().splitlines() == ["late shutdown", "c shutdown", "b shutdown", "a shutdown"]
