"""For every hand and eye: axe-core over every view in both themes, Lab's own shortcuts, the focus, forced colours, and narrow pages."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.node_packages import node_packages
from tests.ui.lab import Lab
from tests.ui.test_agents import _SETUP as AGENTS
from tests.ui.test_agents import _TREE as TREE
from tests.ui.test_launcher import _SETUP as FORMS
from tests.ui.test_run_view import _FLOWS as FLOWS
from tests.ui.test_store_inspector import _SETUP as STORES

#: setup, cell, and selector of the view
VIEWS = {
    "one run": (FLOWS, "run = good.launch({}); run.wait(); None", ".pf-run-view"),
    "lanes, an error and a question": (FLOWS, "group = launch([good, bad, asks])\ngroup[0].wait(); None", ".pf-run-view"),
    "a row a run": (FLOWS, "group = launch([good] * 9); group.wait(); None", ".pf-run-view"),
    "a crowd": (FLOWS, "group = launch([good] * 200 + [bad]); group.wait(); None", ".pf-run-view"),
    "the store": (STORES, "StoreInspector(group)", ".pf-store"),
    "the form": (FORMS, "Launcher('research')", ".pf-launcher"),
    "agents": (AGENTS, TREE, ".pf-agents"),
    "the engine": (FLOWS, "%pf panel", ".pf-engine"),
}
#: Lab gives its body no height, and axe passes over what is outside of it without a word
_ROOM = "() => { document.body.style.minHeight = '100vh'; document.documentElement.style.minHeight = '100vh'; }"
_AXE = """async root => {
    const found = await axe.run(root, {resultTypes: ['violations'], rules: {region: {enabled: false}}});
    const told = v => v.nodes.map(n => `${v.id} (${v.impact}): ${n.html.slice(0, 160)}`);
    return found.violations.filter(v => v.impact !== 'minor').flatMap(told);
}"""
_OUTSIDE = """root => {
    const box = root.getBoundingClientRect(), found = [];
    for (const el of root.querySelectorAll('button, input, select, .pf-store-value, .pf-e-cell, .pf-line-text, .pf-count')) {
        if (!el.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
        if (el.closest('.pf-mini, svg, .pf-spoken, [hidden]')) continue;
        const own = el.getBoundingClientRect();
        if (own.width < 6 || own.right > box.right + 1 || own.left < box.left - 1) found.push(`${el.className} ${own.width.toFixed(0)} px`);
    }
    return [...new Set(found)];
}"""


def _open(lab: Lab, name: str) -> Locator:
    setup, cell, selector = VIEWS[name]
    lab.open(lab.write([setup, cell, "print('next')"]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(selector).first
    expect(view).to_be_visible()
    return view


def _violations(lab: Lab, view: Locator) -> list[str]:
    if not lab.evaluate("() => !!window.axe"):
        lab.page.add_script_tag(path=node_packages() / "axe-core" / "axe.min.js")
    lab.evaluate(_ROOM)
    found: list[str] = view.evaluate(_AXE)
    return found


@pytest.mark.parametrize("name", VIEWS)
def test_axe_finds_nothing_serious_or_moderate(lab: Lab, name: str) -> None:
    view = _open(lab, name)

    for theme in ("light", "dark"):
        lab.theme(theme)
        if view.get_by_role("tab", name="Store").count():
            view.get_by_role("tab", name="Store").click()
        assert _violations(lab, view) == [], theme


def test_axe_finds_planted_faults(lab: Lab) -> None:
    view = _open(lab, "one run")

    view.evaluate("""root => {
        root.querySelector('.pf-more').style.color = '#bbb';
        root.querySelector('.pf-slider').removeAttribute('aria-label');
    }""")

    found = " ".join(_violations(lab, view))
    assert "color-contrast" in found
    assert "label" in found.replace("aria-label", "")


@pytest.mark.parametrize("name", [name for name in VIEWS if name not in ("a row a run", "lanes, an error and a question", "the engine")])
def test_shortcuts_with_ctrl_are_labs_and_letters_are_the_views(lab: Lab, name: str) -> None:
    view = _open(lab, name)
    button = view.locator("button:visible:not(:disabled)").first
    button.focus()
    is_dirty = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
    cells = lab.panel.locator(".jp-Cell").count()
    lab.evaluate("() => { window.jupyterapp.shell.currentWidget.context.model.dirty = true; }")

    lab.page.keyboard.press("b")                                        # of Lab: a new cell below
    assert lab.panel.locator(".jp-Cell").count() == cells
    lab.page.keyboard.press("Control+s")

    lab.page.wait_for_function(f"() => !({is_dirty})()")


@pytest.mark.parametrize("name", ["one run", "the store", "the form"])
def test_escape_goes_back_to_the_cell(lab: Lab, name: str) -> None:
    view = _open(lab, name)
    view.locator("button:visible:not(:disabled)").first.focus()

    lab.page.keyboard.press("Escape")

    assert lab.evaluate("() => !!document.activeElement.closest('.jp-Cell') && !document.activeElement.closest('[class*=pf-]')")
    lab.page.keyboard.press("b")
    expect(lab.panel.locator(".jp-Cell")).to_have_count(4)


def _is_inside(lab: Lab) -> bool:
    return bool(lab.evaluate("() => !!document.activeElement.closest('.pf-run-view, .pf-store, .pf-launcher, .pf-agents, .pf-engine')"))


def test_after_a_press_the_focus_stays_in_the_view(lab: Lab) -> None:
    view = _open(lab, "lanes, an error and a question")
    yes = view.get_by_role("button", name="yes", exact=True)

    yes.focus()
    lab.page.keyboard.press("Enter")
    expect(yes).to_have_count(0)
    assert _is_inside(lab)

    slow = "class Slow(Count):\n    async def exec(self, prep_res): await asyncio.sleep(600)\ngroup = launch([Flow(Slow())] * 2)"
    lab.open(lab.write([FLOWS, slow]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".pf-run-view")
    for press in (view.locator(".pf-lane .pf-small").first, view.locator(".pf-tools .pf-stop")):
        press.focus()
        lab.page.keyboard.press("Enter")
        expect(press).to_be_hidden()
        assert _is_inside(lab)


def test_after_a_press_in_the_inspector_and_the_engines_panel_the_focus_stays(lab: Lab) -> None:
    view = _open(lab, "the store")
    view.locator(".pf-store-row", has_text="topic").click()
    view.get_by_role("button", name="Edit").focus()
    lab.page.keyboard.press("Enter")
    lab.page.keyboard.press("Escape")
    assert _is_inside(lab)
    wait = "class Slow(Count):\n    async def exec(self, prep_res): await asyncio.sleep(600)\n"
    wait += "run = Flow(Slow(), name='slow').launch({}, show=False)"
    lab.open(lab.write([FLOWS, "%pf panel", wait]))
    for index in range(3):
        lab.run_cell(index)
    panel = lab.cell(1).locator(".pf-engine")
    stop = panel.get_by_role("button", name="Stop slow", exact=True)
    stop.focus()
    lab.page.keyboard.press("Enter")
    expect(stop).to_have_count(0)
    assert _is_inside(lab)


@pytest.mark.parametrize("name", VIEWS)
def test_at_500_px_nothing_is_outside_or_without_width(lab: Lab, name: str) -> None:
    lab.page.set_viewport_size({"width": 500, "height": 1000})
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    try:
        view = _open(lab, name)
        lab.page.wait_for_timeout(300)
        lab.screenshot(f"narrow-{name.replace(' ', '-')}", of=view)
        assert view.evaluate(_OUTSIDE) == []
    finally:
        lab.page.set_viewport_size({"width": 1400, "height": 1000})


def _emulate(lab: Lab, **features: Any) -> None:
    lab.page.emulate_media(**features)


def test_forced_colours_keep_focus_selection_swatches_and_the_needle(lab: Lab) -> None:
    view = _open(lab, "one run")
    view.get_by_role("button", name="One step back").click()
    _emulate(lab, forced_colors="active")
    try:
        style = "(el, name) => getComputedStyle(el)[name]"
        colours = {view.locator(".pf-swatch").nth(k).evaluate(style, "backgroundColor") for k in range(2)}
        needle = view.locator(".pf-needle").evaluate(style, "backgroundColor")
        view.get_by_role("tab", name="Diff").click()
        chosen, other = (
            view.get_by_role("tab", name=name).evaluate(style, "borderBottomColor") for name in ("Diff", "Store")
        )
        lab.page.keyboard.press("ArrowRight")
        ring = view.get_by_role("tab", name="Messages").evaluate(style, "outlineStyle")
        lab.screenshot("forced-colours", of=view)
    finally:
        _emulate(lab, forced_colors="none")
    assert len(colours) == 2
    assert needle not in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert chosen != other
    assert ring == "solid"
