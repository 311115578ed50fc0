"""The options of supervisors, and the checks of those that are words."""

from __future__ import annotations

from dataclasses import dataclass

from pocketflex_nb.agents.protocol.errors import BadSpec
from pocketflex_nb.agents.supervision.child_spec import ChildSpec
from pocketflex_nb.core.errors import nearest

__all__ = ["SupervisorOptions", "check_auto_shutdown", "check_strategy"]

_STRATEGIES = ("one_for_all", "one_for_one", "rest_for_one")
_AUTO = ("all_significant", "any_significant", "never")


def check_strategy(strategy: str) -> None:
    """Raise for an unknown restart strategy."""
    if strategy not in _STRATEGIES:
        raise BadSpec(f"strategy={strategy!r}: no such strategy{nearest(str(strategy), _STRATEGIES)}")


def check_auto_shutdown(mode: str) -> None:
    """Raise for an unknown mode of ``auto_shutdown``."""
    if mode not in _AUTO:
        raise BadSpec(f"auto_shutdown={mode!r}: no such mode{nearest(str(mode), _AUTO)}")


@dataclass(frozen=True, slots=True)
class SupervisorOptions:
    """The options of a supervisor."""

    specs: tuple[ChildSpec, ...] = ()
    strategy: str = "one_for_one"
    max_restarts: int = 3
    max_seconds: float = 5.0
    auto_shutdown: str = "never"
    max_children: int | None = None
    extra_args: tuple[object, ...] = ()
    strict: bool = False
    partitions: int = 0
