"""``%pocketflex help``: one screen, and a page per topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.notebook.requests.option_line import RUN_FLAGS
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["USAGE", "topic", "topics"]

USAGE = """\
%%pocketflex [NAME] [options]      a cell: Mermaid that becomes the flow NAME, or Python whose last expression is run
%pocketflex run FLOW [options]     run a flow; also a list, a dict or an expression of flows
%pocketflex runs [--all] [--df]    the runs with their status, node and time; --all: those of journals, of earlier kernels, too
%pocketflex resume FILE [RUN]      go on with a journal's runs; fork FILE RUN --at N --set KEY=VALUE, replay FILE RUN
%pocketflex show RUN               a live view of a run, or of a finished one; replay RUN [--speed 4] plays it again
%pocketflex launch [FLOW], panel   a form that starts flows; an overview of this process: runs, agents, memory
%pocketflex cancel RUN|all         cancel runs; pause RUN, continue RUN [--step], wait RUN... [--timeout 60s]
%pocketflex store RUN [PATH]       the store, live; --at N as of a version, --diff N M|RUN2 what changed
%pocketflex diagram FLOW           a picture: --svg --mermaid --dot --text, --save FILE, --with RUN
%pocketflex answer RUN VALUE       answer the question of a run;  set RUN PATH=EXPR  change a value while it is paused
%pocketflex events [RUN]           the events of a run in columns: --last N --all --kind KIND --df
%pocketflex trace RUN              the same as text; --sequence --otel FILE --html FILE
%pocketflex agents, stop NAME|all  list the running agents; stop one, or all
%pocketflex pin|unpin FLOW         keep a diagram's nodes as they are, or follow their names
%pocketflex new NAME, node NAME    a new node's skeleton, or a node's source, in a new cell
%pocketflex clear, config, doctor  forget finished runs; settings; check kernel, page and engine
%pocketflex help [TOPIC]           more: options, mermaid, python, or a subcommand

%pf and %%pf are short for the same."""

_MERMAID = """\
flowchart LR                     graph and stateDiagram-v2 are read too
  plan -->|ok| search & read     the word on an arrow is the action that post returns; & fans out in parallel
  search & read --> write        where the branches meet again, write waits for both
  write -->|revise| plan
  search -.-> rescue             taken when search fails for good
  plan ==> log                   started, not waited for
  %% pf: search.retries=3, search.timeout=20

Ids are names of the notebook: nodes, node classes, flows, functions. search2[search] is another node made of search. END ends the flow."""

_PYTHON = """\
The last expression of the cell says what is run:
  flow                       one run                         [flow, other]      one run of each
  {"fast": flow, ...}        the keys name the runs          (flow, {...})      a flow with its own store; also in lists
  flow.launch(...)           a run or group that you have launched yourself
Anything else is displayed. Names stay in the notebook; `await` may stand anywhere."""


def topics() -> list[str]:
    """The help topics besides subcommands."""
    return ["options", "mermaid", "python"]


def topic(name: str | None, known: Iterable[str] = ()) -> str:
    """The help on `name`; the overview for None."""
    if name is None:
        return USAGE
    pages: dict[str, Callable[[], str]] = {"options": _options, "mermaid": lambda: _MERMAID, "python": lambda: _PYTHON}
    if name not in pages:
        raise usage(f"no help on {name!r}{nearest(name, known or pages)}")
    return pages[name]()


def _options() -> str:
    rows = [(f"{o.name} {o.takes}".strip(), o.help) for o in RUN_FLAGS.values()]
    width = max(len(left) for left, _ in rows if len(left) < 40)
    return "\n".join(f"{left:<{width}}  {right}" if len(left) <= width else f"{left}\n{'':<{width}}  {right}" for left, right in rows)
