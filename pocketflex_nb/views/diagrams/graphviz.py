"""Layout and rendering by Graphviz, where it is installed: the only file that imports it, and only on demand."""

from __future__ import annotations

import shutil
from typing import Protocol

__all__ = ["GraphvizSource", "has_dot", "source", "svg_by_dot"]


class GraphvizSource(Protocol):
    """A `graphviz.Source`, which ships no types."""

    def pipe(self, format: str, *, encoding: str) -> object:
        """The picture, in this format."""
        ...


def has_dot() -> bool:
    """Whether the program ``dot`` is on the PATH."""
    return shutil.which("dot") is not None


def source(text: str) -> GraphvizSource:
    """DOT text as a `graphviz.Source`.

    Raises
    ------
    RuntimeError
        The Python package graphviz is not installed.
    """
    try:
        import graphviz  # type: ignore[import-untyped]  # it ships no types
    except ImportError as error:
        raise RuntimeError(
            "to_graphviz() needs the Python package graphviz (pip install graphviz); to_dot() and to_svg() work without it"
        ) from error
    drawn: GraphvizSource = graphviz.Source(text)
    return drawn


def svg_by_dot(text: str) -> str:
    """DOT text laid out by ``dot``, as SVG.

    Raises
    ------
    RuntimeError
        There is no ``dot`` on the PATH.
    """
    if not has_dot():
        raise RuntimeError(
            "engine='dot' needs the program dot on the PATH (apt install graphviz); engine='builtin' needs nothing"
        )
    return str(source(text).pipe("svg", encoding="utf-8"))
