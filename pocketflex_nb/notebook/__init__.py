"""Magics, formatters, views and widgets: the toolkit inside of IPython and Jupyter.

The rule of this room: it may import every other; a handler parses, calls, shows.
"""

from __future__ import annotations

from pocketflex_nb.notebook.widgets.launcher.launcher import Launcher
from pocketflex_nb.notebook.widgets.run_history.run_history import RunHistory
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import StoreInspector

__all__ = ["Launcher", "RunHistory", "RunView", "StoreInspector"]
