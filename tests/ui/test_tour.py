"""The main job in a real browser: agents run live, are stopped, are interrupted, share a store, and leave a picture behind."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.environment import ROOT
from tests.ui.lab import Lab

_SLOW = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Node, Flow, runs
from pocketflex_nb.concurrency.engine_thread import engine_thread

class Wait(Node):
    async def exec(self, prep_res):
        try:
            await asyncio.sleep(600)
        finally:
            print("cleaned up")

class Count(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(0.05)
    def post(self, shared, prep_res, exec_res):
        shared["count"] = shared.get("count", 0) + 1
        return "again" if shared["count"] < shared["until"] else None

count = Count()
count - "again" >> count
slow, counter = Flow(Wait(), name="slow"), Flow(count, name="counter")
"""
_LEFT = "print([run.status for run in runs()], engine_thread.loop and len(asyncio.all_tasks(engine_thread.loop)))"


def _view(lab: Lab, cell: int) -> Locator:
    return lab.cell(cell).locator(".pf-run-view")


def _node(view: Locator, name: str, state: str) -> Locator:
    return view.locator(f'g.pf-node[data-node="{name}"][data-state="{state}"]')


def _tour(lab: Lab) -> str:
    path = lab.copy(ROOT / "notebooks" / "00_tour.ipynb")
    lab.open(path)
    return path


@pytest.fixture
def dark(lab: Lab) -> object:
    lab.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    lab.page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    yield
    lab.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    lab.page.wait_for_selector("body[data-jp-theme-light=true]", state="attached")


def test_the_tour_runs_and_its_agents_turn_green(lab: Lab) -> None:
    _tour(lab)

    lab.run_all(wait=False)

    team = lab.panel.locator(".pf-run-view").first
    expect(team.locator("g.pf-node[data-state=running]").first).to_be_visible(timeout=60_000)
    for name in ("assign", "read_1", "read_2", "read_3", "write", "review", "publish"):
        expect(_node(team, name, "done")).to_be_visible(timeout=60_000)
    expect(team).to_contain_text("0 not verbatim")
    assert lab.ran() is True
    lab.screenshot("tour-light", of=team)


def test_the_tour_in_the_dark_theme(lab: Lab, dark: object) -> None:
    _tour(lab)

    assert lab.run_all() is True

    views = lab.panel.locator(".pf-run-view")
    expect(views.first.locator("g.pf-node[data-state=done]")).to_have_count(7)
    card = views.first.evaluate("el => getComputedStyle(el).backgroundColor")
    assert max(map(int, re.findall(r"\d+", card)[:3])) < 60, f"the card is not dark: {card}"
    lab.screenshot("tour-dark", of=views.nth(1))


def test_stop_ends_every_agent_and_the_kernel_is_idle(lab: Lab) -> None:
    lab.open(lab.write([_SLOW, "%pocketflex run slow -n 8 -o group", _LEFT]))
    lab.run_all(wait=False)
    view = _view(lab, 1)
    expect(_node(view, "Wait", "running")).to_be_visible(timeout=30_000)

    view.get_by_role("button", name="Stop", exact=True).first.click()

    assert lab.ran() is True
    expect(view.locator(".pf-counts")).to_have_text("8 cancelled")
    expect(lab.outputs(2)).to_contain_text(str(["cancelled"] * 8) + " 0")
    expect(view.locator(".pf-lane").first).to_contain_text("cleaned up")
    lab.wait_idle()


def test_the_toolbars_stop_interrupts_and_leaves_no_task(lab: Lab) -> None:
    lab.open(lab.write([_SLOW, "%%pocketflex\n[slow] * 5"]))
    lab.run_cell(0)
    lab.run_cell(1, wait=False)
    expect(_node(_view(lab, 1), "Wait", "running")).to_be_visible(timeout=30_000)

    lab.interrupt()

    assert lab.ran() is False
    said = lab.outputs(1).last.inner_text().strip().splitlines()
    assert said == ["Interrupted: 5 runs cancelled, nothing is left running.", "The stores are kept: %pocketflex store slow"]
    expect(_view(lab, 1).locator(".pf-counts")).to_have_text("5 cancelled")
    lab.wait_idle()


def test_the_store_is_seen_to_change_while_agents_run(lab: Lab) -> None:
    cells = [_SLOW, "%pocketflex run counter --seed until=100000,api_key='sk-abcdefghijklmnop1234' --bg -o run", "%pocketflex store run"]
    path = lab.write([*cells, "run.cancel()"])
    lab.open(path)
    for index in range(3):
        lab.run_cell(index)
    row = lab.cell(2).locator(".pf-store-row", has_text="count")
    first = row.locator(".pf-store-value").inner_text()

    expect(row.locator(".pf-store-value")).not_to_have_text(first, timeout=10_000)

    expect(row.locator(".pf-store-writer")).to_have_text("counter · Count")
    expect(lab.cell(2).locator(".pf-store-row", has_text="api_key").locator(".pf-store-value")).not_to_contain_text("sk-")
    lab.run_cell(3)
    lab.save()
    assert "abcdefghijklmnop1234" not in str([cell.outputs for cell in lab.saved(path).cells if cell.cell_type == "code"])


def test_after_a_reload_the_final_picture_is_there(lab: Lab) -> None:
    path = lab.write([_SLOW, "%pocketflex run counter --seed until=3"])
    lab.open(path)
    assert lab.run_all() is True
    lab.save()

    lab.reload(path)

    pictures = lab.cell(1).locator(".pf-run-view, img[src^='data:image/svg'], svg.pf-svg")
    expect(pictures.first).to_be_visible(timeout=30_000)


def test_a_saved_notebook_without_a_kernel_shows_how_it_ended(lab: Lab) -> None:
    path = lab.write([_SLOW, "%pocketflex run counter --seed until=3 --name final"])
    lab.open(path)
    assert lab.run_all() is True
    lab.save()

    outputs = lab.saved(path).cells[1].outputs

    picture = next(output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {}))
    assert 'data-node="Count" data-state="done" data-visits="3"' in picture
    assert any("final: 1 done, 3 steps" in output.data.get("text/plain", "") for output in outputs if "data" in output)


def test_the_live_view_hides_the_still_picture_beside_it(lab: Lab) -> None:
    lab.open(lab.write([_SLOW, "%pocketflex run counter --seed until=3"]))

    assert lab.run_all() is True

    expect(_view(lab, 1)).to_be_visible()
    expect(lab.cell(1).locator("[data-static]")).to_be_hidden()


def test_pause_and_resume_by_buttons(lab: Lab) -> None:
    lab.open(lab.write([_SLOW, "%pocketflex run counter --seed until=100000 --bg -o run", "run.cancel()"]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = _view(lab, 1)
    view.get_by_role("button", name="Pause").click()

    expect(_node(view, "Count", "waiting")).to_be_visible(timeout=10_000)

    view.get_by_role("button", name="Resume").click()
    expect(_node(view, "Count", "running")).to_be_visible(timeout=10_000)
    lab.run_cell(2)
    expect(view.locator(".pf-counts")).to_have_text("cancelled")
