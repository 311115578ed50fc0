"""A cell that wires nodes of another cell, edited and run again: the flow is what the cell says now, and nothing is complained of."""

from __future__ import annotations

import pytest

from tests.kernel.kernels import Kernel

_NODES = """
import warnings
warnings.simplefilter("error")
from pocketflex_nb import Flow, Node, linear

class Says(Node):
    def post(self, shared, prep_res, exec_res):
        shared.append(self.name)
        return self.params.get("say") if self.name == "review" else None

plan, write, review, publish = (Says(name=name) for name in ("plan", "write", "review", "publish"))

def walk(flow):
    flow.run(seen := [])
    print(" ".join(seen), sorted(flow.start_node.successors), flow.check())
"""


@pytest.fixture(scope="module", params=["", "%load_ext pocketflex_nb\n"], ids=["plain", "loaded"])
def cells(request: pytest.FixtureRequest, kernel: Kernel) -> Kernel:
    assert kernel.run(request.param + _NODES).status == "ok"
    return kernel


def shown(kernel: Kernel, code: str, cell: str) -> str:
    done = kernel.run(code, cell_id=cell)
    assert done.status == "ok", done
    return str(done.text)


@pytest.mark.parametrize("name", ["", "name='report'"])
def test_linear_takes_the_nodes_themselves_again(cells: Kernel, name: str) -> None:
    cells.run(_NODES)
    code = f"flow = linear(plan, write, review, publish, {name}); review - 'revise' >> write; walk(flow); print(flow.start_node is plan)"

    texts = [shown(cells, code, f"linear {name}") for _ in range(3)]
    edited = shown(cells, code.replace("write, review", "review", 1), f"linear {name}")

    assert texts == ["plan write review publish ['default'] []\nTrue\n"] * 3
    assert edited == "plan review publish ['default'] []\nTrue\n"


def test_arrows_are_drawn_anew(cells: Kernel) -> None:
    cells.run(_NODES)
    cell = "plan >> write >> review >> publish; review - 'revise' >> write; flow = Flow(plan, name='drawn'); walk(flow)"

    first = [shown(cells, cell, "arrows") for _ in range(3)]
    edited = shown(cells, cell.replace("plan >> write >> review", "plan >> review"), "arrows")
    renamed = shown(cells, cell.replace("'revise'", "'again'") + "; print(sorted(review.successors))", "arrows")

    assert first == ["plan write review publish ['default'] []\n"] * 3
    assert edited.startswith("plan review publish")
    assert renamed.endswith("['again', 'default']\n")


def test_an_error_arrow_that_the_cell_does_not_draw_any_more_is_gone(cells: Kernel) -> None:
    cells.run(_NODES)
    shown(cells, "plan >> write; plan.on_error(publish); print(plan._pfx_on_error is publish)", "errors")

    assert shown(cells, "plan >> write; print(hasattr(plan, '_pfx_on_error'))", "errors") == "False\n"


def test_another_cell_that_draws_over_an_arrow_warns_as_ever(cells: Kernel) -> None:
    cells.run(_NODES)
    cells.run("plan >> write", cell_id="one")

    done = cells.run("plan >> review", cell_id="two")

    assert done.status == "error"
    assert "Overwriting successor for action 'default'" in str(done)


def test_a_second_flow_of_the_same_cell_takes_copies_each_time(cells: Kernel) -> None:
    cells.run(_NODES)
    code = "one = linear(plan, write, name='one'); two = linear(write, plan, name='two'); walk(one); walk(two)"

    texts = [shown(cells, code, "two flows") for _ in range(3)]

    assert texts == ["plan write ['default'] []\nwrite plan ['default'] []\n"] * 3


def test_a_mermaid_cell_leaves_the_nodes_alone(cells: Kernel) -> None:
    cells.run("%load_ext pocketflex_nb")
    cells.run(_NODES)
    cells.run("one = linear(plan, write, name='one')", cell_id="one")
    body = "%%pocketflex drawn --no-run\nflowchart LR\n  write --> plan"

    for _ in range(2):
        assert cells.run(body, cell_id="mermaid").status == "ok"

    assert shown(cells, "walk(one); drawn.run(s := []); print(s)", "look") == "plan write ['default'] []\n['write', 'plan']\n"
