"""Agents in a real browser: the tree is live, a kill shows its restart, messages are drawn, and running the cell again starts over."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.ui.lab import Lab

_SETUP = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Agent, Supervisor, child, trace
from pocketflex_nb.agents import handles, whereis

class Counter(Agent):
    async def init(self, start=0):
        self.n, self.api_key = start, "sk-abcdefghijklmnop1234"
    @handles.call
    async def up(self, by=1):
        self.n += by
        return self.n
    @handles.call
    async def spin(self):
        while True:
            pass
"""
_TREE = (
    "sup = await Supervisor([child(Counter, 1, id='alpha', name='alpha'), child(Counter, 2, id='beta'),\n"
    "    child(Supervisor, [child(Counter, id='leaf')], id='inner')], name='team').start()\nsup"
)


def _row(lab: Lab, cell: int, child: str) -> Locator:
    return lab.cell(cell).locator(f'.pf-agents-row[data-child="{child}"]')


def test_a_killed_child_is_seen_to_be_restarted(lab: Lab) -> None:
    path = lab.write([_SETUP, _TREE, "print(await sup['beta'].up(5))"])
    lab.open(path)
    assert lab.run_all() is True
    expect(_row(lab, 1, "leaf")).to_contain_text("Counter · running")
    expect(_row(lab, 1, "beta")).to_contain_text("1 handled")

    _row(lab, 1, "beta").get_by_role("button", name="Kill beta").click()

    expect(_row(lab, 1, "beta")).to_contain_text("1 restart", timeout=10_000)
    expect(_row(lab, 1, "beta")).to_contain_text("killed")
    expect(_row(lab, 1, "alpha")).not_to_contain_text("restart", use_inner_text=True, timeout=2_000)
    _row(lab, 1, "beta").get_by_role("button", name="beta", exact=True).click()
    expect(lab.cell(1).locator(".pf-agents-detail")).to_contain_text("'n': 2", timeout=10_000)
    expect(lab.cell(1).locator(".pf-agents-detail")).not_to_contain_text("sk-abc")
    lab.save()
    assert "abcdefghijklmnop1234" not in str([c.outputs for c in lab.saved(path).cells if c.cell_type == "code"])


def test_running_the_cell_again_ends_the_old_tree_first(lab: Lab) -> None:
    lab.open(lab.write([_SETUP, _TREE, "first = sup", "print(first.is_alive, sup.is_alive, whereis('alpha') is not None)"]))
    assert lab.run_all() is True

    lab.run_cell(1)
    lab.run_cell(3)

    expect(lab.outputs(3)).to_have_text("False True True\n")


def test_an_agent_that_never_yields_is_killed_while_other_cells_answer(lab: Lab) -> None:
    spin = "from pocketflex_nb.concurrency.engine_thread import engine_thread\n" \
        "spinning = engine_thread.submit(sup['beta'].within(None).spin())"
    kill = (
        "import time\nsup['beta'].exit('kill')\n"
        "while not {info.id: info.restarts for info in sup.children()}['beta']:\n    time.sleep(0.02)\n"
        "print(await sup['beta'].up())"
    )
    lab.open(lab.write([_SETUP, _TREE, spin, "print(1 + 1)", kill]))

    assert lab.run_all(timeout=40) is True

    expect(lab.outputs(3)).to_have_text("2\n")
    expect(lab.outputs(4).last).to_have_text("3\n")  # above it, where the kill takes a quarter second, who held the loop


def test_messages_are_drawn_as_they_go_and_stay_in_the_saved_file(lab: Lab) -> None:
    path = lab.write([_SETUP, _TREE, "with trace(sup) as t:\n    print(await sup['alpha'].up(5))\nt"])
    lab.open(path)

    assert lab.run_all() is True

    expect(lab.cell(2).locator(".pf-agents-picture svg")).to_contain_text("up(5)")
    lab.save()
    outputs = lab.saved(path).cells[2].outputs
    assert any("up(5)" in output.data.get("image/svg+xml", "") for output in outputs if "data" in output)
    tree = [output.data.get("text/html", "") for output in lab.saved(path).cells[1].outputs if "data" in output]
    assert any("alpha" in text and "one_for_one" in text for text in tree)


def test_agents_are_listed_and_stopped_by_magic(lab: Lab) -> None:
    lab.open(lab.write([_SETUP, _TREE, "%pocketflex agents", "%pocketflex stop team", "print(sup.is_alive)"]))

    assert lab.run_all() is True

    expect(lab.outputs(2).last).to_contain_text("team")
    expect(lab.outputs(4)).to_have_text("False\n")
