"""Every tutorial in the real browser: Run All goes through, and the page has nothing to complain of."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.notebooks.answers import lesson_01
from tests.notebooks.notebook_files import notebooks, read
from tests.ui.lab import Lab


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
@pytest.mark.timeout(240)
def test_a_tutorial_runs_through_in_lab_without_a_complaint(lab: Lab, path: Path) -> None:
    """That the console stays quiet, and nothing is asked of another machine, is looked at when the notebook is closed: see `lab`."""
    lab.open(lab.copy(path))

    assert lab.run_all(timeout=120) is True

    lab.wait_idle()
    code = [index for index, cell in enumerate(read(path).cells) if cell.cell_type == "code"]
    expect(lab.cell(code[-1]).locator(".jp-InputPrompt")).to_contain_text(str(len(code)))
    expect(lab.panel.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
    lab.screenshot(path.stem)


_BEGIN = """
%load_ext pocketflex_nb
import importlib, inspect
from pocketflex_nb import Node
from pocketflex_nb.lessons.exercises import check, hint, progress
"""

#: how bright a colour of an element is, from 0 to 255
_GREY = "(el, what) => getComputedStyle(el)[what].match(/[\\d.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_exercise_is_checked_and_helped_in_the_page(lab: Lab, theme: str) -> None:
    lab.theme(theme)
    wrong, hinted = lesson_01.WRONG["01.1"][0]
    cells = [_BEGIN, wrong, "check('01.1', longest)", "hint('01.1')", lesson_01.SOLUTIONS["01.1"], "check('01.1', longest)"]
    lab.open(lab.write([*cells, "progress('01')"]))

    assert lab.run_all() is True

    card = lab.outputs(2)
    expect(card).to_contain_text("01.1 A node of your own: not quite")
    expect(card).to_contain_text(hinted)
    expect(lab.outputs(3)).to_contain_text("of 3")
    expect(lab.outputs(5)).to_contain_text("01.1 A node of your own: solved")
    expect(lab.outputs(6)).to_contain_text("✓ 01.1")
    ink = card.evaluate(_GREY, "color")
    paper = lab.panel.evaluate(_GREY, "backgroundColor")
    assert abs(ink - paper) > 120, f"hard to read: {ink:.0f} on {paper:.0f}"
    lab.screenshot(f"exercise-{theme}")
