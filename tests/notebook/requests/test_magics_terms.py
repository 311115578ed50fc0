"""Options of the magics: each form, and what each mistake is told before anything runs."""

from __future__ import annotations

import pytest

from pocketflex_nb import Store, runs
from pocketflex_nb.engine.runs.run import lifecycle_of
from tests.notebook.conftest import Shell


@pytest.fixture
def report(shell: Shell) -> Shell:
    shell.run("%%pocketflex report\nflowchart LR\n  plan --> search")
    return shell


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--view grph", "did you mean 'graph'"),
        ("--height tall", "a whole number"),
        ("-o 1x", "no name that Python can bind"),
        ("--into class", "no name that Python can bind"),
        ("--then 'print(1)'", "a line of ours is needed"),
        ("--break-if 'n >'", "not a Python expression"),
        ("--break-if stor['n']", "did you mean 'store'"),
        ("--watch nosuch", "no name 'nosuch'"),
        ("--budget tokens=0", "more than 0"),
        ("--budget tokens", "KEY=VALUE is needed"),
        ("--timeout 0s", "above 0"),
        ("--share --each @[1]", "exclude each other"),
        ("--run --no-run", "exclude each other"),
        ("--name x{nosuch}", "no name 'nosuch'"),
        ("--after nosuch", "no run 'nosuch'"),
        ("--each @[]", "the list is empty"),
        ("--each @5", "a list is needed"),
        ("--seed @[1]", "a mapping is needed"),
        ("--name a --name b", "given twice"),
        ("--bg=1", "takes no value"),
        ("--seed 'a=1", "is not closed"),
        ("--on-error", "needs a value"),
        ("-j 0", "at least 1"),
        ("--as yaml", "known: 'mermaid', 'python'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_runs(report: Shell, options: str, told: str) -> None:
    before = len(runs())

    message = report.refuse(f"%%pocketflex {options}\nreport" if options.startswith("--as") else f"%pocketflex run report {options}")

    assert told in message
    assert len(message.splitlines()) == 1
    assert len(runs()) == before and not runs(live=True)


def test_values_of_options_fill_in_names_and_expressions(report: Shell) -> None:
    report.run("count, label = 2, 'night'")

    report.run("%pocketflex run report -n $count --name {label}-{count + 1} -o made")

    assert [lifecycle_of(run).base for run in report.names["made"]] == ["night-3", "night-3"]


def test_name_stands_before_the_keys_of_a_dict(report: Shell) -> None:
    report.run("%%pocketflex --name night -o made\n{'fast': report, 'slow': report}")

    assert [lifecycle_of(run).base for run in report.names["made"]] == ["night-fast", "night-slow"]


def test_the_cells_name_names_the_run_of_its_one_flow(report: Shell) -> None:
    report.run("%%pocketflex tuesday -o made\nreport")
    report.run("%%pocketflex wednesday -o late\nawait asyncio.sleep(0)\nreport")

    assert tuple(lifecycle_of(report.names[name]).base for name in ("made", "late")) == ("tuesday", "wednesday")


def test_every_run_has_its_own_copy_of_what_seeds_hold(report: Shell) -> None:
    report.run("seen = []\n%pocketflex run report --seed seen=seen -n 2 -o made")

    assert report.names["seen"] == []
    assert [run.store["seen"] for run in report.names["made"]] == [["plan"], ["plan"]]


def test_share_with_a_store_runs_on_that_very_store(report: Shell) -> None:
    report.run("common = Store({'topic': 'x'})\n%pocketflex run report --share --seed @common -o made")

    assert report.names["made"].store is report.names["common"]
    assert isinstance(report.names["common"], Store) and report.names["common"]["found"] == "x"


def test_a_pairs_own_store_stands_above_the_seed(report: Shell) -> None:
    report.run("%%pocketflex --seed topic='seed',more=1 -o made\n[(report, {'topic': 'own'})]")

    assert (report.names["made"].store["found"], report.names["made"].store["more"]) == ("own", 1)


def test_node_timeout_leaves_what_nodes_hold_alone(report: Shell) -> None:
    report.run("import threading\nsearch.client = threading.Lock()\nflow = Flow(search, name='f')")

    report.run("%pocketflex run flow --node-timeout 5s -o made")

    run = report.names["made"]
    assert run.status == "done" and run.flow.start_node.client is report.names["search"].client
    assert report.names["search"]._pfx_timeout is None


@pytest.mark.parametrize("flag", ["--check", "--dry", "--no-run"])
def test_flags_that_only_look_run_nothing_even_when_the_body_awaits(report: Shell, flag: str) -> None:
    report.run(f"%%pocketflex {flag}\nawait asyncio.sleep(0)\n{{'a': report, 'b': plan}}")

    assert not runs()
    assert {"--check": "b: nothing wrong", "--dry": "would start 2 runs", "--no-run": "<Flow"}[flag] in report.said


def test_check_binds_no_name(shell: Shell) -> None:
    shell.run("%%pocketflex fresh --check\nflowchart LR\n  plan --> search")

    assert "fresh: nothing wrong" in shell.said and "fresh" not in shell.names


def test_bg_gives_the_handle(report: Shell) -> None:
    run = report.run("%pocketflex run report --bg --view none")

    assert run.wait(5).status == "done"


def test_after_waits_for_the_other_run(shell: Shell) -> None:
    shell.run("import threading\ngate = threading.Event()\n@node\ndef hold(shared): gate.wait(30); shared['at'] = time.monotonic()")
    shell.run("@node\ndef follow(shared): shared['at'] = time.monotonic()")
    shell.run("first = Flow(hold, name='first').launch(show=False)\n%pocketflex run follow --after first --bg --view none -o second")
    assert shell.names["second"].status == "pending"

    shell.names["gate"].set()

    assert shell.names["second"].wait(5).store["at"] > shell.names["first"].wait(5).store["at"]


def test_after_a_run_that_is_over_it_starts_at_once(report: Shell) -> None:
    report.run("%pocketflex run report -o first --view none\n%pocketflex run report --after first -o second --view none")

    assert report.names["second"].status == "done"


def test_then_and_notify_come_at_the_end(report: Shell) -> None:
    report.run("%pocketflex run report --notify --then '%pf trace report' --view none")

    assert "<Run 'report' done, " in report.said and "> is over" in report.said
    assert "run_finished" in report.said


def test_into_binds_a_table_of_events(report: Shell) -> None:
    report.run("%pocketflex run report --into table --view none")

    assert list(report.names["table"]["kind"])[-1] == "run_finished"


def test_watch_tells_the_last_values(report: Shell) -> None:
    report.run("%pocketflex run report --watch \"len(store['seen'])\" --watch store['nosuch'] --view none")

    assert "len(store['seen']) = 1" in report.said and "store['nosuch'] = –" in report.said


def test_config_sets_the_defaults(report: Shell) -> None:
    report.run("%pocketflex config j=3 view=none")
    try:
        report.run("%pocketflex run report")
        assert report.said == ""
    finally:
        report.run("%pocketflex config j=32 view=auto")
    assert "j = 32" in report.said
    assert "did you mean 'view'" in report.refuse("%pocketflex config veiw=none")
