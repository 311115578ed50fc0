"""The usage of a run: the sums of what its steps reported as ``usage``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

from pocketflex_nb.core.units import count_text

__all__ = ["Usage", "usage_of"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and cost, as reported by `emit`, those of inner runs included.

    Attributes
    ----------
    tokens : float
        Their number.
    cost : float
        In whatever currency the steps count.
    """

    tokens: float = 0
    cost: float = 0.0

    def __repr__(self) -> str:
        return f"<Usage {count_text(self.tokens, 'token')}, cost {self.cost:g}>"

    def __getitem__(self, name: str) -> float:
        """The same by name: ``usage["tokens"]``."""
        if name not in ("tokens", "cost"):
            raise KeyError(name)
        return float(getattr(self, name)) if name == "cost" else self.tokens


def usage_of(runs: Iterable[Lifecycle[Frame]]) -> Usage:
    """The total usage of these runs."""
    spent = [run.spent for run in runs]
    return Usage(sum(one.get("tokens", 0) for one in spent), float(sum(one.get("cost", 0.0) for one in spent)))
