"""The magics in a real kernel: lanes, interrupt, Run All's stop, and buttons that answer while a cell waits."""

from __future__ import annotations

import re

from tests.kernel.kernels import Kernel

_SETUP = """
%load_ext pocketflex_nb
import asyncio, time, warnings
from pocketflex_nb import Flow, Node, runs
from pocketflex_nb.concurrency.engine_thread import engine_thread

class Says(Node):
    def exec(self, prep_res):
        print("from the pool")
    def post(self, shared, prep_res, exec_res):
        print("from the engine")

class Waits(Node):
    async def exec(self, prep_res):
        print("waiting")
        try:
            await asyncio.sleep(600)
        finally:
            cleaned.append(1)

class Fails(Node):
    def exec(self, prep_res):
        raise LookupError("not on the shelf")

cleaned = []
says, waits, fails = (Flow(n(), name=n.__name__.lower()) for n in (Says, Waits, Fails))

def left():
    async def others():
        return len(asyncio.all_tasks()) - 1
    return asyncio.run_coroutine_threadsafe(others(), engine_thread.loop).result(5)
"""


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def test_prints_of_agents_go_to_their_lanes_not_to_the_cell(fresh_kernel: Kernel) -> None:
    fresh_kernel.run(_SETUP)

    told = "print(*[text for run in group for _, _, text, _ in run.state().lines], sep=', ')"
    ran = fresh_kernel.run(f"%pocketflex run says -n 3 -o group\n{told}")

    assert ran.text == ", ".join(["from the pool", "from the engine"] * 3) + "\n"


def test_the_stop_button_cancels_two_hundred_runs_and_leaves_no_task(fresh_kernel: Kernel) -> None:
    fresh_kernel.run(_SETUP)
    cell = fresh_kernel.start("%pocketflex run waits -n 200 -j 200 -o group")
    fresh_kernel.wait_for(cell, lambda m: m["msg_type"] == "display_data")

    fresh_kernel.interrupt()
    ran = fresh_kernel.finish(cell)

    assert ran.status == "error"
    assert _plain(ran.errors).strip().splitlines() == [
        "Interrupted: 200 runs cancelled, nothing is left running.", "The stores are kept: %pocketflex store waits"
    ]
    after = fresh_kernel.run("print({run.status for run in group}, left())")
    assert after.text == "{'cancelled'} 0\n"


def test_a_failing_agent_shows_the_users_line_and_stops_run_all(fresh_kernel: Kernel) -> None:
    fresh_kernel.run(_SETUP)

    ran = fresh_kernel.run("%pocketflex run fails")

    told = _plain(ran.errors)
    assert ran.status == "error" and ran.reply["content"]["ename"] == "LookupError"
    assert 'raise LookupError("not on the shelf")' in told
    assert "pocketflex_nb/engine" not in told
    assert told.strip().splitlines()[-1] == "in run 'fails', node 'Fails'; the store is kept: %pocketflex store fails"


def test_the_kernels_loop_turns_while_a_cell_waits_for_its_agents(fresh_kernel: Kernel) -> None:
    fresh_kernel.run(_SETUP)
    fresh_kernel.run("asyncio.get_running_loop().call_later(0.2, lambda: [run.cancel() for run in runs(live=True)])")

    ran = fresh_kernel.run("%pocketflex run waits -o run")

    assert ran.status == "ok"
    assert fresh_kernel.run("print(run.status, cleaned, left())").text == "cancelled [1] 0\n"


def test_a_view_and_a_still_picture_that_is_brought_up_to_date(fresh_kernel: Kernel) -> None:
    fresh_kernel.run(_SETUP)

    ran = fresh_kernel.run("%pocketflex run says")

    kinds = [(o["output_type"], sorted(o.get("data", {}))) for o in ran.outputs]
    assert ("display_data", ["application/vnd.jupyter.widget-view+json", "text/plain"]) in kinds
    last = [o for o in ran.outputs if "image/svg+xml" in o.get("data", {})][-1]  # an update, unless the run was over at once
    assert 'data-state="done"' in last["data"]["image/svg+xml"]
    assert last["data"]["text/plain"].endswith("1 done, 1 steps")


def test_launches_of_one_cell_share_a_view(fresh_kernel: Kernel) -> None:
    fresh_kernel.run(_SETUP)

    ran = fresh_kernel.run("a, b = says.launch(), says.launch()\na.wait(), b.wait()\nNone")

    assert sum("application/vnd.jupyter.widget-view+json" in bundle for bundle in ran.bundles) == 1
