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
    "the history": (
        FLOWS + "\nfrom pocketflex_nb.notebook import RunHistory\n"
        "for flow in (good, bad): flow.launch({}, journal='axe.sqlite', show=False).wait()",
        "RunHistory('axe.sqlite')", ".pf-history",
    ),
    "the engine": (FLOWS + "\nheld = launch([asks] * 2, show=False)", "%pf panel", ".pf-engine"),
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

#: WCAG 2.2, 1.4.11: what shows where a field is, its border or its own ground, beside what is around it
_FAINT = """root => {
    const parse = text => { const n = (text.match(/[\\d.]+(e-?\\d+)?/g) || []).map(Number);
        if (text.startsWith('color(srgb')) return [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1];
        return text === 'transparent' ? [0, 0, 0, 0] : [n[0], n[1], n[2], n[3] ?? 1]; };
    const over = (top, under) => [0, 1, 2].map(k => top[k] * top[3] + under[k] * (1 - top[3])).concat([1]);
    const light = c => [0.2126, 0.7152, 0.0722].reduce((sum, part, k) => {
        const v = c[k] / 255; return sum + part * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
    const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
    const ground = el => { const layers = [];
        for (; el && !(layers.length && layers.at(-1)[3] === 1); el = el.parentElement) {
            const c = parse(getComputedStyle(el).backgroundColor); if (c[3]) layers.push(c); }
        return layers.reduceRight((under, top) => over(top, under), [255, 255, 255, 1]); };
    const found = [];
    for (const el of root.querySelectorAll('input, select, textarea')) {
        if (!el.checkVisibility({visibilityProperty: true}) || el.disabled || ['range', 'radio', 'checkbox'].includes(el.type)) continue;
        const style = getComputedStyle(el), around = ground(el.parentElement), border = over(parse(style.borderBottomColor), around);
        const seen = parseFloat(style.borderBottomWidth) > 0 ? ratio(border, around) : ratio(ground(el), around);
        if (seen < 3) found.push(`${seen.toFixed(2)} ${el.className || el.tagName}`);
    }
    return [...new Set(found)];
}"""
#: texts and controls that cover each other, as far as they are not scrolled out of sight
_OVERLAPS = """root => {
    const inner = 'svg, .pf-mini, .pf-spoken, .pf-marks, .pf-zoom, .pf-timeline-names, [hidden]';
    const held = 'button, input, select, textarea, label, span, div, td, th, pre, strong, dt, dd, li';
    const leaves = [...root.querySelectorAll(held)].filter(el => {
        if (!el.checkVisibility({visibilityProperty: true, opacityProperty: true}) || el.closest(inner)) return false;
        const says = [...el.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        return says || ['BUTTON', 'INPUT', 'SELECT', 'TEXTAREA'].includes(el.tagName);
    });
    const seen = el => { let {left, top, right, bottom} = el.getBoundingClientRect();
        for (let up = el.parentElement; up && root.contains(up); up = up.parentElement) {
            if (getComputedStyle(up).overflow === 'visible') continue;
            const c = up.getBoundingClientRect();
            [left, top] = [Math.max(left, c.left), Math.max(top, c.top)];
            [right, bottom] = [Math.min(right, c.right), Math.min(bottom, c.bottom)];
        }
        return {left, top, right, bottom}; };
    const boxes = leaves.map(el => [el, seen(el)]).filter(([, b]) => b.right - b.left > 1 && b.bottom - b.top > 1), found = [];
    for (const [k, [a, p]] of boxes.entries()) for (const [b, q] of boxes.slice(k + 1)) {
        if (a.contains(b) || b.contains(a)) continue;
        const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left), high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        if (wide > 3 && high > 3) found.push(`${a.className || a.tagName} over ${b.className || b.tagName}`);
    }
    return [...new Set(found)].slice(0, 20);
}"""
#: lists, and what in each of them is to be one stop of Tab
_LISTS = {
    ".pf-lanes": ".pf-lane-bar button", ".pf-panel-tabs": "button", ".pf-flow-tabs": "button", ".pf-graph": ".pf-node",
    ".pf-h-table tbody": "*", ".pf-store-tree": "*", ".pf-l-runs": "button", ".pf-l-breaks": "button", ".pf-e-list": "button",
    ".pf-agents-tree": "*",
}
_STOPS = """(root, lists) => Object.entries(lists).flatMap(([list, parts]) => [...root.querySelectorAll(list)].map(el => {
    const stops = [...el.querySelectorAll(parts)].filter(part => part.tabIndex >= 0 && !part.disabled && part.checkVisibility());
    return stops.length > 1 ? `${stops.length} in ${list}` : '';
})).filter(Boolean)"""


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
        assert view.evaluate(_FAINT) == [], theme
    assert view.evaluate(_STOPS, _LISTS) == []


def test_axe_finds_planted_faults(lab: Lab) -> None:
    view = _open(lab, "one run")

    view.evaluate("""root => {
        root.querySelector('.pf-more').style.color = '#bbb';
        root.querySelector('.pf-slider').removeAttribute('aria-label');
        const plant = html => root.insertAdjacentHTML('beforeend', html);
        plant('<input class="planted" aria-label="planted" style="border: 1px solid #ddd; background: #fff">');
        plant('<div style="height: 0"><button style="position: relative; top: -20px">planted</button></div>');
        for (const tab of root.querySelectorAll('.pf-panel-tab')) tab.tabIndex = 0;
    }""")

    found = " ".join(_violations(lab, view))
    assert "color-contrast" in found
    assert "label" in found.replace("aria-label", "")
    assert "planted" in " ".join(view.evaluate(_FAINT))
    assert view.evaluate(_OVERLAPS) != []
    assert view.evaluate(_STOPS, _LISTS) == ["5 in .pf-panel-tabs"]


@pytest.mark.parametrize("name", [name for name in VIEWS if name not in ("a row a run", "lanes, an error and a question")])
def test_shortcuts_with_ctrl_are_labs_letters_are_the_views_and_escape_goes_back_to_the_cell(lab: Lab, name: str) -> None:
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
    button.focus()
    lab.page.keyboard.press("Escape")
    assert lab.evaluate("() => !!document.activeElement.closest('.jp-Cell') && !document.activeElement.closest('[class*=pf-]')")
    lab.page.keyboard.press("b")                                        # of Lab again
    expect(lab.panel.locator(".jp-Cell")).to_have_count(cells + 1)


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
def test_at_500_px_and_at_200_percent_nothing_is_outside_without_width_or_covered(lab: Lab, name: str) -> None:
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    try:
        view = _open(lab, name)
        # a page of 1400 x 1000 px at 200 % is laid out in 700 x 500
        for width, height in ((700, 500), (500, 1000)):
            lab.page.set_viewport_size({"width": width, "height": height})
            lab.page.wait_for_timeout(300)
            lab.screenshot(f"narrow-{name.replace(' ', '-')}-{width}", of=view)
            assert view.evaluate(_OUTSIDE) == [], width
            assert view.evaluate(_OVERLAPS) == [], width
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
