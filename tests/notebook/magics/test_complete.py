"""Tab behind the magics offers what fits there, and nothing else."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from pocketflex_nb.notebook.magics.completion import candidates
from tests.notebook.conftest import Shell


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%pocketflex ca", ["cancel"]),
        ("%pf run re", ["report"]),
        ("%pocketflex run report --se", ["--seed"]),
        ("%pocketflex run report --on-error o", ["others"]),
        ("%pocketflex run report --break s", ["search"]),
        ("%%pocketflex re", ["report"]),
        ("%%pocketflex report --no", ["--no-run", "--node-timeout", "--notify"]),
        ("%pocketflex store run se", ["seen"]),
        ("%pocketflex cancel ru", ["run"]),
        ("%pocketflex diagram report --m", ["--mermaid"]),
        ("%pocketflex help o", ["options"]),
        ("%pocketflex run report --each topic=@top", ["topic=@topics"]),
        ("%pocketflex run report --seed @top", ["@topics"]),
    ],
)
def test_tab_offers(shell: Shell, line: str, offered: list[str]) -> None:
    shell.run("%%pocketflex report\nflowchart LR\n  plan --> search")
    shell.run("%pocketflex run report -o run --view none\ntopics = ['sea']")

    assert candidates(line, shell.names) == offered


@pytest.mark.parametrize("line", ["print(", "%timeit x", "%pocketflexx a", "x = 1"])
def test_other_lines_are_left_alone(shell: Shell, line: str) -> None:
    assert candidates(line, shell.names) is None


def test_the_shell_offers_only_ours_on_our_lines(shell: Shell) -> None:
    for line in ("%pocketflex run x --se", "%%pocketflex x --se"):
        with provisionalcompleter():
            found = [(c.text, line[c.start : c.end]) for c in shell.shell.Completer.completions(line, len(line))]

        assert found == [("--seed", "--se")]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%pf config --loop ", ["engine", "kernel"]), ("%pf config lo", ["loop="]), ("%pf run report --budget c", ["cost="]),
        ("%pf pa", ["panel", "pause"]), ("%pf launch rep", ["report"]), ("%pf help ru", ["run", "runs"]), ("%pf stop a", ["all"]),
    ],
)
def test_tab_offers_the_values_of_settings(shell: Shell, line: str, offered: list[str]) -> None:
    shell.run("%%pocketflex report\nflowchart LR\n  plan --> search")

    assert candidates(line, shell.names) == offered


@pytest.mark.parametrize("made", ["flow.launch({}, show=False)", "launch([flow, flow], show=False)"])
def test_tab_on_a_run_or_a_group_offers_what_dir_lists(shell: Shell, made: str) -> None:
    shell.run(f"flow = Flow(Node())\nthing = {made}.wait(10)")
    shell.shell.Completer.use_jedi = False  # the default of IPython 9

    with provisionalcompleter():
        offered = [found.text.rpartition(".")[2] for found in shell.shell.Completer.completions("thing.", len("thing."))]

    listed = [name for name in dir(shell.names["thing"]) if not name.startswith("_")]
    assert sorted({name for name in offered if not name.startswith("_")}) == listed
    assert {"cancel", "show", "wait"} <= set(listed) and len(listed) <= 28


@pytest.mark.parametrize("bound", ["", "%%pocketflex report\nflowchart LR\n  plan --> search"])
@pytest.mark.parametrize("line", ["%pf run ", "%pocketflex run ", "%pf run n"])
def test_tab_behind_run_offers_flows_and_no_internals(shell: Shell, line: str, bound: str) -> None:
    shell.run("import pocketflex_nb\nfrom pocketflex_nb import *\nimport pocketflex_nb.core as core\n_mine = night = Flow(plan)")
    shell.run(bound)

    with provisionalcompleter():
        found = {c.text for c in shell.shell.Completer.completions(line, len(line))}

    assert found <= {"night", "report"} and "night" in found


@pytest.mark.parametrize("line", ["%pf run ", "%pf run po", "%pf run co"])
def test_tab_behind_run_offers_no_internals_where_there_is_no_flow(shell: Shell, line: str) -> None:
    shell.run("import pocketflex_nb\nimport pocketflex_nb.core as core\n_mine = Flow(plan)")

    with provisionalcompleter():
        found = {c.text for c in shell.shell.Completer.completions(line, len(line))}

    assert all(text.startswith("-") or text == line.split()[-1] for text in found)
