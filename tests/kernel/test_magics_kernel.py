"""The magics where people use them: interrupts, background, nested magics, bodies, nbclient and a notebook's Run All."""

from __future__ import annotations

import re
import time

import nbclient
import nbformat
import pytest

from tests.kernel.kernels import Kernel

_SETUP = """
%load_ext pocketflex_nb
import asyncio, time
from pocketflex_nb import Flow, Node, runs
from pocketflex_nb.concurrency.engine_thread import engine_thread

class Says(Node):
    def exec(self, prep_res):
        print("from the node")
    def post(self, shared, prep_res, exec_res):
        shared["n"] = shared.get("n", 0) + 1

class Waits(Node):
    async def exec(self, prep_res):
        print("at work")
        await asyncio.sleep(600)

says, waits = (Flow(n(), name=n.__name__.lower()) for n in (Says, Waits))

def left():
    async def others():
        return [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    return asyncio.run_coroutine_threadsafe(others(), engine_thread.loop).result(5)
"""


@pytest.fixture(autouse=True, scope="module")
def _setup(kernel: Kernel) -> None:
    assert kernel.run(_SETUP).status == "ok"


@pytest.fixture(autouse=True)
def _nothing_left(kernel: Kernel) -> None:
    assert kernel.run("for run in runs(live=True): run.cancel(); run.wait(5)\nprint(left())").text == "[]\n"


#: says "here" once the cell waits, which lets the kernel's loop turn
_TURNS = "_ = asyncio.get_running_loop().call_later(0.05, print, 'here')"


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text).strip()


def _interrupted(kernel: Kernel, cell: str, sign: str) -> str:
    """Run a cell, press stop behind `sign`, and return what it told."""
    started = kernel.start(cell)
    kernel.wait_for_text(started, sign)
    kernel.interrupt()
    ran = kernel.finish(started)
    assert ran.status == "error"
    return _plain(ran.errors)


@pytest.mark.parametrize("line", ["time.sleep(600)", "await asyncio.sleep(600)", "waits.run({})", "while True: pass"])
def test_the_stop_button_ends_a_body_before_its_flows(kernel: Kernel, line: str) -> None:
    told = _interrupted(kernel, f"%%pocketflex\nprint('here', flush=True)\n{line}", "here")

    assert re.fullmatch(r"Interrupted (in the body, )?before anything was started\.", told)
    assert kernel.run("print(left())").text == "[]\n"


@pytest.mark.parametrize("magic", ["%%pocketflex", "%%time\n%%pocketflex"], ids=["awaited", "blocking"])
def test_an_interrupt_between_the_start_of_a_body_and_the_wait_for_it_ends_the_body(kernel: Kernel, magic: str) -> None:
    """In a run of all tests such a body went on for good: the interrupt had come before its handle had a name."""
    kernel.run("""
        import signal
        from pocketflex_nb.concurrency.portal import EngineTask
        _begin = EngineTask.begin
        def _begun(self):
            _begin(self)
            time.sleep(0.2)  # it is at work
            signal.raise_signal(signal.SIGINT)
        EngineTask.begin = _begun
    """)
    try:
        ran = kernel.run(f"{magic}\nprint('here', flush=True)\nawait asyncio.sleep(600)")
    finally:
        kernel.run("EngineTask.begin = _begin")

    assert "here" in ran.text and _plain(ran.errors) == "Interrupted before anything was started."
    assert kernel.run("print(left())").text == "[]\n"


def test_the_stop_button_reaches_plain_code_behind_a_magic(kernel: Kernel) -> None:
    told = _interrupted(kernel, "%pocketflex run says --view none\nprint('here', flush=True)\ntime.sleep(600)", "here")

    assert told.endswith("KeyboardInterrupt:")


def test_the_cell_after_an_interrupt_is_awaited_again(kernel: Kernel) -> None:
    _interrupted(kernel, "%%pocketflex\nprint('here', flush=True)\nawait asyncio.sleep(600)", "here")
    kernel.run("""
        def stop():
            live = runs(live=True)
            if not live:  # the cell below has not come yet
                asyncio.get_running_loop().call_later(0.05, stop)
            for run in live:
                run.cancel()
        _ = asyncio.get_running_loop().call_later(0.05, stop)
    """)

    ran = kernel.run("%pocketflex run waits --view none -o run\nprint(run.status)")

    assert ran.text == "cancelled\n"


def test_waiting_for_another_cells_run_ends_without_ending_the_run(kernel: Kernel) -> None:
    kernel.run("%pocketflex run waits --bg --view none -o run")

    told = _interrupted(kernel, f"{_TURNS}\n%pocketflex wait run", "here")

    assert told == "Interrupted: no longer waiting; the runs go on."
    assert kernel.run("print(run.status)").text == "running\n"


