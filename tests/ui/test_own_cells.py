"""Our own cells in the harness: the extension loads, a cell magic runs a flow, and the picture is there afterwards too."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

import pocketflex_nb
from tests.ui.lab import ClassicPage, Lab

_STANDS = hasattr(pocketflex_nb, "load_ipython_extension")
pytestmark = pytest.mark.skipif(not _STANDS, reason="the notebook room is not wired up yet")

_CELLS = [
    "%load_ext pocketflex_nb\nfrom pocketflex_nb import node",
    "@node\ndef plan(shared): shared['topic'] = 'bees'\n@node\nasync def write(shared): shared['text'] = 'on ' + shared['topic']",
    "%%pocketflex report --run -o run\nflowchart LR\n  plan --> write",
    "print(run.status, run.store['text'])",
]


def test_a_mermaid_cell_runs_and_is_still_drawn_in_the_saved_file(lab: Lab) -> None:
    path = lab.write(_CELLS, name="own")
    lab.open(path)

    assert lab.run_all() is True

    expect(lab.outputs(3)).to_have_text("done on bees\n")
    expect(lab.cell(2).locator("svg").first).to_be_visible()
    lab.save()
    bundles = [output.data for output in lab.saved(path).cells[2].outputs if "data" in output]
    assert any("image/svg+xml" in bundle for bundle in bundles)


def test_the_same_cells_run_in_notebook_7(classic: ClassicPage) -> None:
    classic.open(classic.write(_CELLS, name="own-classic"))

    classic.run_all()

    expect(classic.outputs(3)).to_have_text("done on bees\n")
    expect(classic.cell(2).locator("svg").first).to_be_visible()


def test_a_mistake_is_two_lines_and_nothing_runs(lab: Lab) -> None:
    lab.open(lab.write([*_CELLS[:2], "%%pocketflex report --run -o run\nflowchart LR\n  plan --> wriet"]))

    assert lab.run_all() is False

    expect(lab.outputs(2)).to_contain_text("write")
    assert len(lab.outputs(2).inner_text().strip().splitlines()) <= 4      # the message, the line, the caret under it
