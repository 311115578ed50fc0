"""The same views in Notebook 7: live, by hand and by key, and still there as text and picture in the saved file."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.ui.contrast import poor_texts
from tests.ui.lab import ClassicPage
from tests.ui.test_agents import _SETUP as AGENTS
from tests.ui.test_agents import _TREE as TREE
from tests.ui.test_launcher import _SETUP as LAUNCHER
from tests.ui.test_run_view import _FLOWS as FLOWS
from tests.ui.test_store_inspector import _SETUP as STORES


def test_a_run_is_followed_stopped_and_gone_back_in(classic: ClassicPage) -> None:
    endless = "class Wait(Count):\n    async def exec(self, prep_res): await asyncio.sleep(60)\n"
    waiting_cell = f"{endless}counting_run = Flow(Wait(), name='waiting').launch(); counting_run"
    path = classic.write([FLOWS, waiting_cell, "done = good.launch({}); done.wait(); None"],
                         name="classic-run")
    classic.open(path)
    classic.run_all()
    waiting, done = classic.cell(1).locator(".pf-run-view").first, classic.cell(2).locator(".pf-run-view").first
    expect(waiting.locator('g.pf-node[data-state="running"]')).to_be_visible()

    waiting.focus()
    classic.page.keyboard.press("s")

    expect(waiting.locator(".pf-counts")).to_have_text("cancelled")
    cells = classic.panel.locator(".jp-Cell").count()
    done.focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft", "a", "b", "x"):
        classic.page.keyboard.press(key)
    expect(done.locator(".pf-place")).to_contain_text("step 2 of 5")
    expect(done.locator('g.pf-node[data-node="Count"] .pf-visits text')).to_have_text("×2")
    assert classic.panel.locator(".jp-Cell").count() == cells, "a key reached the notebook"
    assert poor_texts(done) == []
    classic.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    outputs = classic.saved(path).cells[2].outputs
    assert any("<svg" in output.get("data", {}).get("image/svg+xml", "") for output in outputs)
    assert any("counting: 1 done" in output.get("data", {}).get("text/plain", "") for output in outputs)


def test_a_store_is_opened_and_gone_back_in(classic: ClassicPage) -> None:
    classic.open(classic.write([STORES, "StoreInspector(group)"], name="classic-store"))
    classic.run_all()
    view = classic.cell(1).locator(".pf-store").first
    expect(view.locator(".pf-store-place")).to_contain_text("4 of 4")

    view.get_by_role("button", name="One step back").click()
    view.get_by_role("button", name="One step back").click()

    expect(view.locator(".pf-store-place")).to_contain_text("2 of 4")
    expect(view.locator(".pf-store-row", has_text="notes").locator(".pf-store-type")).to_have_text("list 2")


def test_a_tree_of_agents_shows_a_restart(classic: ClassicPage) -> None:
    classic.open(classic.write([AGENTS, TREE], name="classic-agents"))
    classic.run_all()
    row = classic.cell(1).locator('.pf-agents-row[data-child="beta"]')
    expect(row).to_contain_text("Counter · running")

    row.get_by_role("button", name="Kill beta").click()

    expect(row).to_contain_text("1 restart")


def test_a_form_starts_runs_that_the_panel_stops(classic: ClassicPage) -> None:
    classic.open(classic.write([LAUNCHER, "Launcher('research')", "%pf panel"], name="classic-form"))
    classic.run_all()
    form, panel = classic.cell(1).locator("form").first, classic.cell(2).locator(".pf-engine").first

    form.get_by_label("topic, needed").fill("solar")
    form.get_by_role("button", name="Agents: one more").click()
    form.get_by_role("button", name="Start", exact=False).first.click()

    rows = panel.get_by_role("list", name="Runs that go on").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(classic.cell(1).locator(".pf-run-view").first).to_be_visible()
    assert poor_texts(panel) == []
    panel.get_by_role("button", name="Stop all runs").click()
    expect(rows).to_have_count(0)
    expect(classic.cell(1).locator(".pf-counts").first).to_have_text("2 cancelled")
