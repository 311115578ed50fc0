"""Flows in a real kernel's cells, without a magic or a view: the engine thread beside the kernel's own loop."""

from __future__ import annotations

import nbclient
import nbformat
import pytest

from tests.kernel.kernels import Kernel

_SETUP = """
import asyncio, contextvars, sys, threading, time
from pocketflex_nb import Flow, Node, node
from pocketflex_nb.concurrency.engine_thread import engine_thread

class Nap(Node):
    def prep(self, shared):
        return shared.get("seconds", 0)
    async def exec(self, seconds):
        try:
            await asyncio.sleep(seconds)
        finally:
            woken.append(threading.current_thread().name)
    def post(self, shared, prep_res, exec_res):
        shared["slept"] = True

nap = Flow(Nap(), name="nap")
woken = []

def tasks_left():
    async def others():
        return len(asyncio.all_tasks()) - 1
    return asyncio.run_coroutine_threadsafe(others(), engine_thread.loop).result(5)

def say_when_waiting():
    "Print as soon as the main thread waits inside the package, or its loop has gone on without the cell."
    def is_inside(frame):
        return frame and ("pocketflex_nb" in frame.f_code.co_filename or is_inside(frame.f_back))
    def watch():
        while not is_inside(sys._current_frames()[threading.main_thread().ident]):
            time.sleep(0.01)
        print("waiting", flush=True)
    threading.Thread(target=contextvars.copy_context().run, args=(watch,), daemon=True).start()
    asyncio.get_running_loop().call_soon(print, "waiting")
"""


@pytest.fixture(scope="module", autouse=True)
def _setup(kernel: Kernel) -> None:
    assert kernel.run(_SETUP).status == "ok"


def test_a_blocking_run_with_async_steps_works_in_a_cell(kernel: Kernel) -> None:
    ran = kernel.run("store = {}\nprint(nap.run(store), store)")

    assert (ran.text, ran.errors) == ("None {'slept': True}\n", "")


def test_run_async_stays_on_the_kernels_own_loop(kernel: Kernel) -> None:
    ran = kernel.run("woken.clear()\nawait nap.run_async({})\nprint(woken == [threading.current_thread().name])")

    assert (ran.text, ran.errors) == ("True\n", "")


def test_a_launched_run_goes_on_while_the_next_cell_answers(kernel: Kernel) -> None:
    kernel.run("gate = threading.Event()\n@node\ndef hold(shared): gate.wait(30)\nrun = Flow(hold).launch({}, show=False)")

    ran = kernel.run("before = run.done()\ngate.set()\nrun.result(10)\nprint(before, run.status)")

    assert (ran.text, ran.errors) == ("False done\n", "")


@pytest.mark.parametrize("wait", ["group.wait()", "await group", "group.results()"])
def test_the_stop_button_ends_a_groups_runs_and_leaves_no_task(kernel: Kernel, wait: str) -> None:
    kernel.run("woken.clear()\ngroup = nap.launch_each('seconds', [600] * 20, show=False)")
    cell = kernel.start(f"say_when_waiting()\n{wait}")
    kernel.wait_for_text(cell, "waiting")

    kernel.interrupt()

    assert kernel.finish(cell).status == "error"
    ran = kernel.run("print({run.status for run in group}, len(woken), tasks_left())")
    assert ran.text == "{'cancelled'} 20 0\n"


def test_the_stop_button_ends_a_blocking_run(kernel: Kernel) -> None:
    kernel.run("woken.clear()")
    cell = kernel.start("say_when_waiting()\nnap.run({'seconds': 600})")
    kernel.wait_for_text(cell, "waiting")

    kernel.interrupt()

    assert kernel.finish(cell).status == "error"
    assert kernel.run("print(len(woken), tasks_left())").text == "1 0\n"


@pytest.mark.parametrize("extension", [False, True])
def test_input_in_an_async_step_of_a_launched_run_names_ask(kernel: Kernel, extension: bool) -> None:
    if extension:
        assert kernel.run("%load_ext pocketflex_nb").status == "ok"
    ran = kernel.run(
        "class Asks(Node):\n"
        "    async def exec(self, prep_res):\n"
        "        return input('well? ')\n"
        "run = Flow(Asks()).launch({}, show=False)\n"
        "run.wait(20)\n"
        "print(run.status, run.error)"
    )

    assert ran.text.startswith("failed ") and "await ask('well? ')" in ran.text, (ran.text, ran.errors)


def test_a_picture_whose_runs_are_over_is_final_when_its_cell_ends() -> None:
    """What is told between two cells is lost to whoever runs a notebook without a page: the saved picture would still be running."""
    load = (
        "%load_ext pocketflex_nb\nimport time\nfrom pocketflex_nb import Flow, launch, node\n"
        "flow = Flow(node(lambda shared: time.sleep(0.15)))"
    )
    cells = [load, *["launch({'a': flow, 'b': flow}).wait()"] * 6]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()

    stills = [output.data for cell in notebook.cells for output in cell.outputs if "image/svg+xml" in output.get("data", ())]
    told = [still["text/plain"] for still in stills]
    assert told == ["group: 2 done, 2 steps"] * 6
