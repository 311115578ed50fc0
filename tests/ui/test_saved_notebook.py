"""A notebook that was saved below live views, opened again: its still forms tell the story, trusted or not, in both themes."""

from __future__ import annotations

import json
import platform
from pathlib import Path

from playwright.sync_api import expect

from tests.ui.contrast import poor_texts
from tests.ui.lab import Lab

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
_MODEL = "window.jupyterapp.shell.currentWidget.context.model"
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


def test_a_shipped_notebook_opens_unmodified_and_under_another_python_only_the_version_is_new(lab: Lab) -> None:
    """JupyterLab writes what the kernel says of its language into every notebook; the rest is to be as it would write it."""
    raw = json.loads((NOTEBOOKS / "00_tour.ipynb").read_text(encoding="utf-8"))
    told = raw["metadata"]["language_info"]

    for version, is_same in ((platform.python_version(), True), ("3.99.0", False)):
        told["version"] = version
        name = f"tour-{version}.ipynb"
        (lab.server.root / name).write_text(json.dumps(raw, indent=1), encoding="utf-8")
        lab.open(name)
        here = f"version => {_MODEL}.getMetadata('language_info').version === version"
        lab.page.wait_for_function(here, arg=platform.python_version())
        found = lab.evaluate(f"() => [{_MODEL}.dirty, {_MODEL}.toJSON()]")

        assert found[0] is not is_same
        found[1]["metadata"]["language_info"]["version"] = version
        assert found[1]["metadata"] == raw["metadata"]
        assert [cell["source"] for cell in found[1]["cells"]] == ["".join(cell["source"]) for cell in raw["cells"]]
        lab.close_all()
