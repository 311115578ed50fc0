"""The Launcher without a page: what it offers, what its line does, and what its buttons set going."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError

from pocketflex_nb import Flow, Node, open_store, runs
from pocketflex_nb.engine.runs.run import lifecycle_of
from pocketflex_nb.notebook import Launcher
from pocketflex_nb.notebook.requests.run_options import RunOptions
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from tests.notebook.conftest import Shell

_KEY = "sk-abcdefghijklmnop1234"


class Look(Node):
    def prep(self, shared: Any) -> Any:
        return shared["topic"], shared.get("depth", 2), shared.get("api_key")

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["found"] = f"{prep_res[0]} at {prep_res[1]}"


class Wait(Node):
    async def exec(self, prep_res: Any) -> None:
        import asyncio

        await asyncio.sleep(600)


def _flow() -> Flow:
    look = Look()
    look >> Node()
    return Flow(look, name="looking")


def _launcher(flow: Any = None, **names: Any) -> Launcher:
    made = Launcher(flow, names={"looking": _flow(), "topics": ["solar", "wind"], "rows": [{"topic": "sea"}], "one": 1, **names})
    refresh_loop.close(made)  # the test looks itself
    return made


def _request(launcher: Launcher, do: str, **more: Any) -> None:
    refresh_loop.close(launcher)
    launcher._requests.append({"do": do, **more})  # as `_command` does, which also wakes the refresh loop: that may still be at it
    launcher.refresh()


def test_flows_and_lists_of_the_notebook_are_offered_as_they_come() -> None:
    flow, names = _flow(), {}
    names |= {"looking": flow, "same": flow, "_hidden": _flow(), "topics": ["solar"], "nothing": [], "text": "abc", "node": Look()}
    launcher = Launcher(names=names)
    refresh_loop.close(launcher)
    assert launcher.form["flows"] == [["looking", 2]]
    assert [name for name, _ in launcher.form["variables"]] == ["topics"]

    names["later"] = Flow(Look())
    launcher._next_names = 0.0
    launcher.refresh()

    assert [name for name, _ in launcher.form["flows"]] == ["looking", "later"]


def test_fields_come_from_what_the_nodes_read() -> None:
    fields = {field["key"]: field for field in _launcher().form["fields"]}

    assert list(fields) == ["topic", "depth", "api_key"]
    assert fields["topic"]["needed"] and not fields["depth"]["needed"]
    assert (fields["depth"]["default"], fields["api_key"]["secret"]) == ("2", True)


def test_start_runs_what_is_filled_in() -> None:
    launcher = _launcher()
    launcher.fill(agents=3, values={"topic": "solar", "depth": "4"}, name="night")

    made = launcher.start()

    assert [run.wait(10).store["found"] for run in made] == ["solar at 4"] * 3
    assert [run.store["agent"] for run in made] == [0, 1, 2]
    assert launcher.runs == made
    assert made[0].name.startswith("night")


def test_the_line_starts_the_same_runs_as_the_button(shell: Shell) -> None:
    shell.run("class Look(Node):\n    def prep(self, shared): shared['found'] = shared['topic'], shared.get('depth')")
    shell.run("looking = Flow(Look())")
    shell.run("from pocketflex_nb.notebook import Launcher\nform = Launcher('looking')\ntopics = ['solar', \"wind's\"]")
    form: Launcher = shell.names["form"]
    form.fill(mode="variable", variable="topics", values={"depth": "(1, 'a, b')"}, at_once=1, limits={"steps": "9"})

    pressed = form.start()
    shell.run(form.line + " -o typed")

    stores = [dict(run.wait(10).store) for run in pressed]
    assert stores == [dict(run.store) for run in shell.names["typed"]]
    assert [store["found"] for store in stores] == [("solar", (1, "a, b")), ("wind's", (1, "a, b"))]
    assert [lifecycle_of(run).limits for run in pressed] == [lifecycle_of(run).limits for run in shell.names["typed"]]


def test_a_variable_of_mappings_brings_its_keys() -> None:
    launcher = _launcher()

    launcher.fill(mode="variable", variable="rows")
    assert launcher.line == "%pf run looking --each @rows"
    launcher.fill(variable="topics")

    assert launcher.line == "%pf run looking --each topic=@topics"
    assert launcher.form["runs"] == 2


def test_cells_pasted_from_a_table_add_the_rows_they_need() -> None:
    launcher = _launcher()
    _request(launcher, "set", name="mode", value="rows")

    _request(launcher, "cells", row=1, keys=["topic", "depth"], cells=[["solar", "1"], ["wind", "2"], ["sea", "3"]])

    rows = "{'topic': 'solar', 'depth': 1}, {'topic': 'wind', 'depth': 2}, {'topic': 'sea', 'depth': 3}"
    assert launcher.line == f"%pf run looking --each @[{rows}]"
    assert len(launcher.form["rows"]) == 4


def test_a_dry_check_tells_of_arrows_and_missing_inputs_and_runs_nothing() -> None:
    look = Look()
    look - "again" >> Look()
    look - "never" >> "no node"  # type: ignore[operator]
    launcher, before = _launcher("broken", broken=Flow(look)), len(runs())

    _request(launcher, "check")

    levels = [level for level, _ in launcher.said]
    told = "\n".join(text for _, text in launcher.said)
    assert levels[0] == "error" and "good" not in levels
    assert "'no node'" in told and "reads 'topic', and no input gives it" in told
    assert len(runs()) == before


def test_a_dry_check_of_a_sound_flow_tells_the_plan_once() -> None:
    launcher = _launcher()
    launcher.fill(agents=4, values={"topic": "solar"})

    assert launcher.check() == [("good", "would start 4 runs, 4 at once:\nlooking: store with topic, agent  ×4")]


def test_an_error_of_start_is_told_in_the_form() -> None:
    launcher = _launcher()
    launcher.fill(values={"topic": "@nowhere"})

    _request(launcher, "start")

    assert launcher.said[0][0] == "error"
    assert "no name 'nowhere'" in launcher.said[0][1]
    assert launcher.runs == []


def test_stop_all_ends_what_the_form_has_started() -> None:
    launcher = _launcher("long", long=Flow(Wait(), name="long"))
    launcher.fill(agents=3)
    _request(launcher, "start")
    for run in launcher.runs:
        run.wait(0.05)

    _request(launcher, "stop")

    assert [run.wait(10).status for run in launcher.runs] == ["cancelled"] * 3


def test_a_row_tells_of_its_run_and_again_starts_it_on_the_same_inputs() -> None:
    launcher = _launcher()
    launcher.fill(agents=2, values={"topic": "solar"})
    for run in launcher.start():
        run.wait(10)

    _request(launcher, "run", run=launcher.runs[1].number, what="again")
    launcher.runs[-1].wait(10)
    launcher._push()

    assert len(launcher.runs) == 3
    assert dict(launcher.runs[-1].store) == {"topic": "solar", "agent": 1, "found": "solar at 2"}
    assert [row["status"] for row in launcher.rows] == ["done"] * 3
    assert launcher.totals == {"runs": 3, "over": 3, "counts": {"done": 3}, "shown": 3}


def test_again_goes_on_with_a_store_that_other_kernels_share(tmp_path: Path) -> None:
    launcher = _launcher()
    with open_store(f"sqlite:///{tmp_path / 'team.db'}") as team:
        team.update("topic", lambda _: "solar")
        run = _flow().launch(team, show=False).wait(10)
        launcher._launched.add([run], "looking", RunOptions())
        team["topic"] = "wind"

        made = launcher._launched.again(run, launcher.names()).wait(10)

        assert made.store is team
        assert team["found"] == "wind at 2"


def test_a_changed_node_is_named(shell: Shell) -> None:
    shell.run("class Look(Node):\n    pass\nlooking = Flow(Look())")
    shell.run("from pocketflex_nb.notebook import Launcher\nform = Launcher('looking')")
    form: Launcher = shell.names["form"]
    form.start()[0].wait(10)
    assert form.form["changed"] == []

    shell.run("class Look(Node):\n    new = True")
    form._push()

    assert form.form["changed"] == ["Look"]


def test_nothing_that_is_sent_or_saved_holds_a_secret() -> None:
    launcher = _launcher()

    launcher.fill(values={"api_key": _KEY, "topic": f"@'{_KEY}'"}, watch=[f"'{_KEY}'"], name=_KEY, limits={"time": _KEY})
    _request(launcher, "start")
    launcher.fill(mode="rows", rows=[{"api_key": "hunter2", "topic": _KEY}])
    _request(launcher, "check")

    sent = json.dumps([launcher.form, launcher.said, launcher.rows, launcher.still_bundle()])
    assert _KEY not in sent and "hunter2" not in sent
    assert (launcher.form["line"], launcher.said[0][0], launcher.runs) == ("", "error", [])


@pytest.mark.parametrize(
    "content",
    [{}, {"do": "set"}, {"do": "set", "name": "agents", "value": "many"}, {"do": "set", "name": "flow", "value": "nowhere"},
     {"do": "run", "run": 77}, {"do": "cells", "row": "x"}, {"do": "drop row", "row": 99}, {"do": "value", "key": 1}],
)
def test_a_page_may_send_anything(content: dict[str, Any]) -> None:
    launcher = _launcher()
    before = launcher.line

    launcher._command(None, content, None)
    refresh_loop.close(launcher)
    launcher.refresh()

    assert launcher.line == before


def test_what_is_no_flow_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'looking'"):
        _launcher("lookin")
    with pytest.raises(UsageError, match="needs a name"):
        Launcher(_flow(), names={})
    with pytest.raises(TypeError, match="a flow or the name of one"):
        Launcher(7)


def test_an_expression_that_gives_a_flow_stands_in_the_line() -> None:
    launcher = _launcher("make()", make=_flow)
    launcher.fill(values={"topic": "solar"})

    assert launcher.line == "%pf run make() --seed topic='solar'"
    assert launcher.start()[0].wait(10).store["found"] == "solar at 2"


def test_hostile_names_and_values_stay_text() -> None:
    launcher = _launcher()
    launcher.fill(values={"topic": "<script>alert(1)</script>", "<b>": "</div>"})

    told = launcher.still_bundle()["text/html"]

    assert "<script>" not in told and "</div></div>" not in told.removesuffix("</div>")
    assert launcher.start()[0].wait(10).store["found"] == "<script>alert(1)</script> at 2"


def test_a_terminal_gets_the_lines(shell: Shell) -> None:
    shell.run("class Look(Node):\n    def prep(self, shared): return shared['topic']\nlooking = Flow(Look())")

    shell.run("%pf launch looking")

    assert "%pf run looking" in shell.said


def test_without_a_flow_the_form_says_so() -> None:
    launcher = Launcher(names={})
    refresh_loop.close(launcher)

    assert (launcher.form["flows"], launcher.line) == ([], "")
    with pytest.raises(UsageError, match="no flow to start"):
        launcher.start()
