"""The magics in JupyterLab: what is watched while a cell runs, parts of the view, a run watched again, and a paused one."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.ui.lab import Lab

_SETUP = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node

class Count(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(0.05)
    def post(self, shared, prep_res, exec_res):
        shared["n"] = shared.get("n", 0) + 1
        return "again" if shared["n"] < 12 else None

class Write(Node):
    def exec(self, prep_res):
        print("written")

count, write = Count(), Write()
count - "again" >> count
count >> write
flow = Flow(count, name="counting")
"""


def test_a_number_that_is_watched_becomes_a_curve(lab: Lab) -> None:
    lab.open(lab.write([_SETUP, "%pocketflex run flow --watch store['n'] --watch \"'<i>' + str(store['n'])\" --view lanes"]))

    assert lab.run_all() is True

    table = lab.cell(1).locator("table.pfx-watch")
    expect(table.locator("svg polyline")).to_have_count(1)
    expect(table).to_contain_text("12")
    expect(table).to_contain_text("<i>12")
    view = lab.cell(1).locator(".pf-run-view")
    expect(view.locator(".pf-lanes")).to_be_visible()
    expect(view.locator(".pf-graph")).to_be_hidden()
    expect(view.locator(".pf-timeline")).to_be_hidden()
    lab.screenshot("watched-light")
    lab.theme("dark")
    lab.screenshot("watched-dark")


def test_a_run_is_watched_again_with_no_call_made(lab: Lab) -> None:
    lab.open(lab.write([_SETUP, "%pocketflex run flow --view none -o run", "%pocketflex replay run --speed 0.5", "print(run.store['n'])"]))

    assert lab.run_all() is True

    view = lab.cell(2).locator(".pf-run-view")
    expect(view.locator("[data-node=Count][data-state=running]").first).to_be_visible()
    expect(view.locator("[data-node=Write][data-state=done]").first).to_be_visible(timeout=15_000)
    expect(lab.outputs(3)).to_have_text("12\n")


def test_a_breakpoint_holds_a_cell_until_the_view_goes_on(lab: Lab) -> None:
    lab.open(lab.write([_SETUP, "%pocketflex run flow --break Write -o run", "print(run.status)"]))
    lab.run_all(wait=False)
    view = lab.cell(1).locator(".pf-run-view")
    expect(view).to_have_attribute("data-status", "paused", timeout=15_000)
    assert not lab.is_idle()

    view.get_by_role("button", name=re.compile("Resume|Continue|Go on")).click()

    assert lab.ran() is True
    expect(lab.outputs(2)).to_have_text("done\n")


def test_a_cell_that_is_run_again_has_one_live_view(lab: Lab) -> None:
    path = lab.write([_SETUP, "%pocketflex run flow"])
    lab.open(path)
    lab.run_cell(0)

    for _ in range(3):
        assert lab.run_cell(1) is True
        view = lab.cell(1).locator(".pf-run-view")
        expect(view).to_have_count(1)
        expect(view.locator("[data-node=Write][data-state=done]").first).to_be_visible()

    lab.save()
    models = lab.saved(path).metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    assert len([model for model in models.values() if model["model_name"] == "AnyModel"]) <= 1
    lab.expect_quiet()
