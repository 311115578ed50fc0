"""Runs that a step began, as the run view draws them: inside of that step, and nowhere beside it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.ui.lab import Lab

_FLOWS = """
%load_ext pocketflex_nb
import asyncio, threading
from pocketflex_nb import Flow, Node, emit, launch, linear, node, runs

gate = threading.Event()

@node
async def think(shared):
    emit("token", f"reading page {shared['page']} ...")
    if shared["page"] > 8:
        await asyncio.to_thread(gate.wait, 90)
    shared["found"] = shared["page"] * 2

@node
async def note(shared):
    pass

reader = linear(think, note, name="reader")

@node
async def survey(shared):
    group = reader.launch_each("page", range(shared["readers"]), max_concurrency=None)
    await group
    shared["found"] = [run.store["found"] for run in group]

@node
def plan(shared):
    shared["readers"] = READERS

@node
def write(shared):
    pass

report = linear(plan, survey, write, name="report")
"""


def _start(lab: Lab, readers: int, how: str) -> Locator:
    lab.open(lab.write([_FLOWS.replace("READERS", str(readers)), how, "gate.set(); runs()[0].wait(30); print('over')"]))
    lab.run_cell(0)
    lab.run_cell(1, wait=False)
    view = lab.cell(1).locator(".pf-run-view")
    expect(view).to_have_count(1)
    return view


@pytest.mark.parametrize("readers", [12, 100], ids=["rows", "a crowd"])
def test_runs_of_a_step_open_inside_its_box_and_close_by_the_way_back(lab: Lab, readers: int) -> None:
    view = _start(lab, readers, 'run = report.launch({}, name="report")')
    box = view.locator('g.pf-node[data-node="survey"]')

    expect(box).to_contain_text(f"{readers} runs · 9 done")
    expect(box.locator(".pf-stack")).to_have_count(1)
    expect(view.locator(".pf-flow-tab")).to_have_count(1)
    expect(view.locator(".pf-lane")).to_have_count(1)
    lab.screenshot(f"runs-inside-{readers}", of=lab.panel)

    box.click()

    way = view.locator(".pf-way")
    expect(way).to_have_text("report/survey")
    expect(view.locator('g.pf-node[data-node="think"]')).to_be_visible()
    expect(view.locator(".pf-counts")).to_contain_text("9 done")
    if readers < 60:
        view.locator(".pf-lane button", has_text="page=2").click()
        expect(way).to_have_text("report/survey/reader[2]")
        way.get_by_role("button", name="survey").click()
        expect(way).to_have_text("report/survey")
    lab.screenshot(f"runs-inside-{readers}-open", of=lab.panel)
    lab.run_cell(2)

    expect(view.locator(".pf-counts")).to_contain_text(f"{readers} done")
    way.get_by_role("button", name="report").click()
    expect(way).to_be_hidden()
    expect(box).to_have_attribute("data-state", "done")
    expect(box).to_contain_text(f"{readers} runs")
    lab.expect_quiet()


def test_the_keyboard_opens_and_leaves_them(lab: Lab) -> None:
    view = _start(lab, 10, 'run = report.launch({}, name="report")')
    box = view.locator('g.pf-node[data-node="survey"]')
    expect(box).to_have_attribute("role", "button")

    box.focus()
    lab.page.keyboard.press("Enter")

    expect(view.locator(".pf-way")).to_have_text("report/survey")
    view.focus()
    lab.page.keyboard.press("Escape")
    expect(view.locator(".pf-way")).to_be_hidden()
    expect(box).to_be_visible()
    lab.run_cell(2)
    lab.expect_quiet()


def test_a_run_of_nobodys_view_is_shown_with_its_runs_inside(lab: Lab) -> None:
    view = _start(lab, 10, 'gate.set(); report.run({})')

    expect(view.locator('g.pf-node[data-node="survey"]')).to_contain_text(re.compile("10 runs"))
    expect(view.locator(".pf-flow-tab")).to_have_count(1)
    lab.ran()
    lab.expect_quiet()
