"""A store that another process writes to, as its inspector shows it: live, with who wrote in which kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import expect

from tests.environment import ROOT
from tests.ui.contrast import poor_texts
from tests.ui.lab import Lab

_SETUP = """
%load_ext pocketflex_nb
from pocketflex_nb import open_store
from pocketflex_nb.notebook import StoreInspector
team = open_store("{url}")
team["topic"] = "the sun"
"""
_OTHER = """
import os, sys
from pocketflex_nb import Flow, Node, open_store

class Research(Node):
    def post(self, shared, prep_res, exec_res):
        shared["notes"] = ["it shines"]
        shared["api_key"] = "sk-abcdefghijklmnop1234"

with open_store(sys.argv[1]) as team:
    Flow(Research(), name="night").run(team)
    print(team.who("notes").kernel)
"""


def test_what_another_process_writes_appears_with_its_run_and_kernel(lab: Lab, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'team.db'}"
    lab.open(lab.write([_SETUP.format(url=url), "StoreInspector(team)"]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".pf-store")
    expect(view).to_be_visible()
    expect(view.locator(".pf-store-row")).to_have_count(1)

    env = os.environ | {"PYTHONPATH": str(ROOT)}
    told = subprocess.run([sys.executable, "-c", _OTHER, url], env=env, capture_output=True, text=True, check=True)

    expect(view.locator(".pf-store-row")).to_have_count(3)
    notes = view.locator(".pf-store-row").filter(has_text="notes")
    expect(notes).to_contain_text("it shines")
    expect(notes).to_contain_text("Research")
    expect(notes).to_contain_text(told.stdout.strip())
    expect(view).not_to_contain_text("sk-abcdefghijklmnop1234")
    notes.click()
    expect(view.locator(".pf-store-history")).to_contain_text("Research")
    for theme in ("dark", "light"):
        lab.theme(theme)
        lab.screenshot(f"shared-store-{theme}", of=view)
        assert poor_texts(view) == [], theme
