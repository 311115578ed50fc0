"""IPython in a real terminal, and a notebook run without a page: progress as text."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

pexpect = pytest.importorskip("pexpect", reason="a pseudo-terminal comes with IPython on POSIX only")

_SETUP = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node, emit
class Look(Node):
    async def exec(self, prep_res):
        for k in range(8):
            emit("progress", done=k + 1, total=8)
            await asyncio.sleep(0.2)
    def post(self, shared, prep_res, exec_res):
        shared["found"] = 1
flow = Flow(Look(), name="looking")
"""
_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "setup.ipy").write_text(_SETUP)
    env = {**os.environ, "IPYTHONDIR": str(tmp_path), "PYTHONPATH": str(_ROOT), "TERM": "xterm"}
    options = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor", "-i", str(tmp_path / "setup.ipy")]
    child = pexpect.spawn(sys.executable, options, env=env, encoding="utf-8", timeout=60, dimensions=(30, 100))
    child.expect_exact("In [1]: ")
    yield child
    child.sendeof()
    child.close(force=True)


def test_a_terminal_has_one_line_that_moves_and_the_lines_of_all_at_the_end(terminal: Any) -> None:
    terminal.sendline("%pf run flow -n 3")
    terminal.expect_exact("In [2]: ")

    told = terminal.before
    moved = re.findall(r"\r\x1b\[Klooking: ([^\r\n]+)", told)
    assert any("running" in line and "0/3" in line for line in moved), told
    last = told[told.rindex("\x1b[K") + 3 :].split()
    assert " ".join(last).count("done, 1 step") == 3


def test_between_the_cells_nothing_is_written_over_what_is_typed(terminal: Any) -> None:
    terminal.sendline("%pf run flow --bg -o run")
    terminal.expect_exact("In [2]: ")
    terminal.sendline("run.wait().status")
    terminal.expect_exact("'done'")

    assert "\x1b[K" not in terminal.before.split("run.wait", 1)[0]


def test_the_launcher_the_panel_and_views_are_text_there(terminal: Any) -> None:
    terminal.sendline("%pf launch flow")
    terminal.expect_exact("%pf run flow")
    terminal.sendline("%pf panel")
    terminal.expect_exact("engine thread:")
    terminal.sendline("from pocketflex_nb.notebook import RunView, StoreInspector; run = flow.launch({'a': 1}, show=False).wait()")
    terminal.sendline("RunView(run)")
    terminal.expect("looking: done, 1 step")
    terminal.sendline("StoreInspector(run)")
    terminal.expect_exact("found: 1")


def test_a_notebook_run_without_a_page_keeps_the_stills(tmp_path: Path) -> None:
    views = ["from pocketflex_nb.notebook import *\nRunView(run)", "StoreInspector(run)", "Launcher('flow')"]
    cells = ["%pf run flow -n 2 --view text", "%pf run flow -o run", *views]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in [_SETUP, *cells]])

    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60).execute()

    bundles = [[output.data for output in cell.outputs if "data" in output] for cell in notebook.cells]
    assert len(bundles[1]) == 1 and bundles[1][0]["text/plain"].count("done, 1 step") == 2
    for cell in (2, 3):
        assert any('data-state="done"' in bundle.get("image/svg+xml", "") for bundle in bundles[cell])
    assert any("found" in bundle.get("text/html", "") for bundle in bundles[4])
    assert any("%pf run flow" in bundle.get("text/html", "") for bundle in bundles[5])
