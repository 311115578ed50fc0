"""Is everything in place here? Kernel, packages, widgets, engine, layout."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from typing import Any

from pocketflex_nb.engine.run import runs
from pocketflex_nb.engine.thread import engine_thread
from pocketflex_nb.notebook.show import has_widgets

__all__ = ["report"]

_PACKAGES = ("pocketflex-nb", "ipython", "ipykernel", "ipywidgets", "anywidget", "jupyterlab", "graphviz", "nest-asyncio", "nest-asyncio2")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def report(shell: Any) -> str:
    """What was found, a line each."""
    lines = [f"Python {sys.version.split()[0]}", *(f"{name} {_version(name)}" for name in _PACKAGES)]
    kernel = _version("ipykernel")
    if not has_widgets(shell):
        lines.append("front end: a terminal; views are text")
    elif kernel != "not installed" and int(kernel.split(".")[0]) < 7:
        lines.append("front end: a kernel; on ipykernel 6 buttons wait for the cell's end, the toolbar's stop works")
        lines.append("  mend: pip install -U ipykernel")
    else:
        lines.append("front end: a kernel; live views and buttons")
    lines.append(f"dot: {'found' if shutil.which('dot') else 'not found; the built-in layout draws'}")
    lines.append(f"engine thread: {'running' if engine_thread.ident else 'not started yet'}, {len(runs(live=True))} runs live")
    return "\n".join(lines)