def test_a_run_that_waits_for_another_is_cancelled_alone(kernel: Kernel) -> None:
    kernel.run("first = waits.launch(show=False)")

    told = _interrupted(kernel, f"{_TURNS}\n%pocketflex run says --after first --view none -o second", "here")

    assert told.startswith("Interrupted: 1 run cancelled, nothing is left running.")
    assert kernel.run("print(first.status, second.status)").text == "running cancelled\n"


def test_inside_time_the_stop_button_cancels_too(kernel: Kernel) -> None:
    told = _interrupted(kernel, "%%time\n%pocketflex run waits -n 20 --tee --view none -o group", "at work")

    assert "Interrupted: 20 runs cancelled" in told
    assert kernel.run("print({run.status for run in group}, left())").text == "{'cancelled'} []\n"


def test_the_background_gives_the_cell_back_and_then_does_what_was_asked(kernel: Kernel) -> None:
    started = kernel.start("%pocketflex run says --bg --notify --then '%pf trace run' --view none -o run")

    ran = kernel.finish(started)
    assert ran.status == "ok" and ran.bundles[-1]["text/plain"].startswith("<Run 'says")

    kernel.wait_for_text(started, "is over")
    kernel.wait_for_text(started, "run_finished")


def test_prints_of_a_body_stay_in_the_cell_and_those_of_nodes_do_not(kernel: Kernel) -> None:
    ran = kernel.run("%%pocketflex --view none\nprint('one')\nawait asyncio.sleep(0.01)\nprint('two')\nsays")

    assert ran.text == "one\ntwo\n"


def test_tee_prints_into_the_cell_as_well(kernel: Kernel) -> None:
    assert kernel.run("%pocketflex run says --tee --view none").text == "from the node\n"


def test_the_text_view_is_one_output_that_is_written_anew(kernel: Kernel) -> None:
    ran = kernel.run("%pocketflex run says -n 20 --view text")

    shown = [o for o in ran.outputs if o["output_type"] in ("display_data", "update_display_data")]
    assert shown[0]["output_type"] == "display_data" and "widget" not in str(shown)
    assert shown[-1]["data"]["text/plain"].endswith("100% 20/20")
    assert len({o["transient"]["display_id"] for o in shown}) == 1


def test_watched_expressions_are_drawn_beside_the_view(kernel: Kernel) -> None:
    ran = kernel.run("%pocketflex run says --seed n=1 --watch store['n'] --watch '\"<b>\"' --view none")

    last = [o["data"] for o in ran.outputs if "text/html" in o.get("data", {})][-1]
    assert last["text/plain"].startswith("store['n'] = 2")
    assert "&lt;b&gt;" in last["text/html"] and "<b>" not in last["text/html"]


def test_a_replay_is_a_view_of_its_own(kernel: Kernel) -> None:
    kernel.run("%pocketflex run says --view none -o run")

    ran = kernel.run("%pocketflex replay run --speed 100")

    assert any("RunView('says" in bundle["text/plain"] and "again" in bundle["text/plain"] for bundle in ran.bundles)


def test_a_nodes_code_comes_into_the_next_cell(kernel: Kernel) -> None:
    ran = kernel.run("%pocketflex node Says")

    assert ran.reply["content"]["payload"][0]["text"].startswith("class Says(Node):")


def test_a_handle_with_its_view_draws_no_second_picture(kernel: Kernel) -> None:
    ran = kernel.run("%pocketflex run says --bg")

    result = next(o for o in ran.outputs if o["output_type"] == "execute_result")
    assert set(result["data"]) == {"text/plain"}


def test_loading_again_and_unloading_leave_the_kernel_fine(fresh_kernel: Kernel) -> None:
    fresh_kernel.run("import sys\nbefore = sys.stdout, sys.stderr")

    ran = fresh_kernel.run(
        "%load_ext pocketflex_nb\n%reload_ext pocketflex_nb\n%unload_ext pocketflex_nb\nprint((sys.stdout, sys.stderr) == before)"
    )

    assert (ran.status, ran.text) == ("ok", "True\n")
    assert "`%pocketflex` not found" in fresh_kernel.run("%pocketflex runs").errors


def test_run_all_waits_for_each_cell_and_stops_at_the_first_that_fails() -> None:
    cells = [
        _SETUP, "%%pocketflex team --run -o run\nflowchart LR\n  Says",
        "print(run.status, run.store['n'])", "%pocketflex run nosuch", "print('never')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    begun = time.monotonic()
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="no flow 'nosuch'"):
        nbclient.NotebookClient(notebook, kernel_name="python3", timeout=30).execute()

    assert notebook.cells[2].outputs[0].text == "done 1\n"
    assert notebook.cells[4].outputs == [] and time.monotonic() - begun < 30
    assert any("image/svg+xml" in output.get("data", {}) for output in notebook.cells[1].outputs)
