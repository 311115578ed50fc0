"""Bodies: which language, whose lines errors show, and what may stand in them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pocketflex_nb.core.errors import UnknownAction
from pocketflex_nb.core.flow import checks
from pocketflex_nb.core.mermaid import builder, parser
from tests.notebook.conftest import Shell


def _told(error: BaseException) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error._render_traceback_()))  # type: ignore[attr-defined]


@pytest.mark.parametrize("awaits", ["", "await asyncio.sleep(0)"])
def test_an_exception_of_a_body_shows_the_cells_own_line(shell: Shell, awaits: str) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        shell.run(f"%%pocketflex\nx = 1\n{awaits}\nz = 1 / 0")

    told = _told(caught.value)
    assert re.search(r"Cell In\[\d+\], line 4", told) and "----> 4 z = 1 / 0" in told
    assert "pocketflex_nb" not in told


def test_a_syntax_error_names_the_cells_line(shell: Shell) -> None:
    told = shell.refuse("%%pocketflex\nx = 1\n\ny = = 2")

    assert told.splitlines()[0].startswith("SyntaxError in line 4 of this cell") and "y = = 2" in told


def test_a_diagrams_error_names_the_cells_line_with_a_caret(shell: Shell) -> None:
    lines = shell.refuse("%%pocketflex\nflowchart LR\n  plan --> search\n  search --> serch").splitlines()

    assert lines[0] == "line 4: no node 'serch'; did you mean 'search'?"
    assert lines[2].index("^") == lines[1].index("serch")


def test_a_variable_that_is_called_graph_is_python(shell: Shell) -> None:
    shell.run("%%pocketflex -o run --view none\ngraph = Flow(plan, name='g')\ngraph")

    assert shell.names["run"].status == "done"


def test_a_diagram_without_a_direction_is_told_so(shell: Shell) -> None:
    assert "LR, TD, RL or BT is needed" in shell.refuse("%%pocketflex\nflowchart XX\n  plan --> search")


def test_the_users_own_future_imports_are_not_ours(shell: Shell) -> None:
    shell.run("%%pocketflex --no-run\ndef typed(x: int): pass\nplan")

    assert shell.names["typed"].__annotations__ == {"x": int}


def test_line_magics_and_commands_may_stand_in_a_body(shell: Shell) -> None:
    shell.run("%%pocketflex --view none -o outer\nflow = Flow(plan, name='f')\n%pocketflex run flow --view none -o inner\nflow")

    assert (shell.names["inner"].status, shell.names["outer"].status) == ("done", "done")


def test_a_magic_that_would_block_the_engine_is_refused(shell: Shell) -> None:
    told = shell.refuse("%%pocketflex\nawait asyncio.sleep(0)\n%pocketflex run plan --view none\nplan")

    assert "await flow.launch" in told


def test_a_run_or_a_list_of_runs_is_waited_for(shell: Shell) -> None:
    shell.run("flow = Flow(plan, name='f')")

    shell.run("%%pocketflex -o one --view none\nflow.launch(show=False)")
    shell.run("%%pocketflex -o two --view none\n[flow.launch(show=False), flow.launch(show=False)]")

    assert shell.names["one"].status == "done" and [run.status for run in shell.names["two"]] == ["done", "done"]


def test_of_several_the_failed_ones_name_the_users_line(shell: Shell) -> None:
    shell.run("%%pocketflex\n[Flow(plan, name='good'), Flow(fails, name='bad')]")

    assert re.search(r"bad failed at Cell In\[\d+\], line \d+ \(return 1 / 0\): ZeroDivisionError", shell.said)
    assert "the other one went on" in shell.said


def test_an_error_of_ours_in_the_users_code_keeps_the_users_line(shell: Shell) -> None:
    shell.run("class Odd(Node):\n    def post(self, s, p, e): return 'odd'\nodd = Odd()\nodd - 'ok' >> plan")
    shell.run("strict = Flow(odd, name='s', strict=True)")

    with pytest.raises(UnknownAction) as caught:
        shell.run("%%pocketflex\n\nstrict.run({})")

    assert "----> 3 strict.run({})" in _told(caught.value)


def test_the_full_traceback_is_shown_when_it_is_asked_for(shell: Shell) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        shell.run("%pocketflex run fails --traceback --view none")

    assert getattr(caught.value, "_render_traceback_", None) is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("plan --> search", "line 2: the diagram has no header: begin with 'flowchart LR'"),
        ("  plan -->|ok| search\n  search --> END", "line 2: the diagram has no header"),
        ("[*] --> plan", "line 2: the diagram has no header"),
        ("plan[Plan it] -.-> search", "line 2: the diagram has no header"),
        ("%% a comment\nplan -- go --> search", "line 3: the diagram has no header"),
        ("sequenceDiagram\n  plan->>search: hi", "line 2: a sequenceDiagram draws no flow"),
        ("erDiagram\n  A ||--o{ B : has", "line 2: a erDiagram draws no flow"),
        ("flowchrt LR\n  plan --> search", "line 2: 'flowchrt' begins no diagram; did you mean 'flowchart'?"),
    ],
)
def test_a_diagram_without_its_header_or_of_another_kind_gets_words_about_mermaid(shell: Shell, body: str, said: str) -> None:
    assert shell.refuse(f"%%pocketflex\n{body}").splitlines()[0].startswith(said)


@pytest.mark.parametrize("body", ['x = "a --> b"\ny = = 2', "# a --> b\ny = = 2", "!echo --> x\ny = = 2"])
def test_an_arrow_in_a_text_or_comment_makes_no_diagram(shell: Shell, body: str) -> None:
    assert "SyntaxError" in shell.refuse(f"%%pocketflex\n{body}").splitlines()[0]


def test_a_diagram_cell_that_runs_is_parsed_and_checked_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for module, name in ((parser, "parse"), (builder, "check_flow"), (checks, "check_flow")):
        monkeypatch.setattr(module, name, _counted(getattr(module, name), seen))
    shell.run("def plan(shared): pass\ndef write(shared): pass")

    shell.run("%%pocketflex --run once\nflowchart LR\nplan --> write")

    assert seen == ["parse", "check_flow"]


def _counted(fn: Callable[..., object], seen: list[str]) -> Callable[..., object]:
    def counted(*args: object, **options: object) -> object:
        seen.append(fn.__name__)
        return fn(*args, **options)

    return counted
