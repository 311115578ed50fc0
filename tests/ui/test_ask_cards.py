"""A person's answer in the cell: time left, choices and forms by keyboard, and the mark of old code."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.ui.lab import Lab

_SETUP = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node, ask

class Approve(Node):
    async def exec(self, prep_res):
        return await ask("Send it?", ["yes", "no"], timeout=50)
    def post(self, shared, prep_res, exec_res):
        shared["answer"] = exec_res

class Fill(Node):
    async def exec(self, prep_res):
        return await ask("Who are you?", schema={"name": str, "age": int, "member": bool})
    def post(self, shared, prep_res, exec_res):
        shared["answer"] = exec_res

class Name(Node):
    async def exec(self, prep_res):
        return await ask("Your name?")
    def post(self, shared, prep_res, exec_res):
        shared["answer"] = exec_res

class Old(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(600)
"""


def test_the_time_left_counts_down_and_a_choice_is_made_by_keyboard(lab: Lab) -> None:
    lab.open(lab.write([_SETUP, "run = Flow(Approve()).launch({})", "print((await run.wait_async()).store['answer'])"]))
    lab.run_cell(0)
    lab.run_cell(1)
    card = lab.cell(1).locator(".pf-ask")

    timer = card.get_by_role("timer")
    expect(timer).to_have_text(re.compile(r"^(4\d|50) s left$"))
    first = timer.inner_text()
    expect(timer).not_to_have_text(first)
    lab.screenshot("ask-card", of=lab.cell(1).locator(".pf-run-view"))
    card.get_by_role("button", name="no").focus()
    lab.page.keyboard.press("Enter")

    expect(card).to_have_count(0)  # with it the focus goes to a neighbour, and Lab makes that one's cell the active one
    lab.run_cell(2)
    expect(lab.outputs(2)).to_have_text("no")


def test_a_form_of_a_schema_is_filled_in_by_keyboard(lab: Lab) -> None:
    lab.open(lab.write([_SETUP, "run = Flow(Fill()).launch({})", "print((await run.wait_async()).store['answer'])"]))
    lab.run_cell(0)
    lab.run_cell(1)
    card = lab.cell(1).locator(".pf-ask")

    card.get_by_label("name").focus()
    for key in ("A", "d", "a", "Tab", "3", "6", "Tab", "Space", "Enter"):
        lab.page.keyboard.press(key)

    expect(card).to_have_count(0)
    lab.run_cell(2)
    expect(lab.outputs(2)).to_have_text("{'name': 'Ada', 'age': 36, 'member': True}")
    assert lab.page.locator(".jp-Cell").count() == 3


def test_a_run_of_old_code_is_marked(lab: Lab) -> None:
    changed = "class Old(Node):\n    async def exec(self, prep_res): return 1"
    lab.open(lab.write([_SETUP, "runs = [Flow(Old()).launch({}) for _ in range(2)]", changed, "for run in runs: run.cancel()"]))
    for cell in range(3):
        lab.run_cell(cell)

    expect(lab.cell(1).locator(".pf-problem")).to_have_text("2 agents run old code of Old; what is launched now uses the new")
    lab.run_cell(3)
    expect(lab.cell(1).locator(".pf-problem")).to_have_count(0)


def test_enter_sends_an_answer_that_is_typed(lab: Lab) -> None:
    lab.open(lab.write([_SETUP, "run = Flow(Name()).launch({})", "print((await run.wait_async()).store['answer'])"]))
    lab.run_cell(0)
    lab.run_cell(1)
    card = lab.cell(1).locator(".pf-ask")
    card.locator("input").click()

    lab.page.keyboard.type("Ada")
    lab.page.keyboard.press("Enter")

    expect(card).to_have_count(0)
    lab.run_cell(2)
    expect(lab.outputs(2)).to_have_text("Ada")
    expect(lab.cell(1).locator(".pf-counts")).to_have_text("done")
