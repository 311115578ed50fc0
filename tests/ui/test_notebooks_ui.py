"""Every tutorial in the real browser: Run All goes through, and the page has nothing to complain of."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.notebooks.shelf import notebooks, read
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
