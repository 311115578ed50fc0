"""The magics in a bare shell: what each form does, and what each mistake is told."""

from __future__ import annotations

import re
import sys

import pytest

from pocketflex_nb import Run, RunGroup
from pocketflex_nb.core import ports
from pocketflex_nb.engine.runs.run import lifecycle_of
from tests.notebook.conftest import Shell

_REPORT = """%%pocketflex report
graph TD
    A[Start: Main Goal] --> B{Orchestrator Node: Assign Tasks};
    B --> C(Task: Run Researcher Agent Flow);
    B --> D(Task: Run Writer Agent Flow);
    C --> E{Orchestrator Node: Collect Research};
    D --> F{Orchestrator Node: Collect Draft};
    E --> G{Orchestrator Node: Synthesize};
    F --> G;
    G --> H[End: Final Output];
"""


def test_the_page_that_the_project_starts_from_runs_as_it_is(shell: Shell) -> None:
    shell.run("class Note(Node):\n    def post(self, s, p, e): s.setdefault('order', []).append(self._pfx_id)")
    shell.run("A, B, C, D, E, F, G, H = [Note() for _ in range(8)]")

    shell.run(_REPORT)
    shell.run("%pocketflex run report -o run")

    order = shell.names["run"].store["order"]
    assert sorted(order) == list("ABCDEFGH")
    assert order[:2] == ["A", "B"] and order[-2:] == ["G", "H"]
    assert order.index("C") < order.index("E") and order.index("D") < order.index("F")


def test_a_mermaid_cell_binds_its_name_and_runs_only_when_told(shell: Shell) -> None:
    shell.run("%%pocketflex team\nflowchart LR\n  plan --> search")
    assert shell.names["team"].name == "team"

    shell.run("%%pocketflex team --run -o run\nflowchart LR\n  plan --> search")

    assert shell.names["run"].status == "done" and shell.names["run"].store["seen"] == ["plan"]


def test_a_python_cell_runs_what_its_last_expression_gives(shell: Shell) -> None:
    shell.run("flow = Flow(search, name='one')")

    shell.run("%%pocketflex -o run\nflow")
    shell.run("%%pocketflex -o pair\n[(flow, {'topic': 'a'}), (flow, {'topic': 'b'})]")
    shell.run("%%pocketflex -o named\n{'fast': flow, 'slow': flow}")

    assert isinstance(shell.names["run"], Run) and shell.names["run"].status == "done"
    assert [run.store["found"] for run in shell.names["pair"]] == ["a", "b"]
    assert isinstance(shell.names["named"], RunGroup) and [lifecycle_of(run).base for run in shell.names["named"]] == ["fast", "slow"]


def test_a_body_may_await_and_its_names_stay(shell: Shell) -> None:
    shell.run("%%pocketflex -o run\nawait asyncio.sleep(0)\nkept = 5\nFlow(plan, name='awaited')")

    assert shell.names["kept"] == 5 and shell.names["run"].name.startswith("awaited")


def test_anything_else_is_said_not_to_be_run(shell: Shell) -> None:
    shell.run("%%pocketflex\n41 + 1")

    assert "not run: the last expression is int" in shell.said


def test_seeds_are_copied_and_each_makes_a_run_per_item(shell: Shell) -> None:
    shell.run("topics, common = ['a', 'b'], {'tags': [1]}\nflow = Flow(search, name='f')")

    shell.run("%pocketflex run flow --each topic=@topics --seed @common -n 2 -o group")

    stores = [run.store for run in shell.names["group"]]
    assert [(s["topic"], s["agent"], s["found"]) for s in stores] == [("a", 0, "a"), ("a", 1, "a"), ("b", 0, "b"), ("b", 1, "b")]
    assert all(s["tags"] is not shell.names["common"]["tags"] for s in stores)


def test_share_gives_every_run_the_same_store(shell: Shell) -> None:
    shell.run("flow = Flow(plan, name='f')\n%pocketflex run flow -n 3 --share -o group")

    first, *others = shell.names["group"]
    assert all(run.store is first.store for run in others)


def test_values_are_literals_then_names_and_braces_are_expressions(shell: Shell) -> None:
    shell.run("depth = 3\nflow = Flow(plan, name='f')")

    shell.run("%pocketflex run flow --seed a=[1,2],b='x, y',c=depth,d={depth*2},e=$depth f=(1,) -o run")

    store = shell.names["run"].store
    assert (store["a"], store["b"], store["c"], store["d"], store["e"], store["f"]) == ([1, 2], "x, y", 3, 6, 3, (1,))


def test_bg_gives_the_cell_back_and_cancel_ends_the_run(shell: Shell) -> None:
    shell.run("flow = Flow(waits, name='night')\n%pocketflex run flow --bg -o run")
    run = shell.names["run"]
    assert not run.done()

    shell.run(f"%pocketflex cancel {run.name}")

    assert run.status == "cancelled" and "1 run cancelled" in shell.said


