"""How does it reach the screen? Magics, formatters, the bridge, widgets.

The rule of this room: it may import every other; a handler parses, calls, shows.
"""

from __future__ import annotations

from pocketflex_nb.notebook.launcher import Launcher
from pocketflex_nb.notebook.run_view import RunView
from pocketflex_nb.notebook.store_inspector import StoreInspector

__all__ = ["Launcher", "RunView", "StoreInspector"]
