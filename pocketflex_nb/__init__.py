"""Build and watch multi-agent flows in a Jupyter notebook.

>>> from pocketflex_nb import Flow, Node
>>> class Greet(Node):
...     def prep(self, shared):
...         return shared["who"]
...     def exec(self, who):
...         return f"hello {who}"
...     def post(self, shared, prep_res, exec_res):
...         shared["greeting"] = exec_res
>>> store = {"who": "you"}
>>> Flow(Greet()).run(store)
>>> store["greeting"]
'hello you'

In a notebook, runs, flows and stores show themselves; ``%load_ext pocketflex_nb`` adds the magics.
"""

from __future__ import annotations

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from pocketflex_nb.core import ports as _ports
from pocketflex_nb.core.flow.flow import BatchFlow, Flow, linear
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.flow.nodes import END, BaseNode, BatchNode, Node
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine import engine_port as _entry
from pocketflex_nb.engine.launch import launch
from pocketflex_nb.engine.records.emit import emit
from pocketflex_nb.engine.records.frame import current
from pocketflex_nb.engine.runs.run import Run, forget, runs
from pocketflex_nb.engine.runs.run_group import RunGroup

if _TYPE_CHECKING:
    from pocketflex_nb.agents import Agent, DynamicSupervisor, FlowAgent, Registry, Supervisor, child, spawn, stream, trace
    from pocketflex_nb.core.comparison import compare
    from pocketflex_nb.core.flow.item_failure import ItemFailure
    from pocketflex_nb.core.flow.retry_policy import Retry
    from pocketflex_nb.core.state import State, replay
    from pocketflex_nb.engine.control.ask import ask
    from pocketflex_nb.engine.control.throttling import Breaker, Limiter
    from pocketflex_nb.engine.resume import resume
    from pocketflex_nb.journal.journal import open_journal
    from pocketflex_nb.resources import open_queue, open_store, open_topic

__version__ = "0.1.0"

__all__ = [
    "END", "Agent", "BaseNode", "BatchFlow", "BatchNode", "Breaker", "DynamicSupervisor", "Flow", "FlowAgent", "ItemFailure", "Limiter",
    "Node", "Registry", "Retry", "Run", "RunGroup", "State", "Store", "Supervisor", "ask", "child", "compare", "current", "emit", "forget",
    "launch", "linear", "node", "open_journal", "open_queue", "open_store", "open_topic", "replay", "resume", "runs", "spawn", "stream",
    "trace",
]

#: module of each name that is imported when it is first asked for: most flows need none of them
_LATER = {
    "ItemFailure": "core.flow.item_failure", "Retry": "core.flow.retry_policy", "ask": "engine.control.ask", "compare": "core.comparison",
    "open_journal": "journal.journal", "resume": "engine.resume",
    **dict.fromkeys(("Breaker", "Limiter"), "engine.control.throttling"),
    **dict.fromkeys(("State", "replay"), "core.state"),
    **dict.fromkeys(
        ("Agent", "DynamicSupervisor", "FlowAgent", "Registry", "Supervisor", "child", "spawn", "stream", "trace"), "agents"
    ),
    **dict.fromkeys(("open_queue", "open_store", "open_topic"), "resources"),
}


def __getattr__(name: str) -> _Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _export(thing: _Any, form: str, **options: _Any) -> _Any:
    """The export function behind `core.ports.export`: the views, pandas for tables, a page for a file, each imported on demand."""
    if form == "frame":
        import pandas

        from pocketflex_nb.views.text.safe_messages import table_rows

        return pandas.DataFrame(table_rows(thing))
    if form == "html":
        from pocketflex_nb.notebook.reports.html_page import write_page

        return write_page(thing, **options)
    from pocketflex_nb.views.diagrams.export import export

    return export(thing, form, **options)


class _Journals:
    """The journal's room, imported when a journal is first asked for; with what it needs of the resources."""

    def reopened_store(self, url: str) -> _Any:
        from pocketflex_nb.resources import open_store

        return open_store(url)

    def __getattr__(self, name: str) -> _Any:
        from pocketflex_nb.journal import port

        return getattr(port, name)


def _shell() -> _Any:
    """IPython's shell, where this process has one; IPython is not imported for that."""
    ipython = _sys.modules.get("IPython")
    return getattr(ipython, "get_ipython", lambda: None)()


def _screen() -> bool:
    """The function behind `core.ports.screen`: in a kernel, views follow the cells from now on. A terminal wants the extension."""
    shell = _shell()
    if getattr(shell, "kernel", None) is None:
        return False
    try:
        from pocketflex_nb.notebook.extension import follow_cells
    except ImportError as exc:
        _say_once(f"no live view: {exc}. Mend: pip install {exc.name or 'ipywidgets anywidget'}, then restart the kernel")
        return False
    follow_cells(shell)
    return True


_said: set[str] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        _sys.stdout.write(f"pocketflex_nb: {text}\n")


def _display(thing: _Any, **options: _Any) -> object:
    """The function behind `core.ports.display` while no extension is loaded."""
    if _shell() is None:
        raise RuntimeError("there is no screen here: .show() works in a notebook or in IPython; elsewhere use .to_html(path) or print()")
    _screen()
    from pocketflex_nb.notebook.cells.show import show

    return show(thing, **options)


def _draw(thing: object, form: str) -> object:
    """The function behind `core.ports.draw`."""
    if form == "live" and not _screen():
        return False
    try:
        from pocketflex_nb.notebook.cells.drawings import draw
    except ImportError:  # a page that cannot draw it has its repr
        return None
    return draw(thing, form)


_ports.engine = _entry
_ports.journal = _Journals()
_ports.export = _export
if _ports.screen is None:  # a reload of this module leaves what a loaded extension has put there
    _ports.screen, _ports.display, _ports.draw = _screen, _display, _draw


def load_ipython_extension(shell: object) -> None:
    """``%load_ext pocketflex_nb``: magics, live views, pictures of flows."""
    from pocketflex_nb.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: object) -> None:
    """``%unload_ext pocketflex_nb``: leave the shell as it was found."""
    from pocketflex_nb.notebook.extension import unload

    unload(shell)
