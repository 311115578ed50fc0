"""The Launcher under a person's hands: filling in, checking, starting, stopping, by mouse and by keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.ui.lab import Lab

_SETUP = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node, emit
from pocketflex_nb.notebook import Launcher, RunView, StoreInspector

class Plan(Node):
    def prep(self, shared):
        return shared["topic"], shared.get("depth", 2), shared.get("api_key")
    def post(self, shared, prep_res, exec_res):
        shared["plan"] = f"{prep_res[0]} at {prep_res[1]}"

class Search(Node):
    async def exec(self, prep_res):
        await gate.wait()

class Write(Node):
    def post(self, shared, prep_res, exec_res):
        shared["draft"] = "x"

class Gate:
    is_open = False
    async def wait(self):
        while not self.is_open:
            await asyncio.sleep(0.02)

gate = Gate()
plan, search, write = Plan(), Search(), Write()
plan >> search >> write
research = Flow(plan, name="research")
topics = ["solar", "wind", "sea"]
HELD = "kept"
"""
_SHOWN = "form = Launcher('research')\nform"
_CONTRAST = """root => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const channels = text => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
    const behind = el => {
        for (let x = el; x; x = x.parentElement) { const c = channels(getComputedStyle(x).backgroundColor); if (c[3] === 255) return c; }
        return [255, 255, 255];
    };
    const found = [];
    for (const el of root.querySelectorAll('*')) {
        const says = [...el.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || el.value;
        if (!says || el.disabled || !el.getClientRects().length || el.type === 'radio' || el.tagName === 'OPTION') continue;
        const [a, b] = [light(channels(getComputedStyle(el).color)), light(behind(el))].sort((x, y) => y - x);
        found.push([(a + 0.05) / (b + 0.05), el.className, el.textContent.slice(0, 30)]);
    }
    return found.sort((x, y) => x[0] - y[0]).slice(0, 3);
}"""


@pytest.fixture
def form(lab: Lab) -> Locator:
    lab.open(lab.write([_SETUP, _SHOWN, "gate.is_open = True", "print(form.line, [run.store.get('plan') for run in form.runs])"]))
    lab.run_cell(0)
    lab.run_cell(1)
    found = lab.cell(1).locator(".pf-launcher")
    expect(found).to_be_visible()
    return found


def _line(form: Locator) -> Locator:
    return form.get_by_label("The line that does the same")


def test_what_is_typed_stands_in_the_line_at_once(form: Locator) -> None:
    form.get_by_label("topic, needed").fill("solar power")
    form.get_by_label("depth", exact=True).fill("3")
    form.get_by_role("button", name="Agents: one more").click()
    form.get_by_label("Limit: time").fill("60s")

    expect(_line(form)).to_have_value("%pf run research --seed topic='solar power',depth=3 -n 2 --timeout 60s")
    expect(form.get_by_role("button", name="Start 2")).to_be_enabled()


def test_start_shows_the_runs_below_and_stop_all_ends_them(lab: Lab, form: Locator) -> None:
    form.get_by_label("topic, needed").fill("solar")
    form.get_by_label("Agents", exact=True).fill("3")
    expect(form.get_by_role("button", name="Start 3")).to_be_enabled()

    form.get_by_label("Agents", exact=True).press("Control+Enter")

    view = lab.cell(1).locator(".pf-run-view")
    expect(view).to_contain_text("3 running")
    expect(form.get_by_role("listitem")).to_have_count(3)
    expect(form.locator(".pf-l-count")).to_have_text("3 running")
    form.get_by_role("button", name="Stop all").click()
    expect(form.locator(".pf-l-count")).to_have_text("3 cancelled")
    expect(form.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "3 of 3 over")
    expect(view).to_contain_text("3 cancelled")


def test_a_run_is_followed_to_its_end(lab: Lab, form: Locator) -> None:
    form.get_by_label("topic, needed").fill("solar")
    form.get_by_role("button", name="Start", exact=True).click()
    expect(form.get_by_role("listitem")).to_contain_text("Search")

    lab.run_cell(2)

    expect(form.get_by_role("listitem")).to_contain_text("done")
    lab.run_cell(3)
    expect(lab.outputs(3)).to_contain_text("['solar at 2']")


def test_a_row_for_each_agent_by_keyboard_alone(lab: Lab, form: Locator) -> None:
    form.get_by_label("Same for all").focus()
    lab.page.keyboard.press("ArrowRight")
    form.get_by_label("topic of agent 0").focus()
    lab.page.keyboard.type("solar")
    lab.page.keyboard.press("Enter")
    lab.page.keyboard.type("wind")
    lab.page.keyboard.press("Enter")
    expect(form.get_by_label("topic of agent 2")).to_be_focused()
    lab.page.keyboard.type("sea")

    expect(_line(form)).to_have_value("%pf run research --each topic=@['solar', 'wind', 'sea']")
    assert lab.page.locator(".jp-Cell").count() == 4  # none of the keys reached the notebook


def test_a_table_pasted_from_a_spreadsheet_fills_the_rows(lab: Lab, form: Locator) -> None:
    form.get_by_text("One row per agent").click()
    cell = form.get_by_label("topic of agent 0")
    cell.focus()

    cell.evaluate("""el => { const data = new DataTransfer(); data.setData('text/plain', 'solar\\t1\\nwind\\t2\\nsea\\t3\\n');
        el.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); }""")

    expect(form.get_by_label("depth of agent 2")).to_have_value("3")
    expect(form.get_by_role("button", name="Start 3")).to_be_enabled()