def test_pause_step_and_continue_by_magic(shell: Shell) -> None:
    shell.run("flow = Flow(waits, name='held')\n%pocketflex run flow --bg --break Waits -o run")
    run = shell.names["run"]
    while run.status in ("pending", "running"):
        assert not run.done()
    assert run.status == "paused" and run.state().steps == 0
    shell.run(f"%pocketflex continue {run.name}")

    assert run.status == "running"


def test_a_failing_node_fails_the_cell_with_the_users_line(shell: Shell) -> None:
    shell.run("flow = Flow(fails, name='f')")

    with pytest.raises(ZeroDivisionError) as caught:
        shell.run("%pocketflex run flow")

    told = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(caught.value._render_traceback_()))
    assert "1 / 0" in told and "engine" not in told
    assert "node 'Fails'" in told.splitlines()[-1]


def test_of_several_the_others_go_on_and_the_cell_is_fine(shell: Shell) -> None:
    shell.run("good, bad = Flow(plan, name='good'), Flow(fails, name='bad')")

    shell.run("%%pocketflex -o group\n[good, bad]")

    assert [run.status for run in shell.names["group"]] == ["done", "failed"]
    assert "bad" in shell.said and "ZeroDivisionError" in shell.said


def test_on_error_stop_cancels_the_others_and_fails_the_cell(shell: Shell) -> None:
    shell.run("long, bad = Flow(waits, name='long'), Flow(fails, name='bad')")

    with pytest.raises(ZeroDivisionError):
        shell.run("%%pocketflex --on-error stop -o group\n[long, bad]")

    assert [run.status for run in shell.names["group"]] == ["cancelled", "failed"]


def test_limits_on_the_line_reach_the_run(shell: Shell) -> None:
    shell.run("flow = Flow(waits, name='f')")

    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        shell.run("%pocketflex run flow --timeout 50ms")
    with pytest.raises(TimeoutError, match="node 'Waits'"):
        shell.run("%pocketflex run flow --node-timeout 50ms")


def test_a_budget_stops_and_keeps_the_store(shell: Shell) -> None:
    shell.run("class Again(Node):\n    def post(self, s, p, e): s['n'] = s.get('n', 0) + 1; return 'again'")
    shell.run("again = Again(); again - 'again' >> again; flow = Flow(again, name='f')")

    with pytest.raises(Exception, match="5 of 5 steps"):
        shell.run("%pocketflex run flow --budget steps=5 -o run")

    assert shell.names["run"].store["n"] == 5


def test_prints_go_to_the_lane_and_tee_prints_them_too(shell: Shell) -> None:
    shell.run("flow = Flow(search, name='f')\n%pocketflex run flow -o run --view none")
    assert "looking" not in shell.said
    assert [text for _, _, text, _ in shell.names["run"].state().lines] == ["looking"]

    shell.run("%pocketflex run flow -o quiet --quiet --view none")

    assert not shell.names["quiet"].state().lines


def test_redefining_a_node_changes_the_diagrams_flow_unless_pinned(shell: Shell) -> None:
    shell.run("%%pocketflex team\nflowchart LR\n  plan --> search")
    shell.run("%pocketflex pin team")
    shell.run("class Search2(Node):\n    def post(self, s, p, e): s['found'] = 'new'\nsearch = Search2()")

    shell.run("%pocketflex run team -o old")
    shell.run("%pocketflex unpin team\n%pocketflex run team -o new")

    assert shell.names["old"].store["found"] == "nothing" and shell.names["new"].store["found"] == "new"


def test_store_shows_values_versions_and_differences(shell: Shell) -> None:
    shell.run("flow = Flow(search, name='f')\n%pocketflex run flow --seed topic={'a': [1, {'b': 2}]} -o run")

    assert shell.run("%pocketflex store run topic.a[1].b") == 2
    assert shell.run("%pocketflex store run --at 0") == {"topic": {"a": [1, {"b": 2}]}}
    shell.run("%pocketflex store run --diff 0 1")
    assert "found" in shell.said
    assert "nothing at" in shell.refuse("%pocketflex store run topic.a.x")


def test_diagram_in_every_form(shell: Shell) -> None:
    shell.run("%%pocketflex team\nflowchart LR\n  plan -->|ok| search")

    for form, word in (("--mermaid", "plan"), ("--dot", "digraph"), ("--text", "plan")):
        shell.run(f"%pocketflex diagram team {form}")
        assert word in shell.said, form


def test_runs_lists_and_clear_forgets(shell: Shell) -> None:
    shell.run("flow = Flow(plan, name='listed')\n%pocketflex run flow --view none")

    table = shell.run("%pocketflex runs")
    assert "listed" in repr(table) and "done" in table._repr_html_()
    assert "listed" in list(shell.run("%pocketflex runs --df")["run"])[0]
    shell.run("%pocketflex clear")

    assert shell.run("%pocketflex runs") is None


def test_runs_tells_what_a_run_waits_for(shell: Shell) -> None:
    shell.run("class Again(Node):\n    async def exec(self, p): raise OSError\n"
              "run = Flow(Again(max_retries=2, wait=60)).launch({}, show=False)\n"
              "for _ in range(1000):\n    if run.state().waits: break\n    time.sleep(0.01)")

    told = repr(shell.run("%pocketflex runs"))
    shell.run("run.cancel(); run.wait(10)")

    assert "Again: try 2 of 2 in" in told
    assert "waits" not in repr(shell.run("%pocketflex runs"))


