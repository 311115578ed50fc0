"""`SelfDisplay`: how a thing draws itself as a cell's last value, in any IPython kernel and in marimo.

The hooks that notebooks call by name ask the port `draw`, which imports the screen's side only then. Nothing is registered anywhere, so
that no extension has to be loaded; outside a notebook nobody calls the hooks, and a thing has its repr.
"""

from __future__ import annotations

from collections.abc import Container

from pocketflex_nb.core import ports

__all__ = ["SelfDisplay"]


class SelfDisplay:
    """Base class of what draws itself in a notebook: flows, runs, groups, stores, supervisors, traces, queues.

    References
    ----------
    IPython calls ``_ipython_display_``, then ``_repr_mimebundle_``
    (https://ipython.readthedocs.io/en/stable/config/integrating.html). marimo calls ``_display_``
    (https://docs.marimo.io/guides/integrating_with_marimo/displaying_objects/).
    """

    __slots__ = ()

    def _ipython_display_(self, **_: object) -> None:
        """Show the live view; `NotImplementedError` lets IPython go on to the bundle and the repr."""
        if not ports.draw(self, "live"):
            raise NotImplementedError

    def _repr_mimebundle_(self, include: Container[str] | None = None, exclude: Container[str] | None = None) -> dict[str, str]:
        """The still form, by MIME type; empty where there is none."""
        drawn = ports.draw(self, "bundle")
        bundle: dict[str, str] = drawn if isinstance(drawn, dict) else {}
        return {kind: text for kind, text in bundle.items() if (not include or kind in include) and not (exclude and kind in exclude)}

    def _display_(self) -> object:
        """What marimo shows in place of it: a live view, a picture, or its repr."""
        return ports.draw(self, "marimo")
