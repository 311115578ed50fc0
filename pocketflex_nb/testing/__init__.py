"""Test doubles for users: a clock without waiting, a recorder of what happened, a shell that raises."""

from __future__ import annotations

from pocketflex_nb.testing.recorder import Recorder
from pocketflex_nb.testing.shell import raising_shell
from pocketflex_nb.testing.virtual_clock import TURNS, VirtualClock, settle

__all__ = ["TURNS", "Recorder", "VirtualClock", "raising_shell", "settle"]
