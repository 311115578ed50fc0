"""``%pocketflex doctor``: checks the kernel, packages, widgets, engine and layout."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
from importlib import metadata
from time import perf_counter
from typing import TYPE_CHECKING

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.engine.runs.run import runs
from pocketflex_nb.notebook.widgets.base.static_fallback import has_widgets

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["report"]

_PACKAGES = ("ipython", "ipykernel", "ipywidgets", "anywidget", "jupyterlab", "notebook", "graphviz", "greenlet", "nest-asyncio2")


def report(shell: InteractiveShell) -> str:
    """The findings, one per line; a problem begins with ``!`` and names its mend."""
    version = sys.modules["pocketflex_nb"].__version__
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return "\n".join([
        f"pocketflex_nb {version}, Python {sys.version.split()[0]}", f"packages: {versions}",
        *_front(shell), *_widgets(shell), *_loop(), _engine(),
        "dot: found" if shutil.which("dot") else "dot: not found; the built-in layout is used",
    ])


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _front(shell: InteractiveShell) -> list[str]:
    if not has_widgets(shell):
        return ["front end: a terminal; views are shown as text"]
    kernel = tuple(int(part) for part in _version("ipykernel").split(".")[:2] if part.isdigit())
    where = next((name for sign, name in _HOSTS.items() if sign in os.environ or sign in sys.modules), "a Jupyter kernel")
    if kernel and kernel < (7, 1):
        return [
            f"! front end: {where}; before ipykernel 7.1, buttons are answered when the cell has ended; the toolbar's stop works at once",
            "  mend: pip install -U 'ipykernel>=7.1'",
        ]
    return [f"front end: {where}; live views and buttons"]


#: what gives a front end away: a variable of the environment or a module
_HOSTS = {"VSCODE_PID": "VS Code", "google.colab": "Colab", "DATABRICKS_RUNTIME_VERSION": "Databricks"}


def _widgets(shell: InteractiveShell) -> list[str]:
    try:
        from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
    except ImportError as exc:
        return [f"! widgets: {exc}", "  mend: pip install -U anywidget ipywidgets"]
    if has_widgets(shell) and RunView([]).comm is None:
        return ["! widgets: no connection to the page", "  mend: restart the kernel, and reload the page"]
    return ["widgets: ready; if views stay empty, install anywidget where the Jupyter server runs (pip install anywidget)"]


def _loop() -> list[str]:
    """Whether the notebook's loop has been patched."""
    task = asyncio.Task.__module__
    if task == "_asyncio":
        return ["loop: asyncio's own"]
    told = [f"! loop: asyncio.Task comes from {task}: nest_asyncio.apply() was called, which replaces tasks by slower ones"]
    if "nest_asyncio" in sys.modules and "nest_asyncio2" not in sys.modules and not _version("ipykernel").startswith("6"):
        told.append("  on ipykernel 7, messages are lost while a nested run goes on")
    return [*told, "  mend: remove that call and restart the kernel; flow.run() does not need it"]


def _engine() -> str:
    """Check that the engine thread answers."""
    if not engine_thread.ident:
        return "engine thread: not started yet; the first launch starts it"
    begun = perf_counter()
    alive = threading.Event()
    engine_thread.call_soon(alive.set)
    if not alive.wait(2.0):
        return "! engine thread: no answer within 2 s, a step blocks it\n  mend: make that step a plain `def`, or await what it waits for"
    return f"engine thread: answers in {(perf_counter() - begun) * 1e3:.1f} ms, {len(runs(live=True))} runs live"
