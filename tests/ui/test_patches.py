"""What the pages make of differences is what the kernel meant by them, however a page comes to a view."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from playwright.sync_api import Browser, expect

from pocketflex_nb.notebook.widgets.base.delta import delta
from pocketflex_nb.notebook.widgets.base.js_bundle import WIDGETS
from tests.notebook.widgets.base.test_delta import VALUES
from tests.ui.lab import Lab

_DELTA = WIDGETS / "base/js/delta.js"
_APPLIED = """async ([source, cases]) => {
    const module = await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})));
    return cases.map(([old, change]) => change === null ? old : module.applied(old, change));
}"""


def _cases(count: int) -> list[tuple[Any, Any]]:
    kept: list[tuple[Any, Any]] = [("naïve 😀 " * 9, ("naïve 😀 " * 9)[11:] + "more 😀"), ([[1, "a"], [2, "b"]], [[2, "b"], [3, "c"]])]

    @settings(max_examples=count, database=None)
    @given(VALUES, VALUES, some.booleans())
    def gather(old: Any, new: Any, is_window: bool) -> None:
        kept.append((old, [*old[1:], new] if is_window and isinstance(old, list) else new))

    gather()
    return kept


def test_a_page_applies_what_delta_says(chromium: Browser) -> None:
    cases = _cases(300)
    page = chromium.new_page()

    reached = page.evaluate(_APPLIED, [_DELTA.read_text(encoding="utf-8"), [[old, delta(old, new)] for old, new in cases]])

    assert reached == [new for _, new in cases]
    page.close()


def test_a_page_loaded_again_in_the_middle_shows_all(lab: Lab) -> None:
    made = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node
class Count(Node):
    async def exec(self, prep_res): await asyncio.sleep(0.02)
    def post(self, shared, prep_res, exec_res):
        shared["n"] = shared.get("n", 0) + 1
        return "again" if shared["n"] < shared.get("until", 10**6) else "end"
count = Count(); count - "again" >> count; count - "end" >> Node()
run = Flow(count, name="counting").launch({}); run
"""
    path = lab.write([made, "run.store['until'] = 1; run.wait(10); print(run.store['n'])"])
    lab.open(path)
    lab.run_cell(0)
    view = lab.cell(0).locator(".pf-run-view").first
    expect(view.locator(".pf-facts")).to_contain_text("steps")
    lab.save()

    lab.reload(path)

    view = lab.cell(0).locator(".pf-run-view").first
    expect(view.locator(".pf-node[data-state=running]").first).to_be_visible()
    lab.run_cell(1)
    total = int(lab.outputs(1).inner_text())
    expect(view.locator(".pf-counts")).to_have_text("done")
    expect(view.locator(".pf-facts")).to_contain_text(f"{total + 1} steps")
    expect(view.locator('g.pf-node[data-node="Count"] .pf-visits text')).to_have_text(f"×{total}")
