"""Nothing that a flow, a store or an agent holds does anything but be read: not on the page, and not in the saved file."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Browser, Locator, expect

from tests.ui.lab import Lab

SECRET = "sk-proj-abcdefghijklmnop1234567890"
_SETUP = r'''
%load_ext pocketflex_nb
from pocketflex_nb import Agent, Flow, Node, Supervisor, child, launch, trace
from pocketflex_nb.agents import handles
from pocketflex_nb.notebook import RunView, StoreInspector

BAD = """<script>window.pfxHacked = 1</script><img src=x onerror="window.pfxHacked = 2">"""
BREAK = """</svg></style></title><svg onload='window.pfxHacked = 3'>"'><a href="javascript:window.pfxHacked=4">&lt;"""
TURNED = "safe\u202etxt.exe\u2066 \u200f\u0000\u0007 \ud800"

class Rude:
    def __repr__(self): raise RuntimeError(BAD)
    __str__ = __repr__
class Endless:
    def __len__(self): raise ValueError("no length")
ring = []; ring.append(ring); loop = {"self": ring}; loop["again"] = loop

class Writes(Node):
    def prep(self, shared): return {"api_key": SECRET, "bad": BAD}
    def exec(self, prep_res):
        print(BAD, BREAK, TURNED[:-1], SECRET)
        return None
    def post(self, shared, prep_res, exec_res):
        shared[BAD] = BREAK
        shared[TURNED] = TURNED
        shared["rude"], shared["endless"], shared["loop"] = Rude(), Endless(), loop
        shared["long"] = "x" * 10_000_000
        shared["deep"] = {"password": SECRET, "list": [BAD, SECRET, b"\x00<script>"]}
        shared["api_key"] = SECRET
        return BREAK

class Fails(Node):
    def prep(self, shared): return {"api_key": SECRET, "bad": BAD}
    def exec(self, material): raise ValueError(BAD + BREAK + SECRET)

def hostile(last):
    first = Writes(); first.name = BAD + BREAK; last.name = TURNED + BREAK
    first - BREAK >> last
    return Flow(first, name=BREAK + BAD)
'''


def _unharmed(lab: Lab, *views: Locator) -> None:
    assert lab.evaluate("() => window.pfxHacked") is None
    for view in views:
        assert view.locator("script, img, a[href], iframe, [onload], [onerror]").count() == 0
        assert SECRET not in view.inner_text()


def _setup() -> str:
    return _SETUP.replace("%load_ext pocketflex_nb\n", f"%load_ext pocketflex_nb\nSECRET = {SECRET!r}\n")


def test_runs_stores_and_agents_are_only_read(lab: Lab) -> None:
    agents = (
        "class Says(Agent):\n    @handles.call\n    async def say(self, words):\n"
        "        self.words, self.token = words, SECRET\n        return BAD\n"
        "sup = await Supervisor([child(Says, id=BREAK)], name=BAD).start()\n"
        "with trace(sup) as told:\n    await sup[BREAK].say(BAD + SECRET)\nsup"
    )
    path = lab.write([
        _setup(), "group = launch({BAD: hostile(Node()), TURNED: hostile(Fails())}, show=False); group.wait(); None",
        "RunView(group)", "StoreInspector(group)", agents, "told",
    ])
    lab.open(path)
    assert lab.run_all() is True
    run, store = lab.cell(2).locator(".pf-run-view"), lab.cell(3).locator(".pf-store")
    tree, messages = lab.cell(4).locator(".pf-agents"), lab.cell(5).locator(".pf-agents")

    for tab in ("Diff", "Messages", "Store", "Error", "Events"):
        run.get_by_role("tab", name=tab).click()
        expect(run.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        _unharmed(lab, run)
    for row in range(store.locator(".pf-store-row").count()):
        store.locator(".pf-store-row .pf-store-name").nth(row).click()
        expect(store.locator(".pf-store-row").nth(row)).to_have_attribute("aria-selected", "true")
        _unharmed(lab, store)
    store.get_by_role("button", name="One step back").click()
    expect(store.locator(".pf-store-place")).to_contain_text("0 of 1")
    tree.locator(".pf-agents-name").first.click()
    expect(tree.locator(".pf-agents-text").first).to_be_visible()

    _unharmed(lab, run, store, tree, messages)
    lab.save()
    assert SECRET not in json.dumps([cell.get("outputs") for cell in lab.saved(path).cells])
    assert SECRET not in json.dumps(lab.saved(path).metadata)


def test_the_written_files_are_inert(lab: Lab, chromium: Browser, tmp_path: Path) -> None:
    written = f"""
group = launch({{BAD: hostile(Node()), TURNED: hostile(Fails())}}, show=False).wait()
group.to_html({str(tmp_path / 'group.html')!r}); group[1].to_html({str(tmp_path / 'run.html')!r})
open({str(tmp_path / 'flow.svg')!r}, 'w').write(group[0].to_svg())
open({str(tmp_path / 'store.html')!r}, 'w').write(StoreInspector(group).still('x'))
"""
    lab.open(lab.write([_setup(), written]))
    assert lab.run_all() is True
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    for name in ("group.html", "run.html", "flow.svg", "store.html"):
        page.goto((tmp_path / name).as_uri())
        assert page.evaluate("() => window.pfxHacked") is None, name
        assert page.locator("script, img, a[href], iframe, [onload], [onerror]").count() == 0, name
        assert SECRET not in (tmp_path / name).read_text(encoding="utf-8"), name
    assert [url for url in asked if not url.startswith("file:")] == []
    page.close()
