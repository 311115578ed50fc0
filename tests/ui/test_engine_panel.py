"""The panel of the engine in the page: it counts what runs, and stops it."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.ui.lab import Lab

_SETUP = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node

class Wait(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(600)

waiting = Flow(Wait(), name="waiting")
"""


def test_the_panel_counts_and_stops_what_runs(lab: Lab) -> None:
    cells = ["%pf panel", "made = [waiting.launch({}, show=False) for _ in range(3)]", "print([run.status for run in made])"]
    lab.open(lab.write([_SETUP, *cells]))
    for cell in range(3):
        lab.run_cell(cell)
    panel = lab.cell(1).locator(".pf-engine")

    rows = panel.get_by_role("list", name="Runs that go on").get_by_role("listitem")
    expect(rows).to_have_count(3)
    expect(panel.get_by_role("status")).to_have_text("running")
    expect(lab.cell(1).locator(".pf-hidden-static")).to_have_count(1)
    lab.theme("dark")
    lab.screenshot("engine-panel-dark", of=panel)
    lab.theme("light")
    lab.screenshot("engine-panel", of=panel)
    panel.get_by_role("button", name="Stop waiting", exact=True).click()
    expect(rows).to_have_count(2)
    panel.get_by_role("button", name="Stop all runs").focus()
    lab.page.keyboard.press("Enter")

    expect(rows).to_have_count(0)
    expect(panel.get_by_role("button", name="Stop all runs")).to_be_disabled()
    lab.run_cell(3)
    expect(lab.outputs(3)).to_have_text("['cancelled', 'cancelled', 'cancelled']")
