"""The run history: the rows of journals, and what can be done with many of them; one that cannot be is named."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, emit, open_journal
from pocketflex_nb.journal import journal_file
from pocketflex_nb.notebook.magics.completion import candidates
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.run_history.run_history import RunHistory
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
from tests.notebook.conftest import Shell

DOWN: set[str] = set()
SECRET = "sk-" + "a1B2" * 12


class Fetch(Node):
    def prep(self, shared: Any) -> Any:
        return shared["topic"]

    def exec(self, topic: Any) -> Any:
        if topic in DOWN:
            raise ConnectionError(f"{topic} is down: {SECRET}")
        emit("usage", tokens=10, cost=0.25)
        return topic

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["text"] = exec_res


def fetching() -> Flow:
    return Flow(Fetch(name="fetch"), name="fetching")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    DOWN.clear()
    yield tmp_path / "runs.sqlite"
    for file in list(journal_file._open.values()):
        if file.path.parent == tmp_path:
            file.close()


@pytest.fixture
def history(path: Path) -> Iterator[RunHistory]:
    DOWN.add("b")
    fetching().launch_each("topic", ["a", "b", "c"], journal=path, name="row").wait(20)
    made = RunHistory(path, flow=fetching())
    refresh_loop.close(made)
    yield made
    made.close()


def press(history: RunHistory, do: str, *names: str, **more: Any) -> str:
    keys = [row["key"] for row in history.rows if row["name"] in names]
    history._command(None, {"do": do, "keys": keys, **more}, None)
    refresh_loop.close(history)
    return str(history.told["text"])


def opened(history: RunHistory) -> list[Any]:
    (view,) = history._place.children
    assert isinstance(view, RunView)
    return view.runs


def test_rows_tell_state_cost_and_error_the_newest_first(history: RunHistory) -> None:
    assert [(row["name"], row["flow"], row["status"], row["steps"], row["cost"]) for row in history.rows] == [
        ("c", "fetching", "done", 1, 0.25), ("b", "fetching", "failed", 0, 0.0), ("a", "fetching", "done", 1, 0.25),
    ]
    assert "ConnectionError" in history.rows[1]["error"]
    assert SECRET not in repr(history.rows)
    assert all(row["item"] and row["journal"] == "runs.sqlite" and time.time() - row["begun"] < 60 for row in history.rows)


def test_those_that_failed_are_run_again(history: RunHistory, path: Path) -> None:
    DOWN.clear()

    assert press(history, "again", "a", "b", "c") == "1 run run again"
    (run,) = opened(history)
    run.wait(20)

    assert (run.status, run.store["text"]) == ("done", "b")
    refresh_loop.close(history)
    history._command(None, {"do": "open", "keys": []}, None)
    assert [(row["name"], row["status"], row["origin"][:7]) for row in history.rows][0] == ("b", "done", "fork of")


def test_runs_are_resumed_forked_and_opened_in_the_view_of_live_ones(history: RunHistory) -> None:
    told = press(history, "resume", "a", "b")
    assert told.startswith("1 run go on; 1 not: run 'row")
    assert "is over: it is done" in told
    assert opened(history)[0].wait(20).status == "failed"

    DOWN.clear()
    assert press(history, "fork", "a", "c", at=1) == "2 runs forked at step 1"
    assert [run.wait(20).status for run in opened(history)] == ["done", "done"]

    assert press(history, "open", "c") == "2 runs opened below", "the fork has the name of its item, too"
    assert all(run.name.startswith("row") for run in opened(history))


def test_runs_are_deleted_and_one_that_goes_on_stays(history: RunHistory, path: Path) -> None:
    go = threading.Event()

    class Waits(Node):
        def exec(self, prep_res: Any) -> None:
            go.wait(20)

    live = Flow(Waits(), name="waits").launch({}, name="going-on", journal=path)
    history._command(None, {"do": "open", "keys": []}, None)
    try:
        assert [row["name"] for row in history.rows][0] == live.name
        told = press(history, "delete", live.name, "a", "b")
        assert told.startswith("2 runs deleted; 1 not: a run that goes on stays")
        assert press(history, "cancel", live.name, "c").startswith("1 run cancelled; 1 not: run 'row")
    finally:
        go.set()
    assert live.wait(20).status == "cancelled"
    assert [run.name for run in open_journal(path).runs()][-1] == live.name


@pytest.mark.parametrize(
    "content", [None, {}, {"do": "open"}, {"do": "open", "keys": [7]}, {"do": "x", "keys": []}, {"do": "fork", "keys": ["x"]}]
)
def test_a_page_may_send_anything(history: RunHistory, content: Any) -> None:
    history._command(None, content, None)

    assert len(history.rows) == 3


def test_the_saved_notebook_and_a_terminal_have_the_table(history: RunHistory) -> None:
    history.static = "pfs-1"
    bundle = history.still_bundle()

    assert 'data-static="pfs-1"' in bundle["text/html"]
    assert bundle["text/html"].count("<tr>") == 4
    assert "failed" in bundle["text/plain"]
    assert SECRET not in bundle["text/html"] + bundle["text/plain"]


def test_a_file_that_is_no_journal_is_told_and_the_others_are_shown(path: Path, tmp_path: Path) -> None:
    fetching().launch({"topic": "a"}, journal=path, name="kept").wait(20)
    other = tmp_path / "other.sqlite"
    other.write_text("no journal")
    made = RunHistory(path, other)
    try:
        assert [row["name"] for row in made.rows] == ["kept"]
        assert "no SQLite file" in made.told["text"]
    finally:
        made.close()


def test_the_magics_list_fork_and_replay_what_journals_keep(shell: Shell, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    shell.run("from pocketflex_nb import Flow, Node")
    shell.run("class Two(Node):\n    def post(self, shared, prep_res, exec_res):\n        shared['n'] = shared['m'] + 1")
    shell.run("two = Flow(Two(), name='two')")
    shell.run("%pf run two --seed m=1 --journal runs.sqlite --name night")

    shell.run("table = %pf runs --journal runs.sqlite")
    assert "night" in repr(shell.names["table"])
    shell.run("again = %pf fork runs.sqlite night --at 0 --set m=6 --name other")
    assert shell.names["again"].wait(20).store["n"] == 7
    shell.run("%pf replay runs.sqlite#night --speed 100")
    assert candidates("%pf fork runs.sq", shell.names) == ["runs.sqlite"]
    assert candidates("%pf resume runs.sqlite ni", shell.names) == ["night"]
    assert candidates("%pf fork runs.sqlite night --b", shell.names) == ["--before"]
    assert "no run 'nihgt'" in shell.refuse("%pf fork runs.sqlite nihgt --at 0")
    assert "--at STEP (0 to 1) or --before NODE" in shell.refuse("%pf fork runs.sqlite night")
    assert "KEY=VALUE" in shell.refuse("%pf fork runs.sqlite night --at 0 --set m")
    assert "there is no journal" in shell.refuse("%pf runs --journal nowhere.sqlite")
