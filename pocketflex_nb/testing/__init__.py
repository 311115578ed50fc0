"""Test doubles for users: a clock without waiting, a recorder of what happened, a shell that raises, a server that is not a model."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from pocketflex_nb.testing.recorder import Recorder
from pocketflex_nb.testing.shell import raising_shell
from pocketflex_nb.testing.virtual_clock import TURNS, VirtualClock, settle

if _TYPE_CHECKING:
    from pocketflex_nb.testing.not_a_model import Busy, CutStream, NotAModel, Stall

__all__ = ["TURNS", "Busy", "CutStream", "NotAModel", "Recorder", "Stall", "VirtualClock", "raising_shell", "settle"]

_SERVER = {"Busy", "CutStream", "NotAModel", "Stall"}


def __getattr__(name: str) -> _Any:
    """The server and its words are imported when they are first asked for: they need the room of models."""
    if name in _SERVER:
        from pocketflex_nb.testing import not_a_model

        return getattr(not_a_model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
