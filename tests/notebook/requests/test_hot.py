"""Flows of diagrams follow their names; loading and unloading, wherever that happens."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.notebook.shell import awaitable_magics as await_cell
from tests.notebook.conftest import Shell

_NEW = "class Other(Node):\n    def post(self, s, p, e): s['found'] = 'new'\nsearch = Other()"


def _found(flow: Any) -> str:
    store: dict[str, Any] = {}
    flow.run(store)
    return str(store["found"])


def test_a_name_bound_anew_wires_the_flow_anew_for_plain_runs_too(shell: Shell) -> None:
    shell.run("%%pocketflex team\nflowchart LR\n  plan --> search")
    old = shell.names["team"]

    shell.run(_NEW)

    assert _found(shell.names["team"]) == "new"
    assert _found(old) == "nothing"


def test_a_flow_of_flows_follows(shell: Shell) -> None:
    shell.run("%%pocketflex inner\nflowchart LR\n  plan --> search")
    shell.run("%%pocketflex outer\nflowchart LR\n  inner --> plan")

    shell.run(_NEW)

    assert _found(shell.names["outer"]) == "new"


def test_a_pinned_flow_stays(shell: Shell) -> None:
    shell.run("%%pocketflex team\nflowchart LR\n  plan --> search")
    shell.run("%pocketflex pin team")

    shell.run(_NEW)
    assert _found(shell.names["team"]) == "nothing"
    shell.run("%pocketflex unpin team")

    assert _found(shell.names["team"]) == "new"


def test_a_name_that_is_gone_is_told_when_the_flow_is_run(shell: Shell) -> None:
    shell.run("%%pocketflex team\nflowchart LR\n  plan --> search")

    shell.run("del search")

    assert "no node 'search'" in shell.refuse("%pocketflex run team")


def test_loading_outside_of_any_cell_awaits_the_next_one(shell: Shell) -> None:
    made = shell.shell
    made.extension_manager.unload_extension("pocketflex_nb")

    made.extension_manager.load_extension("pocketflex_nb")

    assert await_cell.await_magics(["get_ipython().run_line_magic('pf', 'runs')\n"])[0].startswith("await ")


def test_anothers_magic_of_the_same_name_comes_back(shell: Shell) -> None:
    made = shell.shell
    made.run_cell("%unload_ext pocketflex_nb")
    made.register_magic_function(lambda line: "theirs", "line", "pf")
    try:
        made.run_cell("%load_ext pocketflex_nb")
        made.run_cell("%unload_ext pocketflex_nb")

        assert shell.run("%pf x") == "theirs"
    finally:
        made.magics_manager.magics["line"].pop("pf")
        made.run_cell("%load_ext pocketflex_nb")
