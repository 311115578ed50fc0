"""The panel of the whole process: what it counts, and what its buttons end."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, runs
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.engine_panel.engine_panel import EnginePanel, Lag, memory
from tests.notebook.conftest import Shell


class Wait(Node):
    async def exec(self, prep_res: Any) -> None:
        import asyncio

        await asyncio.sleep(600)


@pytest.fixture
def panel() -> EnginePanel:
    made = EnginePanel()
    refresh_loop.close(made)
    return made


def _start(number: int) -> list[Any]:
    return [Flow(Wait(), name="waiting").launch({}, show=False) for _ in range(number)]


def _press(panel: EnginePanel, content: Any) -> None:
    panel._command(None, content, None)
    refresh_loop.close(panel)
    panel._push()


def test_it_counts_runs_and_stops_one_or_all(panel: EnginePanel) -> None:
    before, made = len(runs(live=True)), _start(3)
    panel._push()
    assert panel.head["live"] == before + 3
    assert {row["name"] for row in panel.rows} >= {run.name for run in made}

    _press(panel, {"do": "stop", "run": made[0].number})
    assert made[0].wait(10).status == "cancelled"
    assert not made[1].done()
    _press(panel, {"do": "stop all"})

    assert [run.wait(10).status for run in made] == ["cancelled"] * 3
    panel._push()
    assert panel.head["live"] == 0


def test_lag_is_measured_while_a_step_holds_the_engine() -> None:
    lag, held, go_on = Lag(), threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait(10)

    engine_thread.call_soon(hold)
    held.wait(10)
    lag.sample()
    begun = time.perf_counter()
    while time.perf_counter() - begun < 0.05:
        pass

    waited = lag.sample()
    go_on.set()
    answered = threading.Event()
    engine_thread.call_soon(answered.set)
    assert answered.wait(10)

    assert waited is not None and waited >= 0.05
    assert len(lag.samples) == 1 and lag.samples[0] >= 0.05


def test_agents_and_their_mailboxes_are_listed(shell: Shell, panel: EnginePanel) -> None:
    shell.run("from pocketflex_nb import Agent\nclass Clerk(Agent):\n    pass\nclerk = await Clerk.start(name='clerk')")

    panel._push()

    assert any(row["name"] == "clerk" and row["mailbox"] == 0 for row in panel.agents)
    assert (panel.head["agents"], panel.head["zombies"]) == (len(panel.agents), 0)
    shell.run("%pf stop clerk")
    panel._push()
    assert all(row["name"] != "clerk" for row in panel.agents)


def test_a_terminal_gets_lines_and_the_saved_notebook_too(shell: Shell, panel: EnginePanel) -> None:
    shell.run("%pf panel")

    assert "engine thread: " in shell.said and "runs: 0 live of" in shell.said
    assert "memory: " in panel.still_bundle()["text/plain"] or memory() is None
    json.dumps([panel.head, panel.rows, panel.agents, panel.curve])


@pytest.mark.parametrize("content", [None, {}, {"do": "stop"}, {"do": 7}, "text"])
def test_a_page_may_send_anything(panel: EnginePanel, content: Any) -> None:
    _press(panel, content)

    assert panel.head["live"] == len(runs(live=True))
