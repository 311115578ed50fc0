"""A kernel dies in the middle of a run: the next one asks the same question, pays nothing twice, and finishes the run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from playwright.sync_api import expect

from tests.ui.lab import Lab
from tests.ui.test_accessible import _OUTSIDE, _violations

_SETUP = """
%load_ext pocketflex_nb
import json, os
from pocketflex_nb import BatchNode, Flow, Node, ask, current, emit, open_journal

def paid(what):
    with open("effects.jsonl", "a") as out:
        out.write(json.dumps([what, current().key, os.getpid()]) + "\\n")

class Look(Node):
    def exec(self, prep_res):
        paid(self.name)
        emit("log", f"looked at {self.name}")
        emit("usage", tokens=100, cost=0.05)
        return f"found by {self.name}"
    def post(self, shared, prep_res, exec_res):
        shared[self.name] = exec_res

class Parts(BatchNode):
    max_concurrency = None
    def prep(self, shared):
        return ["one", "two", "three"]
    def exec(self, part):
        paid(part)
        return part.upper()
    def post(self, shared, prep_res, exec_res):
        shared["parts"] = exec_res

class Approve(Node):
    async def exec(self, prep_res):
        return await ask("Publish it?", ["yes", "no"])
    def post(self, shared, prep_res, exec_res):
        shared["approved"] = exec_res

class Publish(Node):
    def exec(self, prep_res):
        paid("publish")
    def post(self, shared, prep_res, exec_res):
        shared["published"] = True

plan, web, papers, parts, approve, publish = (Look(name="plan"), Look(name="web"), Look(name="papers"), Parts(name="parts"),
                                              Approve(name="approve"), Publish(name="publish"))
plan >> [web, papers] >> parts >> approve >> publish
report = Flow(plan, name="report")
print(os.getpid())
"""


def test_a_run_outlives_its_kernel_and_the_history_acts_on_it(lab: Lab) -> None:
    folder = Path(lab.server.root)
    for old in [*folder.glob("runs.sqlite*"), *folder.glob("effects.jsonl")]:
        old.unlink()
    launch = 'run = report.launch({}, name="night", journal="runs.sqlite")'
    history = "%pf runs --journal runs.sqlite"
    lab.open(lab.write([_SETUP, launch, 'open_journal("runs.sqlite").run("night")', "%pf resume runs.sqlite", history]))
    lab.run_cell(0)
    lab.run_cell(1)
    card = lab.cell(1).locator(".pf-ask")
    expect(card).to_contain_text("Publish it?")
    expect(lab.cell(1).locator(".pf-node[data-state='done']")).to_have_count(4)
    while '"asked"' not in _kept(folder):
        lab.page.wait_for_timeout(50)
    before = int(lab.outputs(0).last.inner_text().split()[-1])

    os.kill(before, signal.SIGKILL)
    button = lab.page.locator(".jp-Dialog button.jp-mod-accept")
    button.click(timeout=30_000)
    lab.wait_idle()
    lab.run_cell(0)
    assert int(lab.outputs(0).last.inner_text().split()[-1]) != before

    lab.run_cell(2)
    view = lab.cell(2).locator(".pf-run-view")
    expect(view).to_contain_text("reopened from runs.sqlite")
    expect(view).to_contain_text("its process ended before it did, while it asked 'Publish it?'; go on: %pf resume runs.sqlite night")
    expect(view.locator(".pf-count")).to_have_text("unfinished")
    expect(view.locator(".pf-node[data-state='done']")).to_have_count(4)
    expect(view).to_contain_text("looked at papers")
    lab.screenshot("killed-reopened", of=view)

    lab.run_cell(3)
    resumed = lab.cell(3).locator(".pf-run-view").last
    again = resumed.locator(".pf-ask")
    expect(again).to_contain_text("Publish it?")
    expect(resumed).to_contain_text("resumed from runs.sqlite")
    lab.screenshot("killed-resumed", of=resumed)
    again.get_by_role("button", name="yes").click()
    expect(resumed.locator(".pf-count")).to_have_text("done")
    effects = [json.loads(line) for line in (folder / "effects.jsonl").read_text().splitlines()]
    assert sorted(what for what, _, _ in effects) == ["one", "papers", "plan", "publish", "three", "two", "web"]
    assert [process for what, _, process in effects if what == "publish"] != [before]

    lab.run_cell(4)
    table = lab.cell(4).locator(".pf-history")
    row = table.locator(".pf-h-row")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("done")
    for width, theme in ((1400, "light"), (900, "dark"), (500, "light")):
        lab.theme(theme)
        table.evaluate("(el, width) => { el.style.width = `${width}px`; }", width)
        assert table.evaluate(_OUTSIDE) == []
        assert _violations(lab, table) == []
        lab.screenshot(f"history-{theme}-{width}", of=table)
    table.get_by_role("button", name="≥ 1").click()
    expect(table).to_contain_text("No run fits these filters.")
    table.get_by_role("button", name="any cost").click()
    row.focus()
    lab.page.keyboard.press(" ")
    expect(row).to_have_attribute("aria-selected", "true")
    lab.page.keyboard.press("Enter")
    expect(lab.cell(4).locator(".pf-run-view")).to_contain_text("reopened from runs.sqlite")
    expect(row).to_be_focused()
    lab.forget()


def _kept(folder: Path) -> str:
    """What the write-ahead log says of the question; the test must not hold the file."""
    return "".join(file.read_bytes().decode("utf-8", "replace") for file in folder.glob("runs.sqlite*"))