def test_items_of_a_variable_are_runs(form: Locator) -> None:
    form.get_by_text("From a variable").click()
    form.get_by_label("Variable whose items are the inputs").select_option("topics")

    expect(_line(form)).to_have_value("%pf run research --each topic=@topics")
    expect(form.locator(".pf-l-items")).to_have_text("['solar', 'wind', 'sea']")
    expect(form.get_by_label("topic, needed")).to_have_count(0)


def test_a_dry_check_says_what_is_missing_and_a_wrong_field_says_why(form: Locator) -> None:
    form.get_by_role("button", name="Dry check").click()
    expect(form.get_by_role("status")).to_contain_text("Plan reads 'topic', and no input gives it")

    form.get_by_label("Limit: time").fill("soon")

    expect(form.get_by_label("Limit: time")).to_have_attribute("aria-invalid", "true")
    expect(_line(form)).to_have_value("time 'soon': a duration above 0 is needed, such as 20ms, 60s, 5m or 2h")
    expect(form.get_by_role("button", name="Start", exact=True)).to_be_disabled()


def test_a_secret_stays_out_of_the_saved_notebook(lab: Lab, form: Locator) -> None:
    form.get_by_label("api_key").fill("hunter2-and-more")
    expect(form.locator(".pf-l-problem").filter(has_text="a secret does not belong")).to_be_visible()
    form.get_by_label("api_key").fill("@HELD")
    expect(_line(form)).to_have_value("%pf run research --seed api_key=@HELD")

    lab.save()

    assert "hunter2" not in str(lab.saved(max(path.name for path in lab.server.root.glob("scratch-*.ipynb"))))


def test_a_new_flow_and_a_changed_node_are_noticed(lab: Lab, form: Locator) -> None:
    form.get_by_label("topic, needed").fill("solar")
    form.get_by_role("button", name="Start", exact=True).click()
    expect(form.get_by_role("listitem")).to_have_count(1)

    lab.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets[2].model.sharedModel.setSource("
                 "'class Write(Node): pass\\nnight = Flow(Write(), name=\"night\")\\ngate.is_open = True')")
    lab.run_cell(2)

    expect(form.get_by_text("2 flows in this notebook")).to_be_visible()
    expect(form.locator(".pf-l-changed")).to_have_text("changed since last run: Write")


def test_pause_store_and_again_of_one_run(lab: Lab, form: Locator) -> None:
    form.get_by_label("topic, needed").fill("solar")
    form.get_by_role("button", name="Start", exact=True).click()
    form.get_by_role("button", name="Pause research").click()
    expect(form.get_by_role("button", name="Resume research")).to_be_visible()
    form.get_by_role("button", name="Resume research").click()
    lab.run_cell(2)

    form.get_by_role("button", name="Store research").click()
    expect(lab.cell(1).locator(".pf-store")).to_contain_text("solar at 2")
    form.get_by_role("button", name="Again research").click()

    expect(form.get_by_role("listitem")).to_have_count(2)
    expect(lab.cell(1).locator(".pf-run-view")).to_contain_text("research-2")


def test_the_still_form_is_hidden_and_saved(lab: Lab, form: Locator) -> None:
    expect(lab.cell(1).locator("[data-static]:not(form *)").first).to_be_hidden()
    form.get_by_label("topic, needed").fill("solar")
    lab.run_cell(2)
    form.get_by_role("button", name="Start", exact=True).click()
    still = lab.cell(1).locator("[data-static]").first
    expect(still).to_contain_text("done")

    lab.save()

    path = max(lab.server.root.glob("scratch-*.ipynb"), key=lambda path: path.stat().st_mtime).name
    bundles = [output.data for output in lab.saved(path).cells[1].outputs]
    assert any("--seed topic='solar'" in bundle.get("text/plain", "") for bundle in bundles)
    assert any("image/svg+xml" in bundle for bundle in bundles)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(lab: Lab, form: Locator, theme: str) -> None:
    form.get_by_label("topic, needed").fill("solar")
    form.get_by_label("Limit: time").fill("soon")
    form.get_by_role("button", name="Plan").click()
    form.get_by_role("button", name="Dry check").click()
    expect(form.get_by_role("status")).to_contain_text("a duration above 0")
    form.get_by_label("Limit: time").fill("")
    lab.run_cell(2)
    form.get_by_role("button", name="Plan").click()
    form.get_by_role("button", name="Start", exact=True).click()
    expect(form.get_by_role("listitem")).to_contain_text("done")

    lab.theme(theme)

    worst = form.evaluate(_CONTRAST)
    assert worst[0][0] >= 4.5, worst


def test_widgets_that_end_a_cell_bring_their_still_forms(lab: Lab) -> None:
    cells = ["gate.is_open = True\nrun = research.launch({'topic': 'solar'}, show=False).wait()", "RunView(run)", "StoreInspector(run)"]
    path = lab.write([_SETUP, *cells])
    lab.open(path)
    lab.run_all()

    expect(lab.cell(2).locator(".pf-run-view")).to_be_visible()
    expect(lab.cell(3).locator(".pf-store")).to_be_visible()
    for cell in (2, 3):
        expect(lab.cell(cell).locator(".pf-hidden-static")).to_have_count(1)
    lab.save()

    view, store = ([output.data for output in lab.saved(path).cells[cell].outputs] for cell in (2, 3))
    assert "3 done" in view[1]["image/svg+xml"] or 'data-state="done"' in view[1]["image/svg+xml"]
    assert "solar at 2" in store[1]["text/html"]
