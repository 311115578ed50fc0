"""The browser harness, with plain cells: that it sees what a person sees, and that it can fail."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.ui.lab import ClassicPage, Lab


def test_cells_run_and_the_saved_file_has_their_outputs(lab: Lab) -> None:
    path = lab.write(["print('from the kernel')", "6 * 7"])
    lab.open(path)

    assert lab.run_all() is True

    expect(lab.outputs(0)).to_have_text("from the kernel\n")
    expect(lab.outputs(1)).to_contain_text("42")
    lab.save()
    assert lab.saved(path).cells[1].outputs[0].data["text/plain"] == "42"


def test_a_failing_cell_is_told_apart(lab: Lab) -> None:
    lab.open(lab.write(["1 / 0", "print('not reached')"]))

    assert lab.run_all() is False

    expect(lab.outputs(0)).to_contain_text("ZeroDivisionError")
    expect(lab.outputs(1)).to_have_count(0)


def test_the_toolbar_interrupts_a_running_cell(lab: Lab) -> None:
    lab.open(lab.write(["import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.05)"]))
    lab.run_all(wait=False)
    expect(lab.outputs(0).first).to_contain_text("begun")
    assert not lab.is_idle()

    lab.interrupt()

    assert lab.ran() is False
    expect(lab.outputs(0).last).to_contain_text("KeyboardInterrupt")
    lab.wait_idle()


def test_dark_theme_and_reload_keep_the_notebook(lab: Lab) -> None:
    path = lab.write(["print('still here')"])
    lab.open(path)
    lab.run_cell(0)
    lab.save()

    lab.theme("dark")
    lab.reload(path)

    expect(lab.outputs(0)).to_contain_text("still here")
    assert lab.evaluate("() => document.body.dataset.jpThemeLight") == "false"
    assert lab.screenshot("harness-dark").stat().st_size > 10_000


def test_a_complaint_in_the_console_is_heard(lab: Lab) -> None:
    lab.open(lab.write(["from IPython.display import Javascript\nJavascript('console.error(\"a complaint\")')"]))
    lab.run_all()

    with pytest.raises(AssertionError, match="a complaint"):
        lab.expect_quiet()


def test_what_is_asked_of_another_machine_is_seen(lab: Lab) -> None:
    lab.evaluate("() => fetch('http://pocketflex.invalid/').catch(() => null)")

    lab.complaints.clear()      # that it was not found is in the console too
    with pytest.raises(AssertionError, match=r"asked of another machine: http://pocketflex\.invalid/"):
        lab.expect_quiet()


def test_notebook_7_runs_cells_too(classic: ClassicPage) -> None:
    classic.open(classic.write(["print('from the kernel')"], name="classic"))

    classic.run_all()

    expect(classic.outputs(0)).to_have_text("from the kernel\n")
