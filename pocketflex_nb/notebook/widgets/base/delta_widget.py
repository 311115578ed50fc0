"""The base class of widgets that send only deltas: the kernel holds the complete view model."""

from __future__ import annotations

import json
from time import monotonic

import anywidget
import traitlets

from pocketflex_nb.notebook.widgets.base.delta import delta

__all__ = ["BURST", "RATE", "DeltaWidget"]

#: bytes a second that one view sends on average, and what it may send at once after a rest
RATE, BURST = 19_000, 10_000
#: what a message costs beside its content: headers, signature, ids
_FRAME = 750


class DeltaWidget(anywidget.AnyWidget):
    """A widget whose traits are sent to the page as deltas, in one message for all of them.

    Notes
    -----
    A page that opens later, or again, gets the traits as they are; from then on it is told differences, which are counted by `revision`. A
    page that has missed one, as it does while it loads, says ``{"do": "fresh", "revision": its revision}`` and gets the whole.
    """

    revision = traitlets.Int().tag(sync=True)

    def __init__(self, **options: object) -> None:
        self._silent: frozenset[str] = frozenset()
        self._patched: set[str] = set()
        self._credit, self._counted = float(BURST), monotonic()
        super().__init__(**options)

    def push(self, **told: object) -> dict[str, int]:
        """Set traits; the page gets the differences. Returns bytes sent, by trait."""
        changes = {name: change for name, new in told.items() if (change := delta(getattr(self, name), new)) is not None}
        if not changes:
            return {}
        self._silent = frozenset([*changes, "revision"])
        self._patched.update(changes)
        try:
            self.revision += 1
            for name in changes:
                setattr(self, name, told[name])
        finally:
            self._silent = frozenset()
        sizes = {name: len(json.dumps(change, ensure_ascii=False).encode("utf-8", "replace")) for name, change in changes.items()}
        self._credit -= sum(sizes.values()) + _FRAME
        self.send({"patch": changes, "revision": self.revision})
        return sizes

    def resync(self, revision: int = -1) -> None:
        """Send all traits in full, to a page that is at another `revision`, and for a saved file."""
        if self._patched and revision != self.revision:
            self.send_state([*self._patched, "revision"])

    def has_budget(self) -> bool:
        """Whether this view may send more now, given what it has sent so far."""
        now = monotonic()
        self._credit = min(self._credit + (now - self._counted) * RATE, BURST)
        self._counted = now
        return self._credit > 0

    def _should_send_property(self, key: str, value: object) -> bool:
        """Ipywidgets asks this of every trait that was set."""
        return key not in self._silent and bool(super()._should_send_property(key, value))
