"""Tutorial 6 in the real browser: after Run All a child is killed by its button, and the tree shows that it is back."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.notebooks.notebook_files import FOLDER, read
from tests.ui.lab import Lab

PATH = FOLDER / "06_supervision.ipynb"


def _index(code: str) -> int:
    """The one cell with that code in it."""
    (found,) = [index for index, cell in enumerate(read(PATH).cells) if cell.cell_type == "code" and code in cell.source]
    return found


def _rows(lab: Lab, cell: int) -> Locator:
    return lab.cell(cell).locator(".pf-agents-row")


def _row(lab: Lab, cell: int, child: str) -> Locator:
    return lab.cell(cell).locator(f'.pf-agents-row[data-child="{child}"]')


def _run_to(lab: Lab, cell: int) -> None:
    """Run every cell up to `cell`, as a reader has who is there."""
    lab.open(lab.copy(PATH))
    lab.evaluate("index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", cell)
    lab.command("notebook:run-all-above")
    assert lab.run_cell(cell) is True


@pytest.fixture
def tree(lab: Lab) -> int:
    """The tutorial has run through; the cell of its first tree, in view."""
    lab.open(lab.copy(PATH))
    assert lab.run_all(timeout=120) is True
    lab.wait_idle()
    cell = _index('name="library"')
    lab.cell(cell).scroll_into_view_if_needed()
    return cell


@pytest.mark.timeout(240)
def test_a_child_killed_by_its_button_is_back_and_counted(lab: Lab, tree: int) -> None:
    desk, shelf = _row(lab, tree, "desk"), _row(lab, tree, "shelf")
    expect(desk).to_contain_text("Polite · running")
    expect(desk).to_have_attribute("data-restarts", "0")
    before = int(shelf.get_attribute("data-restarts") or 0)

    desk.get_by_role("button", name="Kill desk").click()

    expect(desk).to_have_attribute("data-restarts", "1")
    expect(desk).to_have_attribute("data-status", "running")
    expect(desk).to_contain_text("1 restart")
    expect(desk).to_contain_text("killed")
    expect(desk).to_contain_text("Desk · running")      # what its spec says, and new: it has answered nobody yet
    expect(desk).to_contain_text("0 handled")
    expect(shelf).to_have_attribute("data-restarts", str(before))


@pytest.mark.timeout(240)
def test_every_view_of_the_team_shows_the_same_restart(lab: Lab, tree: int) -> None:
    last = _index("A book without a single word")
    reader = _row(lab, tree, "reader")
    restarts = int(reader.get_attribute("data-restarts") or 0)

    reader.get_by_role("button", name="Kill reader").click()

    for cell in (tree, last):
        expect(_row(lab, cell, "reader")).to_have_attribute("data-restarts", str(restarts + 1))
        expect(_row(lab, cell, "reader")).to_have_attribute("data-status", "running")


@pytest.mark.timeout(240)
def test_running_the_teams_cell_again_leaves_one_team(lab: Lab, tree: int) -> None:
    lab.run_cell(tree)

    expect(_rows(lab, tree)).to_have_count(3)
    expect(_row(lab, tree, "desk")).to_contain_text("Desk · running")
    expect(lab.cell(_index('await call("desk", "heapq")')).locator(".pf-agents-facts")).to_contain_text("ended")


@pytest.mark.timeout(240)
def test_who_never_yields_is_killed_by_the_button_and_is_back(lab: Lab) -> None:
    cell, tree = _index("What is the meaning"), _index('name="library"')
    _run_to(lab, cell)
    thinker = _row(lab, tree, "thinker")
    expect(thinker).to_have_attribute("data-restarts", "0")

    thinker.get_by_role("button", name="Kill thinker").click()

    expect(thinker).to_have_attribute("data-restarts", "1")
    expect(thinker).to_have_attribute("data-status", "running")


@pytest.mark.timeout(240)
def test_old_code_is_marked_until_the_next_restart_heals_it(lab: Lab) -> None:
    cell = _index("A book without a single word")
    _run_to(lab, cell)
    reader = _row(lab, cell, "reader")
    expect(reader).to_contain_text("old code")

    reader.get_by_role("button", name="Kill reader").click()

    expect(reader).to_contain_text("code v2")
    expect(reader).not_to_contain_text("old code")