def test_answer_by_magic(shell: Shell) -> None:
    shell.run("from pocketflex_nb import ask\nclass Asks(Node):\n    async def exec(self, p): return await ask('Go?', ['yes', 'no'])\n"
              "    def post(self, s, p, e): s['word'] = e")
    shell.run("flow = Flow(Asks(), name='asks')\n%pocketflex run flow --bg -o run")
    run = shell.names["run"]
    while not run.state().asking:
        assert not run.done()

    assert "did you mean 'yes'" in shell.refuse(f"%pocketflex answer {run.name} yess")
    shell.run(f"%pocketflex answer {run.name} yes")

    assert run.wait(5).store["word"] == "yes"


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("%pocketflex run reprot", "did you mean 'report'"),
        ("%pocketflex run report --sede a=1", "did you mean '--seed'"),
        ("%pocketflex run report --timeout soon", "a duration above 0 is needed"),
        ("%pocketflex run report --seed a", "KEY=VALUE is needed"),
        ("%pocketflex run report --seed a=nosuch", "no name 'nosuch'"),
        ("%pocketflex run report -n zero", "a whole number"),
        ("%pocketflex run report --each @nosuch", "no name 'nosuch'"),
        ("%pocketflex run report --break serch", "did you mean 'search'"),
        ("%pocketflex run report --budget stepz=1", "did you mean 'steps'"),
        ("%pocketflex run report --on-error stopp", "did you mean 'stop'"),
        ("%pocketflex run report --name", "needs a value"),
        ("%pocketflex run report --types x", "unknown option '--types'"),
        ("%pocketflex show nosuch", "no run 'nosuch'"),
        ("%pocketflex canel x", "did you mean 'cancel'"),
        ("%pocketflex help mermade", "did you mean 'mermaid'"),
        ("%%pocketflex a b\nreport", "one NAME at most"),
        ("%%pocketflex 1x\nreport", "no name that Python can bind"),
        ("%%pocketflex\nx = = 1", "SyntaxError in line 2 of this cell"),
        ("%%pocketflex\n%%time\nreport", "one cell magic"),
        ("%%pocketflex x\nflowchart LR\n  plan --> serch", "did you mean 'search'"),
        ("%%pocketflex x\nflowchart LR\n  plan --> search\n  search -->", "line"),
        ("%pocketflex run nostart", "start"),
    ],
)
def test_a_mistake_is_told_in_a_line_with_the_nearest_name_and_nothing_runs(shell: Shell, cell: str, told: str) -> None:
    shell.run("%%pocketflex report\nflowchart LR\n  plan --> search")
    shell.run("nostart = Flow()\nbefore = len(__import__('pocketflex_nb').runs(live=True))")

    message = shell.refuse(cell)

    assert told in message
    assert len(message.splitlines()) <= 4
    assert not [r for r in __import__("pocketflex_nb").runs(live=True) if not r.done()]


def test_check_and_dry_run_nothing(shell: Shell) -> None:
    shell.run("%%pocketflex team\nflowchart LR\n  plan --> search")

    shell.run("%pocketflex run team --check")
    assert "nothing wrong" in shell.said
    shell.run("%pocketflex run team --dry -n 3 --seed topic='x'")

    assert "would start 3 runs" in shell.said and "topic" in shell.said
    assert shell.run("%pocketflex runs") is None


def test_loading_twice_changes_nothing_and_unloading_leaves_the_shell_as_it_was(shell: Shell) -> None:
    made = shell.shell
    made.run_cell("%unload_ext pocketflex_nb")
    before = (list(made.input_transformers_post), set(made.magics_manager.magics["line"]), list(made.Completer.custom_matchers),
              {event: list(fns) for event, fns in made.events.callbacks.items()}, sys.stdout, ports.display)

    made.run_cell("%load_ext pocketflex_nb")
    made.run_cell("%reload_ext pocketflex_nb")
    assert len(made.input_transformers_post) == len(before[0]) + 1
    made.run_cell("%unload_ext pocketflex_nb")

    after = (list(made.input_transformers_post), set(made.magics_manager.magics["line"]), list(made.Completer.custom_matchers),
             {event: list(fns) for event, fns in made.events.callbacks.items()}, sys.stdout, ports.display)
    assert after == before
    made.run_cell("%load_ext pocketflex_nb")


def test_inside_another_magic_it_waits_in_plain_code(shell: Shell) -> None:
    shell.run("flow = Flow(search, name='f')")

    shell.run("%%time\n%pocketflex run flow -o run --view none")

    assert shell.names["run"].status == "done"


def test_a_flow_as_last_expression_draws_itself(shell: Shell) -> None:
    shell.run("%%pocketflex team\nflowchart LR\n  plan --> search")

    data, _ = shell.shell.display_formatter.format(shell.names["team"])

    assert 'data-node="plan"' in data["image/svg+xml"]
    assert data["text/plain"] == "<Flow 'team'>"
