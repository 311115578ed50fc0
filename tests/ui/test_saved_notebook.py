"""A notebook that was saved below live views, opened again: its still forms tell the story, trusted or not, in both themes."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.ui.contrast import poor_texts
from tests.ui.lab import Lab

_CODE = """%load_ext pocketflex_nb
from pocketflex_nb import *
from pocketflex_nb.notebook import StoreInspector
@node
async def talk(shared):
    for number in range(30):
        emit("log", f"line {number} of " + shared["topic"])
    shared["found"] = "<b>leaves</b>"
@node
async def judge(shared):
    if shared["topic"] == "bees":
        raise ValueError("no source for bees")
flow = Flow(linear(talk, judge), name="report")"""
_CELLS = [
    _CODE,
    "group = flow.launch_each('topic', ['tea', 'bees']); group.wait(); None",
    "StoreInspector(group)",
    "team = Supervisor([child(type('Idler', (Agent,), {}), id='idler')], name='team'); await team.start(); team",
    "await team.stop(); team.is_alive",
]


def test_a_saved_notebook_tells_its_stories_when_it_is_opened_again(lab: Lab) -> None:
    path = lab.write(_CELLS, name="story")
    lab.open(path)
    assert lab.run_all() is True
    expect(lab.cell(1).locator(".pf-run-view .pf-counts")).to_contain_text("1 failed")
    expect(lab.cell(3).locator(".pf-agents")).to_contain_text("ended")
    lab.page.wait_for_function("() => document.body.innerText.includes('ended') && !!document.querySelector('.pf-hidden-static')")
    lab.wait_idle()
    lab.save()
    lab.close_all()
    raw = json.loads((lab.server.root / path).read_text())
    raw["cells"][0]["source"].append("\n# another person's copy")
    for cell in raw["cells"]:
        cell["metadata"].pop("trusted", None)
    (lab.server.root / "copy.ipynb").write_text(json.dumps(raw))

    for file, is_trusted in ((path, True), ("copy.ipynb", False)):
        lab.open(file)
        still = lab.cell(1).locator(".pf-still")
        expect(still).to_be_visible()
        expect(still.locator("summary", has_text="bees")).to_contain_text("failed")
        expect(lab.cell(1).get_by_text("Loading widget")).to_have_count(0 if not is_trusted else 1)
        if is_trusted:
            expect(lab.cell(1).get_by_text("Loading widget")).to_be_hidden()
        still.locator("summary", has_text="bees").first.click()
        expect(still).to_contain_text("no source for bees")
        expect(still.get_by_text("line 29 of bees")).to_be_visible()
        expect(lab.cell(1).locator("[data-mime-type='text/markdown']")).to_have_count(0)
        assert still.locator("img").first.evaluate("img => img.decode().then(() => img.naturalWidth > 100)")
        assert "judge failed" in (still.locator("img").first.get_attribute("alt") or "")
        expect(lab.cell(2).locator(".pf-still")).to_contain_text("found")
        expect(lab.cell(3).locator(".pf-still")).to_contain_text("ended: ")
        for theme in ("light", "dark"):
            lab.theme(theme)
            assert poor_texts(still) == [], theme
        lab.theme("light")
        lab.close_all()
    lab.forget()  # JupyterLab complains of the widgets whose kernel is gone
