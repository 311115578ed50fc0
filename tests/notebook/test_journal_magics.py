"""`--journal` keeps the runs of a cell, and `%pf resume` goes on with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflex_nb.journal.journal import Journal
from tests.notebook.conftest import Shell

FLOW = """
from pocketflex_nb import END, Flow, Node
is_down = True
class Count(Node):
    def post(self, shared, prep_res, exec_res):
        if shared["n"] == 2 and is_down:
            raise ConnectionError("down")
        shared["n"] += 1
        return "again" if shared["n"] < 4 else "enough"
count = Count()
count - "again" >> count
count - "enough" >> END
counting = Flow(count, name="counting")
"""


def test_a_cell_s_run_is_kept_and_resumed(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    shell.run(FLOW)
    with pytest.raises(ConnectionError):
        shell.run(f"%pocketflex run counting --seed n=0 --journal {file} --name night")
    shell.run("is_down = False")

    shell.run(f"again = %pocketflex resume {file} night")
    run = shell.names["again"].wait(10)

    assert (run.status, run.store["n"]) == ("done", 4)
    assert Journal(file).history("night").status == "done"
    shell.run(f"%pocketflex resume {file}")
    assert "nothing to resume" in shell.said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%pocketflex resume", "file is missing"),
        ("%pocketflex resume nowhere.sqlite", "there is no journal"),
        ("%pocketflex run counting --seed n=0 --durability power", "needs --journal"),
        ("%pocketflex run counting --seed n=0 --journal x.sqlite --durability powr", "power"),
    ],
)
def test_what_cannot_be_resumed_or_kept_is_told(
    line: str, told: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shell.run(FLOW)

    assert told in shell.refuse(line)
    assert list(tmp_path.iterdir()) == []


WORK = """
from pocketflex_nb import Flow, Node
calls = []
class Work(Node):
    def prep(self, shared):
        return shared["topic"]
    def exec(self, topic):
        calls.append(topic)
        return len(calls)
    def post(self, shared, prep_res, exec_res):
        shared["found"] = exec_res
work = Flow(Work(), name="work")
"""


def found(shell: Shell, options: str) -> tuple[object, int]:
    """What a run found, and how many calls there were so far."""
    shell.run(f"%pocketflex run work --seed topic='tides' -o it {options}")
    return shell.names["it"].store["found"], len(shell.names["calls"])


def test_the_cache_is_on_off_or_refreshed_in_a_file_of_the_session_or_of_the_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shell.run(WORK)

    assert [found(shell, options) for options in ("--cache on", "--cache", "--cache off", "--cache refresh", "--cache --quiet")] == [
        (1, 1), (1, 1), (2, 2), (3, 3), (3, 3),
    ]
    assert [file.name for file in tmp_path.glob("*.sqlite")] == ["pocketflex_cache.sqlite"]
    assert [found(shell, options) for options in ("--cache own.sqlite", "--cache own.sqlite --cache refresh", "--cache own.sqlite")] == [
        (4, 4), (5, 5), (5, 5),
    ]
    assert [found(shell, options) for options in ("--journal runs.sqlite --cache on", "--cache runs.sqlite")] == [(6, 6), (6, 6)]
    shell.run("%pocketflex config cache=own.sqlite")
    assert found(shell, "--cache") == (5, 6)
    shell.run("%pocketflex config cache=pocketflex_cache.sqlite")


def test_a_run_is_recorded_on_a_tape_and_played(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shell.run(WORK)

    assert found(shell, "--tape demo.tape --name night") == (1, 1)
    assert [found(shell, f"--replay {tape}") for tape in ("demo.tape", "demo.tape#night", "demo.tape --strict-tape")] == [(1, 1)] * 3
    assert "did you mean 'night'" in shell.refuse("%pocketflex run work --seed topic='tides' --replay demo.tape#nigth")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--strict-tape", "--replay FILE"),
        ("--tape a.sqlite --journal b.sqlite", "give one of them"),
        ("--cache on --cache off", "one FILE, and one of"),
        ("--cache a.sqlite --cache b.sqlite", "one FILE"),
        ("--cache refesh", "did you mean 'refresh'"),
    ],
)
def test_what_cannot_be_meant_is_told(options: str, told: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shell.run(WORK)

    assert told in shell.refuse(f"%pocketflex run work --seed topic='x' {options}")
    assert list(tmp_path.iterdir()) == []
