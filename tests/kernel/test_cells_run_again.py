"""A cell that is run again and again, as every cell is while somebody tries things: nothing of the last time is kept alive."""

from __future__ import annotations

import pytest

from tests.kernel.kernels import Kernel

_SETUP = """
%load_ext pocketflex_nb
import asyncio, gc, time, weakref
import ipywidgets
from pocketflex_nb import Flow, Node, launch
from pocketflex_nb.notebook import RunView
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop

class Says(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(0.01)

class Waits(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(600)

says, waits, made = Flow(Says()), Flow(Waits()), []

def keep(group):
    made.append(weakref.ref(group))

def views():
    gc.collect()
    return sum(isinstance(widget, RunView) for widget in ipywidgets.widgets.widget._instances.values())
"""
_CELLS = ["%pocketflex run says -n 3 -o group\nkeep(group)", "keep(launch([says] * 3).wait())"]


@pytest.fixture(scope="module", autouse=True)
def _setup(kernel: Kernel) -> None:
    assert kernel.run(_SETUP).status == "ok"


@pytest.mark.parametrize("cell", _CELLS)
def test_the_view_of_the_last_time_is_closed_and_its_runs_are_freed(kernel: Kernel, cell: str) -> None:
    before = int(kernel.run("print(views())").text)

    for _ in range(5):
        assert kernel.run(cell, cell_id=cell).status == "ok"

    assert int(kernel.run("print(views())").text) == before + 1
    kernel.run("group = None")
    kernel.run("pass", cell_id=cell)
    assert kernel.run("print(views(), sum(ref() is not None for ref in made))").text == f"{before} 0\n"


def test_a_view_that_the_user_made_and_those_of_other_cells_stay(kernel: Kernel) -> None:
    kernel.run("mine = RunView(says.launch(show=False)); mine", cell_id="mine")
    kernel.run("%pocketflex run says -o other", cell_id="other")
    before = int(kernel.run("print(views())").text)

    kernel.run("%pocketflex run says", cell_id="third")
    kernel.run("pass", cell_id="mine")

    assert kernel.run("print(views(), mine.comm is not None)").text == f"{before + 1} True\n"


def test_a_run_in_the_background_goes_on_without_the_view_it_had(kernel: Kernel) -> None:
    kernel.run("%pocketflex run waits --bg -o first", cell_id="bg")
    kernel.run("%pocketflex run waits --bg -o second", cell_id="bg")

    assert kernel.run("time.sleep(0.3); print(first.status, second.status)").text == "running running\n"
    assert kernel.run("first.cancel(), second.cancel(); print(first.wait(5).status, second.wait(5).status)").text == "cancelled cancelled\n"


_WAYS = {
    "launch": "run = says.launch({'x': Big()}); run.wait(9)",
    "unseen": "run = says.launch({'x': Big()}, show=False); run.wait(9)",
    "as a value": "run = says.launch({'x': Big()}); run.wait(9); run",
    "group as a value": "runs_of_it = launch([says] * 2, {'x': Big()}).wait(9); runs_of_it",
    "plain": "Flow(Says()).run({'x': Big()})",
    "awaited": "await Flow(Says()).run_async({'x': Big()})",
    "magic": "%pocketflex run says --seed x=Big() -o run",
    "inspector": "run = says.launch({'x': Big()}, show=False); run.wait(9)\n%pocketflex store run",
    "store as a value": "run = says.launch({'x': Big()}, show=False); run.wait(9); run.store",
}
_BIG = """
class Big:
    pass

def big():
    gc.collect()
    return sum(isinstance(thing, Big) for thing in gc.get_objects())
"""


@pytest.mark.parametrize("way", _WAYS)
def test_a_cell_run_again_and_again_keeps_one_store_at_most_beside_what_ipython_keeps(kernel: Kernel, way: str) -> None:
    kernel.run(_BIG)
    kernel.run("for name in ('run', 'runs_of_it'): globals().pop(name, None)")

    for _ in range(6):
        assert kernel.run(_WAYS[way], cell_id=f"again {way}").status == "ok"

    kernel.run("for name in ('run', 'runs_of_it'): globals().pop(name, None)")
    assert int(kernel.run("print(big())").text) <= (1 if way != "group as a value" else 2)


def test_clear_frees_the_runs_that_views_and_out_keep_and_the_page_stays(kernel: Kernel) -> None:
    kernel.run(_BIG)
    for _ in range(5):  # a front end that names no cells
        kernel.run("run = says.launch({'x': Big()}); run.wait(9); run")
    kernel.run("run = None")
    before = int(kernel.run("print(views())").text)
    assert int(kernel.run("print(big())").text) >= 5

    assert kernel.run("%pf clear").text.startswith("forgot ")

    assert kernel.run("print(big(), views())").text == f"0 {before}\n"


def test_a_closed_view_keeps_nothing_although_somebody_keeps_it(kernel: Kernel) -> None:
    kernel.run(_BIG)
    kernel.run("from pocketflex_nb.notebook import StoreInspector\nfrom pocketflex_nb import forget")
    kernel.run("run = says.launch({'x': Big()}, show=False).wait(9); view, inside = RunView(run), StoreInspector(run)")
    kernel.run("forget(run); run = None")
    assert kernel.run("print(big())").text == "0\n"  # both were made for a run that is forgotten
    kernel.run("run = says.launch({'x': Big()}, show=False).wait(9); view, inside = RunView(run), StoreInspector(run.store)")
    kernel.run("view.close(); inside.close(); forget(run); run = None")

    assert kernel.run("print(big(), view.runs)").text == "0 []\n"


def test_quick_cells_grow_neither_threads_nor_file_descriptors(kernel: Kernel) -> None:
    count = "import psutil, threading\nprint(psutil.Process().num_fds(), threading.active_count())"
    for _ in range(3):
        kernel.run("run = says.launch({}); run.wait(9); run")
    fds, threads = map(int, kernel.run(count).text.split())

    for _ in range(60):
        kernel.run("run = says.launch({}); run.wait(9); run")

    now, then = map(int, kernel.run(count).text.split())
    assert now - fds <= 10 and then - threads <= 3


def test_a_store_that_the_user_has_a_name_for_stays_in_out(kernel: Kernel) -> None:
    kernel.run("from pocketflex_nb import Store\nmine = Store({'n': 1})")
    shown = kernel.run("mine").reply["content"]["execution_count"]

    for _ in range(2):
        kernel.run("run = says.launch(mine, show=False); run.wait(9)", cell_id="with mine")

    assert kernel.run(f"print(Out[{shown}] is mine)").text == "True\n"
