"""A bare IPython shell, loaded and unloaded around each test; a cell that fails raises here."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from pocketflex_nb.engine.runs import run_lifecycle
from pocketflex_nb.engine.runs.run import forget, lifecycle_of, runs
from pocketflex_nb.notebook.shell.output_capture import Lane
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop

_NODES = """
import asyncio, time
from pocketflex_nb import Flow, Node, Store, launch, node

class Plan(Node):
    def post(self, shared, prep_res, exec_res):
        shared.setdefault("seen", []).append("plan")

class Search(Node):
    def exec(self, prep_res):
        print("looking")
    def post(self, shared, prep_res, exec_res):
        shared["found"] = shared.get("topic", "nothing")

class Fails(Node):
    def exec(self, prep_res):
        return 1 / 0

class Waits(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(600)

plan, search, fails, waits = Plan(), Search(), Fails(), Waits()
"""


@pytest.fixture(autouse=True)
def _no_view_stays_open() -> Iterator[None]:
    """A view that a test leaves open would keep the refresh loop turning, and the next test waiting for its end."""
    yield
    for view in list(refresh_loop._open):
        refresh_loop.close(view)


class Shell:
    """A shell that runs cells as a front end does: whole cells, transformed, awaited."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.said = ""

    @property
    def names(self) -> dict[str, Any]:
        return self.shell.user_ns

    def run(self, cell: str) -> Any:
        """Run a cell, raise what it raises, return its last value; what it printed is in `said`."""
        heard = io.StringIO()
        with redirect_stdout(Lane(heard)), redirect_stderr(Lane(sys.stderr)):  # type: ignore[type-var]
            result = self.shell.run_cell(cell, store_history=False)
        self.said = heard.getvalue()
        result.raise_error()
        return result.result

    def refuse(self, cell: str) -> str:
        """Run a cell that must fail with a usage error, and return its text."""
        from IPython.core.error import UsageError

        with pytest.raises(UsageError) as caught:
            self.run(cell)
        return str(caught.value)


@pytest.fixture
def shell() -> Iterator[Shell]:
    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    made.reset(new_session=False)
    made.run_cell("%load_ext pocketflex_nb")
    forget()
    run_lifecycle._numbers.clear()  # every test counts its runs from the first
    one = Shell(made)
    one.run(_NODES)
    yield one
    for run in runs(live=True):
        run.cancel()
        if lifecycle_of(run).launched:
            run.wait(5)
    made.run_cell("%unload_ext pocketflex_nb")
