"""Subcommands: each form, each flag, each mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.notebook.run_data.playback import Replay
from tests.notebook.conftest import Shell


@pytest.fixture
def done(shell: Shell) -> Shell:
    shell.run("%%pocketflex report\nflowchart LR\n  plan --> search")
    shell.run("%pocketflex run report --seed topic='a' --view none -o run")
    return shell


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("runs --al", "did you mean '--all'"),
        ("runs more", "is too much"),
        ("show", "is missing"),
        ("show run --view grph", "did you mean 'graph'"),
        ("cancel", "which run?"),
        ("store run --at", "needs a value"),
        ("store run --at soon", "a version is needed"),
        ("store run --at 99", "a number from 0 to"),
        ("store run --at 1 --diff 1 2", "exclude each other"),
        ("store run foudn", "did you mean 'found'"),
        ("store run --diff nosuch", "no run 'nosuch'"),
        ("set run topic", "PATH=EXPR"),
        ("set run topic.a.b=1", "cannot be set"),
        ("set run nosuch.a=1", "the store has no 'nosuch'"),
        ("diagram", "which flow?"),
        ("diagram reprot", "did you mean 'report'"),
        ("diagram report --svg --dot", "one form at a time"),
        ("diagram report --save /nosuch/folder/x.svg", "No such file"),
        ("diagram report --save flow.bmp", "End it in .svg, .mmd"),
        ("trace run --otel /nosuch/folder/x.json", "No such file"),
        ("trace run --sequence", "no messages between agents"),
        ("replay run --from 9", "has made 2 steps"),
        ("replay run --speed 0", "more than 0"),
        ("replay run --speed fast", "a number is needed"),
        ("answer run", "the answer is missing"),
        ("answer run yes", "asks nothing now"),
        ("new 1x", "no name that Python can bind"),
        ("node serch", "did you mean 'search'"),
        ("help reports", "no help on 'reports'"),
        ("pin reprot", "did you mean 'report'"),
        ("forks run --at 3", "no subcommand 'forks'"),
        ("show run --view graph --view text", "--view is given twice"),
        ("wait run --timeout soon", "a duration"),
        ("stop nosuch", "no agent 'nosuch'"),
    ],
)
def test_a_mistake_is_told_in_one_line(done: Shell, line: str, told: str) -> None:
    message = done.refuse(f"%pocketflex {line}")

    assert told in message and len(message.splitlines()) == 1


def test_every_subcommand_has_a_page_of_help(done: Shell) -> None:
    from pocketflex_nb.notebook.magics.commands.command_table import COMMANDS

    for name in COMMANDS:
        done.run(f"%pocketflex help {name}")
        assert done.said.startswith(f"%pocketflex {name}"), name


def test_the_magics_question_mark_shows_the_help(done: Shell) -> None:
    found = done.shell.object_inspect("%pocketflex", detail_level=0)

    assert "%pocketflex run FLOW" in found["docstring"]


def test_two_runs_stores_are_compared(done: Shell) -> None:
    done.run("%pocketflex run report --seed topic='b' --view none -o other")

    done.run("%pocketflex store run --diff other")

    assert "topic" in done.said and "found" in done.said
    done.run("%pocketflex store run seen --diff other")
    assert "no difference" in done.said


def test_set_changes_a_nested_value_and_leaves_older_versions_alone(done: Shell) -> None:
    version = done.names["run"].store.version

    done.run("%pocketflex set run seen[0]='edited'")

    run = done.names["run"]
    assert run.store["seen"] == ["edited"] and run.store.at(version)["seen"] == ["plan"]
    assert run.events[-1]["by"] == "person"


def test_set_needs_a_run_that_stands_still(shell: Shell) -> None:
    shell.run("flow = Flow(waits, name='live')\n%pocketflex run flow --bg --view none -o run")
    while shell.names["run"].status == "pending":
        assert not shell.names["run"].done()

    assert "pause it first" in shell.refuse("%pocketflex set run a=1")


def test_a_condition_pauses_and_continue_goes_on_behind_it(shell: Shell) -> None:
    shell.run("%%pocketflex report\nflowchart LR\n  plan --> search")
    shell.run("%pocketflex run report --break-if store['seen'] --bg --view none -o run")
    run = shell.names["run"]
    while run.status in ("pending", "running"):
        assert not run.done()
    assert run.status == "paused" and run.state().steps == 1

    shell.run("%pocketflex continue run\n%pocketflex wait run --timeout 5s")

    assert "report: done" in shell.said


def test_wait_says_what_is_not_over_in_time(shell: Shell) -> None:
    shell.run("flow = Flow(waits, name='long')\n%pocketflex run flow --bg --view none -o run")

    assert "not over in time: long; it goes on" in shell.refuse("%pocketflex wait run --timeout 20ms")
    assert not shell.names["run"].done()


def test_trace_prints_the_events_and_writes_opentelemetry_json(done: Shell, tmp_path: Path) -> None:
    done.run("%pocketflex trace run")
    assert re.search(r"node_finished +report/search#1 ", done.said)

    done.run(f"%pocketflex trace run --otel {tmp_path / 'run.json'}")

    scope = json.loads((tmp_path / "run.json").read_text())["resourceSpans"][0]["scopeSpans"][0]
    assert [span["name"] for span in scope["spans"]] == ["report", "plan", "search"]
    assert {span["traceId"] for span in scope["spans"]} == {scope["spans"][0]["traceId"]}
    assert all(int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) for span in scope["spans"])


@pytest.mark.parametrize(
    ("name", "begins"), [("a.svg", "<svg"), ("a.mmd", "flowchart LR"), ("a.dot", "digraph"), ("a.TXT", "report")]
)
def test_a_diagram_is_saved_in_the_form_that_the_files_name_says(done: Shell, tmp_path: Path, name: str, begins: str) -> None:
    done.run(f"%pocketflex diagram report --save {tmp_path / name}")

    assert (tmp_path / name).read_text().startswith(begins)


def test_the_events_of_the_latest_run_stand_in_columns(done: Shell) -> None:
    table = done.run("%pf events")

    heads, *rows = repr(table).splitlines()
    assert heads.split() == ["#", "at", "event", "where", "took", "what"]
    starts = [heads.index(name) for name in ("at", "event", "where", "took")]
    assert all(row[start - 1] == " " and row[start] != " " for row in rows for start in starts[:3])
    assert [row.split()[0] for row in rows] == [str(event.seq) for event in done.names["run"].events]
    assert all(re.fullmatch(r"[0-9]+[.][0-9]{3} s", row[starts[0] : starts[1]].strip()) for row in rows)
    assert rows[0].split()[1] == "0.000"
    assert table._repr_html_().count("<tr>") == len(rows) + 1


@pytest.mark.parametrize(
    ("options", "kinds"),
    [("--last 1", ["run_finished"]), ("--kind node_finished", ["node_finished"] * 2), ("--kind node_finished --last 1", ["node_finished"]),
     ("--kind run_started --kind run_finished", ["run_started", "run_finished"])],
)
def test_events_shows_those_that_were_asked_for(done: Shell, options: str, kinds: list[str]) -> None:
    rows = done.run(f"%pf events run {options}").rows

    assert [row[2] for row in rows] == kinds


def test_a_kind_of_events_that_the_run_has_not_names_the_nearest(done: Shell) -> None:
    assert "did you mean 'node_finished'" in done.refuse("%pf events run --kind node_finish")


def test_trace_tells_what_a_step_changed(done: Shell) -> None:
    done.run(
        "class Edit(Node):\n    def post(self, shared, prep_res, exec_res):\n"
        "        shared['n'] = shared.get('n', 0) + 1\n        shared.pop('old', None)\n"
        "        shared['api_key'] = 'sk-abcdefghijklmnop1234'\n"
        "edit = Edit(); edit >> Edit()\nFlow(edit, name='edits').launch({'old': 1}, show=False).wait(10)"
    )

    done.run("%pocketflex trace edits")

    assert "+ n: 1; - old: 1; + api_key:" in done.said
    assert "~ n: 1 → 2" in done.said
    assert "MISSING" not in done.said and "sk-abc" not in done.said


def test_a_diagram_is_saved_with_a_runs_colours(done: Shell, tmp_path: Path) -> None:
    done.run(f"%pocketflex diagram report --svg --with run --save {tmp_path / 'flow.svg'}")

    assert 'data-state="done"' in (tmp_path / "flow.svg").read_text()


def test_new_and_node_put_code_into_the_next_cell(done: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[str] = []
    monkeypatch.setattr(done.shell, "set_next_input", lambda text, replace=False: put.append(text))

    done.run("%pocketflex new WriteUp\n%pocketflex new review\n%pocketflex node search")

    assert "class WriteUp(Node)" in put[0] and "write_up = WriteUp()" in put[0]
    assert "class Review(Node)" in put[1] and "review = Review()" in put[1]
    assert put[2].startswith("class Search(Node):") and "print(\"looking\")" in put[2]
    done.run(put[0])
    assert done.names["write_up"].run({"question": "q"}) is None


def test_a_replay_tells_the_same_state_and_calls_nothing(done: Shell) -> None:
    run = done.names["run"]
    before = dict(run.store)

    replay = Replay(run, speed=1000)
    while not replay.done():
        assert replay.status == "running"

    assert {path: (n.status, n.visits) for path, n in replay.state().nodes.items()} == {
        path: (n.status, n.visits) for path, n in run.state().nodes.items()
    }
    assert replay.status == run.status and dict(run.store) == before
    assert repr(replay) == "<Replay of 'report'>"


def test_a_replay_steps_one_node_at_a_time(done: Shell) -> None:
    replay = Replay(done.names["run"], speed=0.0001)

    replay.step()
    assert (replay.state().steps, replay.status) == (1, "paused")
    replay.step()
    assert replay.state().nodes["search"].visits == 1
    assert Replay(done.names["run"], speed=0.0001, first=1).state().steps == 1


def test_a_replay_can_be_stopped(done: Shell) -> None:
    replay = Replay(done.names["run"], speed=0.0001)

    assert replay.cancel() and replay.done() and replay.status == "cancelled"
    assert not replay.cancel()


def test_replay_shows_it_in_the_cell(done: Shell) -> None:
    done.run("%pocketflex replay run --speed 1000")

    assert "live" in done.refuse(_live(done))


def _live(shell: Shell) -> str:
    shell.run("flow = Flow(waits, name='live')\n%pocketflex run flow --bg --view none -o going")
    return "%pocketflex replay going"


def test_doctor_tells_of_kernel_loop_and_engine(done: Shell) -> None:
    done.run("%pocketflex doctor")

    lines: dict[str, Any] = dict(line.split(": ", 1) for line in done.said.splitlines()[1:])
    assert lines["front end"] == "a terminal; views are shown as text"
    assert lines["loop"] == "asyncio's own"
    assert lines["engine thread"].startswith("answers in")


def test_no_secret_is_told(done: Shell, tmp_path: Path) -> None:
    secret = "sk-live-0123456789abcdef"
    done.run(f"class Leaks(Node):\n    def exec(self, p): raise ValueError('refused {secret}')\nleaks = Leaks()")
    done.run(f"%pocketflex run report --seed api_key='{secret}' --watch store['api_key'] --view none -o keyed")
    told = done.said
    done.run("%pocketflex set keyed api_key='sk-live-ffffffffffffffff'")
    told += done.said
    done.run("%%pocketflex -o both\n[Flow(leaks, name='leaky'), Flow(plan, name='fine')]")
    told += done.said
    done.run("%pocketflex trace keyed\n%pocketflex trace leaky")
    told += done.said + repr(done.run("%pocketflex runs"))
    done.run(f"%pocketflex trace leaky --otel {tmp_path / 'run.json'}")

    assert "sk-live" not in told + (tmp_path / "run.json").read_text()
    assert "api_key" in told and "refused" in told


def test_break_takes_the_name_that_the_notebook_gives_a_node(shell: Shell) -> None:
    shell.run("plan >> search\nflow = Flow(plan)\n%pocketflex run flow --break search --bg --view none -o run")

    while shell.names["run"].status != "paused":
        assert not shell.names["run"].done()

    assert shell.names["run"].store["seen"] == ["plan"]
    assert "did you mean 'Search'" in shell.refuse("%pocketflex run flow --break serch --view none")


def test_help_on_run_lists_its_options(shell: Shell) -> None:
    shell.run("%pf help run")

    assert "%pocketflex run FLOW [options]" in shell.said and "--budget" in shell.said
