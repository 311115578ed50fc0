"""The detail drawer in a real browser: opened by hand and by key, values in full, pinned, run on from, and put into a cell."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.ui.contrast import poor_texts
from tests.ui.lab import ClassicPage, Lab, Screen

_SETUP = '''
%load_ext pocketflex_nb
import tempfile
import pandas as pd
from pathlib import Path
from pocketflex_nb import END, Flow, Node, emit

class Search(Node):
    def exec(self, prep_res):
        return pd.DataFrame({"source": ["a", "b"], "password": ["hunter2hunter2", "x"]})
    def post(self, shared, prep_res, exec_res):
        shared["notes"] = [{"title": "Sun", "text": "light " * 60}]

class Write(Node):
    def prep(self, shared):
        return {"notes": shared["notes"], "tone": shared["tone"], "round": shared.get("round", 0)}
    def exec(self, given):
        print("a draft <b>for you</b>")
        if self.cur_retry < 1:
            raise TimeoutError("too late")
        head = f"# Round {given['round']}, {given['tone']}\\n\\n<img src=x onerror=alert(1)>\\n\\n"
        return head + "[wind](https://example.org)\\n\\n" + "word " * 9000
    def post(self, shared, prep_res, exec_res):
        shared["draft"], shared["round"] = exec_res, prep_res["round"] + 1
        return "again" if shared["round"] < 2 else "end"

search, write = Search(), Write(max_retries=2)
search >> write
write - "again" >> write
write - "end" >> END
flow = Flow(search, name="report")
'''
_RUN = "run = flow.launch({'tone': 'calm'}, name='night', journal=Path(tempfile.mkdtemp()) / 'runs.sqlite'); await run; None"


def _opened(page: Screen, cell: str = _RUN, name: str = "drawer") -> tuple[Locator, Locator]:
    page.open(page.write([_SETUP, cell], name=name))
    page.run_all() if isinstance(page, ClassicPage) else [page.run_cell(k) for k in (0, 1)]  # type: ignore[attr-defined]
    view = page.cell(1).locator(".pf-run-view").first
    expect(view.locator(".pf-counts")).to_have_text("done")
    return view, view.locator(".pf-drawer")


def test_visits_are_opened_by_key_their_values_read_in_full_and_pinned(lab: Lab) -> None:
    view, drawer = _opened(lab)
    first = view.locator('g.pf-node[data-node="Search"]')

    first.focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("Enter")

    expect(drawer.locator(".pf-visit-facts").first).to_contain_text("visit 2 of 2 · done")
    expect(drawer).to_be_focused()
    expect(drawer.locator(".pf-visit-try").first).to_contain_text("TimeoutError: too late")
    expect(drawer.locator(".pf-visit-try").first).to_contain_text("raise TimeoutError")
    expect(drawer.locator(".pf-visit-said", has_text="a draft")).to_contain_text("a draft <b>for you</b>")
    out = drawer.locator('[data-part="exec"]')
    out.locator(".pf-value-opener").click()
    expect(out.locator(".pf-value-text")).to_contain_text("# Round 1, calm")
    out.get_by_role("button", name="More:").click()
    expect(out.get_by_role("button", name="More:")).to_have_count(0)
    assert len(out.locator(".pf-value-text").inner_text()) > 45_000
    out.get_by_role("button", name="Markdown").click()
    expect(out.locator(".pf-markdown h4")).to_have_text("Round 1, calm")
    expect(out.locator(".pf-markdown a")).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(out.locator("img")).to_have_count(0)
    given = drawer.locator('[data-part="prep"]')
    given.locator(".pf-value-opener").first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowRight"):
        lab.page.keyboard.press(key)
        lab.page.wait_for_timeout(150)
    expect(given.locator(".pf-value-row .pf-value-row")).to_have_count(3)
    assert poor_texts(drawer) == []

    drawer.get_by_role("button", name="Pin").click()
    drawer.focus()
    lab.page.keyboard.press("ArrowLeft")

    expect(drawer.locator(".pf-drawer-card")).to_have_count(2)
    expect(drawer.locator(".pf-drawer-compared")).to_contain_text("round")
    expect(drawer.locator(".pf-drawer-compared ins").first).to_have_text("0")
    drawer.focus()
    lab.page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(view.locator('g.pf-node[data-node="Write"]')).to_be_focused()
    view.locator('.pf-bar[data-node="Search"]').click()
    expect(drawer.locator(".pf-visit-node")).to_have_text("Search")
    table = drawer.locator('[data-part="exec"]')
    table.locator(".pf-value-opener").click()
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(table.locator("tbody tr").first).to_contain_text("••••••••")
    expect(view.locator(".pf-place")).to_contain_text("step 3 of 3")      # a click on a bar is no move of the time cursor
    lab.expect_quiet()


def test_run_from_here_and_open_in_a_cell(lab: Lab) -> None:
    view, drawer = _opened(lab)
    view.locator('g.pf-node[data-node="Write"]').click()
    expect(drawer.locator(".pf-visit-facts").first).to_contain_text("visit 2 of 2")

    drawer.get_by_role("button", name="Run from here").click()
    drawer.locator(".pf-fork-label", has_text="tone").locator("textarea").fill("lively")
    drawer.get_by_role("button", name="Start").click()

    expect(view.locator(".pf-lane")).to_have_count(2)
    expect(view.locator(".pf-lane", has_text="night-fork")).to_contain_text("done")
    expect(view.locator('.pf-lane-name[aria-pressed="true"]')).to_have_text("night-fork")
    drawer.get_by_role("button", name="Open in a cell").click()
    expect(lab.panel.locator(".jp-Cell")).to_have_count(3)
    expect(lab.cell(2).locator(".cm-content")).to_contain_text("class Write(Node):")
    expect(lab.cell(2).locator(".cm-content")).to_contain_text("exec_res = write.exec(prep_res)")
    lab.expect_quiet()


def test_without_a_journal_the_button_says_why_and_the_kernels_end_is_told(lab: Lab) -> None:
    view, drawer = _opened(lab, "run = flow.launch({'tone': 'calm'}); await run; None")
    view.locator(".pf-line-text").first.click()

    button = drawer.get_by_role("button", name="Run from here")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.click(force=True)

    expect(drawer.locator(".pf-drawer-said")).to_contain_text("no journal")
    expect(view.locator(".pf-lane")).to_have_count(1)
    lab.expect_quiet()


def test_a_visit_is_opened_and_put_into_a_cell_in_notebook_7(classic: ClassicPage) -> None:
    view, drawer = _opened(classic, name="classic-drawer")

    view.locator('g.pf-node[data-node="Write"]').click()
    drawer.locator('[data-part="prep"] .pf-value-opener').click()

    expect(drawer.locator('[data-part="prep"] .pf-value-row')).to_have_count(3)
    drawer.get_by_role("button", name="Open in a cell").click()
    expect(classic.panel.locator(".jp-Cell")).to_have_count(3)
    expect(classic.cell(2).locator(".cm-content")).to_contain_text("class Write(Node):")
