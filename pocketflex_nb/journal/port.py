"""What the engine asks of journals: a run that begins, the runs that were left, and going on with one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.journal.history import History
from pocketflex_nb.journal.journal import Journal
from pocketflex_nb.journal.journal_file import DURABILITIES, Durability, opened_file
from pocketflex_nb.journal.recorder import Recorder, begun, resumed

__all__ = ["begin", "go_on", "left", "unfinished"]

_Path = str | os.PathLike[str]


def begin(
    path: _Path, name: str, header: Mapping[str, Any], store: Mapping[Any, Any], transient: frozenset[Any], durability: str
) -> Recorder:
    """A new run of the journal at `path`, which is created if there is none."""
    return begun(opened_file(path), name, header, store, transient, _checked(durability))


def unfinished(path: _Path) -> list[int]:
    """The numbers of the runs that did not end, and that no living process writes."""
    return Journal(path).unfinished()


def left(path: _Path, run: int | str) -> History:
    """What is recorded of a run."""
    return Journal(path).history(run)


def go_on(path: _Path, run: int, durability: str, transient: frozenset[Any], changed: Sequence[str]) -> Recorder:
    """Go on with a run; `changed` names what is not as it was."""
    return resumed(opened_file(path), run, _checked(durability), transient, changed)


def _checked(durability: str) -> Durability:
    if durability not in DURABILITIES:
        raise ValueError(f"durability={durability!r}: no such durability{nearest(str(durability), DURABILITIES)}")
    return cast(Durability, durability)
