"""A thing as a cell's last value draws itself in a real kernel, with and without the extension, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kernel.kernels import Kernel

_SETUP = (
    "from pocketflex_nb import *\n"
    "flow = Flow(node(lambda shared: print('said')) , name='report')\n"
    "done = flow.launch({'a': 1}, show=False).wait(20)\n"
    "group = launch([flow, flow], show=False).wait(20)\n"
    "store = Store({'topic': 'tea'})\n"
    "class Idler(Agent):\n    pass\n"
    "team = Supervisor([child(Idler, id='idler')])\n"
    "await team.start()\n"
    "traced = trace()\n"
    "queue = open_queue('memory://shown')\n"
    "await queue.put('one')\n"
    "None\n"
)
#: a part of what each one draws, and its MIME type
_DRAWN = {
    "flow": ("image/svg+xml", "data-node"), "done": ("image/svg+xml", 'data-state="done"'), "group": ("image/svg+xml", "data-node"),
    "store": ("text/html", "topic"), "team": ("text/html", "idler"), "traced": ("image/svg+xml", "<svg"), "queue": ("text/html", "<td"),
}
_LIVE = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "extension"])
def prepared(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    started = Kernel()
    if request.param:
        assert started.run("%load_ext pocketflex_nb").status == "ok"
    ran = started.run(_SETUP, cell_id="setup")
    assert ran.status == "ok", ran.errors
    yield started
    started.close()


@pytest.mark.parametrize("name", _DRAWN)
def test_a_thing_as_a_cells_last_value_draws_itself_once(prepared: Kernel, name: str) -> None:
    kind, part = _DRAWN[name]

    ran = prepared.run(name, cell_id=name)

    told: list[dict[str, Any]] = [output for output in ran.outputs if output["output_type"] in ("display_data", "execute_result")]
    assert ran.errors == ""
    assert sum(part in output["data"].get(kind, "") for output in told) == 1, told
    assert sum(_LIVE in output["data"] for output in told) == (name in ("store", "team", "traced"))


def test_a_launch_shows_one_view_without_the_extension_and_its_prints_go_to_the_lane(fresh_kernel: Kernel) -> None:
    fresh_kernel.run("from pocketflex_nb import Flow, launch, node\nflow = Flow(node(lambda shared: print('said')), name='report')")

    ran = fresh_kernel.run("run = flow.launch({})\nother = flow.launch({})\nrun.wait(20), other.wait(20)", cell_id="one")

    assert sum(_LIVE in bundle for bundle in ran.bundles) == 1
    assert "said" not in ran.text
    assert fresh_kernel.run("print([event['text'] for event in run.events if event.kind == 'output'])").text == "['said']\n"


def test_a_cell_that_runs_again_without_the_extension_has_one_view(fresh_kernel: Kernel) -> None:
    fresh_kernel.run("from pocketflex_nb import Flow, launch, node, runs\nflow = Flow(node(lambda shared: None))")

    for _ in range(3):
        fresh_kernel.run("run = flow.launch({}).wait(20)", cell_id="one")

    told = fresh_kernel.run("from ipywidgets import Widget\nfrom ipywidgets.widgets.widget import _instances\n"
                            "print(len(runs()), sum(type(w).__name__ == 'RunView' for w in _instances.values()))")
    assert told.text == "1 1\n", told.errors


def test_importing_the_package_in_a_kernel_imports_no_screen(fresh_kernel: Kernel) -> None:
    ran = fresh_kernel.run(
        "import sys, pocketflex_nb\nflow = pocketflex_nb.Flow(name='f')\nflow.name\n"
        "print([name for name in sys.modules if name.startswith(('pocketflex_nb.notebook', 'pocketflex_nb.views', 'anywidget'))])"
    )

    assert ran.text == "[]\n"


def test_what_is_missing_is_said_once_and_runs_go_on(fresh_kernel: Kernel) -> None:
    fresh_kernel.run("import sys\nsys.modules['anywidget'] = None")
    fresh_kernel.run("from pocketflex_nb import Flow, node\nflow = Flow(node(lambda shared: None))")

    first, second = fresh_kernel.run("flow.launch({}).wait(20).status"), fresh_kernel.run("flow.launch({}).wait(20).status")

    assert "no live view" in first.text and "pip install anywidget" in first.text
    assert second.text == ""
    assert [ran.bundles[-1]["text/plain"] for ran in (first, second)] == ["'done'", "'done'"]
