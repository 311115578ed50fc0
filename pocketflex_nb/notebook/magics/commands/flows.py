"""The subcommands for flows and agents: draw, pin and start them; list and stop running agents."""

from __future__ import annotations

import ast
import inspect
import keyword
import linecache
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import graph_of
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.notebook.magics.commands.command import Call, Command, Table
from pocketflex_nb.notebook.requests.diagram_reload import current_flow
from pocketflex_nb.notebook.requests.names import as_flow, find_flow, find_run, pinned, runs_of
from pocketflex_nb.notebook.requests.option_line import Option, option_table
from pocketflex_nb.notebook.run_data.run_view_model import summed
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.notebook.shell.safe_print import print_safely

__all__ = ["FLOW_COMMANDS"]

_FORMS = ("--svg", "--mermaid", "--dot", "--text")
_ENDINGS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".txt": "text"}


def _flow_word(call: Call) -> Flow:
    words = call.rest()
    if not words:
        raise usage(f"which flow? %pocketflex {call.command.usage}")
    return find_flow(" ".join(words), call.names)


def _diagram(call: Call) -> None:
    flow = as_flow(current_flow(_flow_word(call), call.names))
    asked = [flag for flag in _FORMS if call.has(flag)]
    if len(asked) > 1:
        raise usage(f"one form at a time, got {' '.join(asked)}")
    name = call.value("--with")
    state = None
    if name is not None:
        state = summed([run.state() for run in runs_of(find_run(name, call.names))])
    save = call.value("--save")
    form = asked[0][2:] if asked else _form_of(save)
    text = str(ports.export(graph_of(flow), form, state=state))
    if save is not None:
        _saved(text, save)
    else:
        _displayed(flow, form, text)


def _form_of(path: str | None) -> str:
    """The form that a file's name ends in; without one a picture."""
    ending = Path(path).suffix.lower() if path is not None else ".svg"
    if ending not in _ENDINGS:
        raise usage(f"--save {path!r}: unknown file type. End it in {', '.join(_ENDINGS)}, or add {', '.join(_FORMS)}")
    return _ENDINGS[ending]


def _saved(text: str, path: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise usage(f"--save {path!r}: {exc.strerror or exc}") from None
    print_safely(f"saved as {path}")


def _displayed(flow: Flow, form: str, text: str) -> None:
    from IPython.display import display

    if form == "svg":
        display({"image/svg+xml": text, "text/plain": repr(flow)}, raw=True)
    elif form == "mermaid":
        display({"text/markdown": f"```mermaid\n{text}\n```", "text/plain": text}, raw=True)
    else:
        print_safely(text)


def _launcher(call: Call) -> None:
    from IPython.display import display

    from pocketflex_nb.notebook.widgets.launcher.launcher import Launcher

    display(Launcher(" ".join(call.rest()) or None))


def _pin(call: Call) -> None:
    flow = _flow_word(call)
    pinned.add(flow)
    print_safely(f"{flow.name or 'the flow'} keeps its nodes as they are now; %pocketflex unpin undoes this")


def _unpin(call: Call) -> None:
    flow = _flow_word(call)
    pinned.discard(flow)
    print_safely(f"{flow.name or 'the flow'} follows its names again")


_SKELETON = '''\
class {name}(Node):
    def prep(self, shared):
        return shared["question"]

    def exec(self, question):
        return question.upper()

    def post(self, shared, prep_res, exec_res):
        shared["answer"] = exec_res


{instance} = {name}()
'''


def _new(call: Call) -> None:
    name = call.word("the name")
    call.end()
    if not name.isidentifier() or keyword.iskeyword(name):
        raise usage(f"{name!r} is no name that Python can bind")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    cls = "".join(part[:1].upper() + part[1:] for part in name.split("_")) or name
    call.shell.set_next_input(_SKELETON.format(name=cls, instance=snake if snake != cls else f"{snake}_node"))


def _node(call: Call) -> None:
    name = call.word("the node's name")
    call.end()
    found = call.names.get(name)
    cls = found if isinstance(found, type) else type(found)
    if not (isinstance(cls, type) and issubclass(cls, BaseNode)):
        known = [n for n, v in call.names.items() if isinstance(v, BaseNode) and not n.startswith("_")]
        raise usage(f"no node {name!r}{nearest(name, known)}")
    source = _source(cls, getattr(found, "_pfx_fn", None))
    if source is None:
        raise usage(f"the source code of {cls.__name__} is not available")
    call.shell.set_next_input(source)


def _source(cls: type, fn: Callable[..., object] | None) -> str | None:
    """The text of a class, found by the code of its methods: `inspect` finds no class that a cell has defined."""
    functions = [fn] if fn is not None else [part for part in vars(cls).values() if inspect.isfunction(part)]
    wanted = fn.__name__ if fn is not None else cls.__name__
    for function in functions:
        code = getattr(function, "__code__", None)
        if code is None:
            continue
        lines = linecache.getlines(code.co_filename)
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            continue
        for part in ast.walk(tree):
            if isinstance(part, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and part.name == wanted:
                first = min([part.lineno, *(d.lineno for d in part.decorator_list)])
                if first <= code.co_firstlineno <= (part.end_lineno or first):
                    return textwrap.dedent("".join(lines[first - 1 : part.end_lineno]))
    return None


def _agents(call: Call) -> Table | None:
    from pocketflex_nb.agents import living

    call.end()
    rows = [
        {"agent": str(ref.name), "status": ref.status, "children": len(ref.children()) if hasattr(ref, "children") else ""}
        for ref in living()
    ]
    if not rows:
        print_safely("no agents are running")
        return None
    return Table(rows, always=("agent", "status"))


def _stop(call: Call) -> None:
    from pocketflex_nb.agents import living

    name = call.word("the agent's name")
    call.end()
    found = {str(ref.name): ref for ref in living()}
    if name != "all" and name not in found:
        raise usage(f"no agent {name!r} is running{nearest(name, found)}")
    for ref in reversed(list(found.values()) if name == "all" else [found[name]]):
        ref.stop_sync("shutdown", timeout=10)
        print_safely(f"{ref.name} stopped")


FLOW_COMMANDS = [
    Command(
        "diagram", "diagram FLOW", "Show a flow as a picture, or as Mermaid, DOT or plain text.", _diagram,
        option_table(
            Option("--svg", "", "as an SVG picture (default)"), Option("--mermaid", "", "as Mermaid text"),
            Option("--dot", "", "as DOT text"), Option("--text", "", "as an indented list"),
            Option("--save", "FILE", "write it to a file; the form follows from its ending"),
            Option("--with", "RUN", "coloured by the states of this run"),
        ),
    ),
    Command("launch", "launch [FLOW]", "A form that fills in and starts a flow.", _launcher),
    Command("pin", "pin FLOW", "Keep the nodes of a diagram as they are now.", _pin),
    Command("unpin", "unpin FLOW", "Let a diagram follow the names of its nodes again.", _unpin),
    Command("node", "node NAME", "Put the source code of a node into a new cell.", _node),
    Command("new", "new NAME", "Put the skeleton of a node into a new cell.", _new),
    Command("agents", "agents", "The running agents, supervisors and tasks.", _agents),
    Command("stop", "stop AGENT|all", "Stop an agent, or a supervisor with its children, in order.", _stop),
]
