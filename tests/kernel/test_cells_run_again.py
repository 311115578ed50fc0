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
from pocketflex_nb.notebook.bridge import pump

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
