"""What waits stands under the header of a run view while it waits, and counts its seconds by itself; private stores open from their box."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.ui.lab import Lab

_FLOWS = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Limiter, Node, ask, launch, linear, node

limiter = Limiter(10, per=60)
for _ in range(10):
    limiter.reserve()

@node
def plan(shared): pass

class Write(Node):
    tries = 0
    async def exec(self, prep_res):
        Write.tries += 1
        if Write.tries < 2:
            raise TimeoutError("no answer")
    def post(self, shared, prep_res, exec_res):
        shared["scrap"] = "only inside"

@node
async def read_2(shared):
    async with limiter: pass

@node
async def read_3(shared):
    await ask("Publish?", ["yes", "no"])

@node
def join(shared): pass

inner = Flow(Write(max_retries=3, wait=3), name="draft", outputs=["scrap"])
plan >> [inner, read_3] >> join
report = Flow(plan, name="report")

crowd = Flow(read_2, name="reader")
"""


def test_what_waits_is_told_while_it_waits_and_private_stores_open_from_their_box(lab: Lab) -> None:
    lab.open(lab.write([_FLOWS, "run = report.launch({})", "group = crowd.launch_each('page', range(100), max_concurrency=90)",
                        "group.cancel(); print(run.status)"]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".pf-run-view")
    items = view.locator(".pf-pending-item")
    retry = items.filter(has_text="draft/Write")
    expect(retry).to_have_text(re.compile(r"^draft/Write try 2 of 3 in (now|[0-2]\.\d s) \(TimeoutError\)$"))
    first = retry.inner_text()
    expect(retry).not_to_have_text(first)                               # the page counts by itself
    lab.screenshot("pending", of=view)
    expect(items.filter(has_text="read_3")).to_have_text(re.compile(r'^read_3 ask "Publish\?" 00:0\d$'))
    expect(retry).to_have_count(0)
    expect(items.filter(has_text="join")).to_have_text(re.compile(r"^join waits for read_3 \d+ s$"))
    view.get_by_role("button", name="yes", exact=True).click()
    expect(view.locator(".pf-pending")).to_be_hidden()
    expect(view.locator(".pf-count")).to_have_text("done")

    view.locator(".pf-group.pf-private .pf-title").click()
    field = view.locator(".pf-store-field")
    expect(field).to_have_value("report/plan#1{draft}/draft#1")
    expect(view.locator(".pf-panel-body")).to_contain_text("only inside")
    field.select_option("")
    expect(view.locator(".pf-panel-body")).to_contain_text("scrap")
    lab.screenshot("private-store", of=view)

    lab.run_cell(2)
    group = lab.cell(2).locator(".pf-run-view")
    expect(group.locator(".pf-pending-item")).to_have_text([re.compile(r"^90 × limiter 10/min, next in \d+ s$")])
    lab.screenshot("pending-crowd", of=group)
    lab.run_cell(3)
    expect(group.locator(".pf-pending")).to_be_hidden()
