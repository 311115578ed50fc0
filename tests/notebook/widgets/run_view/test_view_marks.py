"""What a view marks beside the picture: code that is older than its cell, and questions that do not wait for ever."""

from __future__ import annotations

import time
from typing import Any

from pocketflex_nb.notebook import RunView
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from tests.notebook.conftest import Shell


def _view(run: Any) -> RunView:
    view = RunView(run)
    refresh_loop.close(view)
    return view


def test_a_live_run_with_old_code_is_marked_until_it_is_over(shell: Shell) -> None:
    shell.run("flow = Flow(waits, name='flow')\nrun = flow.launch({}, show=False)")
    run = shell.names["run"]
    view = _view(run)
    assert view.header["problems"] == []

    shell.run("class Waits(Node):\n    async def exec(self, prep_res): return 2")
    view._view_model._next_stale = 0.0
    view.refresh()

    assert view.header["problems"] == ["1 agent runs old code of Waits; what is launched now uses the new"]
    run.cancel()
    run.wait(10)
    view._view_model._next_stale = 0.0
    view.refresh()
    assert view.header["problems"] == []


def test_a_question_tells_when_it_ends(shell: Shell) -> None:
    shell.run("from pocketflex_nb import ask\n@node\nasync def asks(shared):\n    await ask('Go on?', ['yes'], timeout=90)\n"
              "run = Flow(asks).launch({}, show=False)")
    run = shell.names["run"]
    while run.status != "asking":
        assert not run.done()

    view = _view(run)
    ends = view.lanes[0]["asks"][0]["ends"]
    view.refresh()

    assert 60 < ends - time.time() <= 90.1
    assert view.lanes[0]["asks"][0]["ends"] == ends


def test_a_question_without_a_limit_counts_nothing_down(shell: Shell) -> None:
    shell.run("from pocketflex_nb import ask\n@node\nasync def asks(shared):\n    await ask('Go on?')\n"
              "run = Flow(asks).launch({}, show=False)")
    while shell.names["run"].status != "asking":
        assert not shell.names["run"].done()

    assert _view(shell.names["run"]).lanes[0]["asks"][0]["ends"] is None
