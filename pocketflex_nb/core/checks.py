"""Can this flow be walked? One look at the drawing before anything moves."""

from __future__ import annotations

from typing import Any

__all__ = ["check"]


def check(flow: Any) -> list[Any]:
    raise NotImplementedError
