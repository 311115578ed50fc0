"""A list of actions and a flow with a store of its own, as the run view draws them while they run."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.ui.lab import Lab

_FLOW = """
%load_ext pocketflex_nb
import operator, threading
from pocketflex_nb import Flow, Node, current, node

class Plan(Node):
    def post(self, shared, prep_res, exec_res):
        return [("read", {"page": page}) for page in range(5)]

gate = threading.Event()

@node
def read(shared):
    if current().params["page"] > 1:
        gate.wait(60)
    shared.increment("pages")

@node
async def search(shared):
    shared["scratch"] = "private"
    shared["notes"] = [shared["topic"]]

look = Flow(search, name="look", inputs={"question": "topic"}, outputs=["notes"], merge={"notes": operator.add})
plan = Plan()
plan - "read" >> read >> look >> node(lambda shared: None)
"""


def test_branches_of_a_list_are_counted_while_they_run_and_a_private_store_is_named(lab: Lab) -> None:
    lab.open(lab.write([_FLOW, 'run = Flow(plan, name="reading").launch({"question": "tides", "notes": ["first"]})',
                        "gate.set(); run.wait(30); dict(run.store)"]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".pf-run-view")
    branches = view.locator('g.pf-node[data-node="read"]')

    expect(branches).to_have_attribute("data-state", "running")
    expect(branches).to_contain_text("2 of 5 done")
    expect(view.locator('g.pf-group[data-node="look"]')).to_contain_text("look (question as topic -> notes)")
    lab.screenshot("branches-of-a-list", of=lab.panel)
    lab.run_cell(2)

    expect(branches).to_have_attribute("data-state", "done")
    expect(branches.locator(".pf-visits text")).to_have_text("×5")
    expect(view.locator('g.pf-edge[data-edge="Plan|read|read"]')).to_have_attribute("data-count", "5")
    expect(view.locator('g.pf-node[data-node="look/search"]')).to_have_attribute("data-state", "done")
    expect(lab.outputs(2)).to_have_text(re.compile(r"'notes': \['first', 'tides'\], 'pages': 5"))
    lab.screenshot("branches-of-a-list-done", of=lab.panel)
    lab.expect_quiet()
