"""The history of a store for the inspector: its steps, its content at one of them, and the differences."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.change_lines import ChangeLine, compare_lines, lines_of, word_changes
from pocketflex_nb.views.values.store_rows import value_at

__all__ = ["DIFFERENCES", "StoreHistory", "StoreStep", "put_at"]

#: lines of one comparison
DIFFERENCES = 120
#: characters from which a text's change is shown word by word, characters that are compared, and pieces
_LONG, _READ, _PIECES = 60, 8_000, 400


@dataclass(frozen=True, slots=True)
class StoreStep:
    """A version at which a step had written all it wrote; `run` and `node` are empty outside of runs."""

    version: int
    run: str = ""
    node: str = ""
    step: int = 0

    @property
    def text(self) -> str:
        """Who wrote: ``night · search, step 37``."""
        who = " · ".join(part for part in (self.run, self.node) if part) or "outside of runs"
        return f"{who}, step {self.step}" if self.step else who


class StoreHistory:
    """The kept past of one store; of a plain mapping there is none.

    Parameters
    ----------
    store : Store or mapping
        Whose past.
    """

    def __init__(self, store: Mapping[object, object]) -> None:
        self.store = store
        self._read_at = -1
        self._stops: list[StoreStep] = []

    @property
    def version(self) -> int | None:
        """The store's version now; None for a plain mapping."""
        return self.store.version if isinstance(self.store, Store) else None

    def stops(self) -> list[StoreStep]:
        """The positions of the slider, oldest first: the initial content, and the end of each step."""
        version = self.version
        if version is None or not isinstance(self.store, Store):
            return []
        if version != self._read_at:
            self._read_at, self._stops = version, self._read(self.store)
        return self._stops

    def _read(self, store: Store) -> list[StoreStep]:
        changes = store.history()
        stops = [StoreStep(changes[0].version - 1 if changes else store.version)]
        for change in changes:
            stop = StoreStep(change.version, change.run, change.node, change.step)
            last = stops[-1]
            if len(stops) > 1 and (last.run, last.node, last.step) == (stop.run, stop.node, stop.step) and stop.run:
                stops[-1] = stop
            else:
                stops.append(stop)
        return stops

    def place(self, version: int | None) -> int:
        """Number of the position for `version`; None: the last."""
        stops = self.stops()
        return len(stops) - 1 if version is None else max(bisect_right([stop.version for stop in stops], version) - 1, 0)

    def at(self, version: int | None) -> Mapping[object, object]:
        """The content at `version`; None: the store itself."""
        return self.store if version is None or not isinstance(self.store, Store) else self.store.at(version)

    def base(self, base: str, version: int | None, others: Mapping[str, Mapping[object, object]]) -> Mapping[object, object]:
        """What is compared with: the content of another run's store, at the start, or before the step of `version`."""
        if base in others:
            return others[base]
        stops = self.stops()
        return self.at(stops[0 if base == "start" else max(self.place(version) - 1, 0)].version) if stops else {}

    def words(
        self, path: tuple[object, ...], value: object, base: str, version: int | None, others: Mapping[str, Mapping[object, object]]
    ) -> list[list[str]]:
        """How a long text at `path` became `value`, word by word: [sign, piece], with ``" "``, ``+`` or ``-``."""
        if not isinstance(value, str) or len(value) < _LONG:
            return []
        try:
            old = value_at(self.base(base, version, others), path)
        except (LookupError, TypeError, StoreError):
            return []
        if not isinstance(old, str) or old == value:
            return []
        told = word_changes(clean(old, _READ), clean(value, _READ))  # masked first: a secret in pieces would not be known
        return [[sign, _shortened(piece) if sign == " " else piece] for sign, piece in told[:_PIECES]]

    def lines(self, base: str, version: int | None, others: Mapping[str, Mapping[object, object]]) -> list[ChangeLine]:
        """The differences from `base` ("before": the step before, "start", or the name of another run) to `version`."""
        if base in others:
            return compare_lines(dict(others[base]), dict(self.at(version)), limit=DIFFERENCES)
        stops = self.stops()
        if len(stops) < 2 or not isinstance(self.store, Store):
            return []
        place = self.place(version)
        first = stops[0] if base == "start" else stops[max(place - 1, 0)]
        try:
            found = self.store.diff(first.version, stops[place].version)
            within = (self.store.at(first.version), self.store.at(stops[place].version))
            return lines_of(found, limit=DIFFERENCES, within=within)
        except StoreError as exc:  # dropped by the ring meanwhile
            return [ChangeLine("…", "", str(exc))]


def put_at(store: Any, path: tuple[object, ...], value: object) -> None:
    """Write `value` at `path`; a value inside another is changed in a copy, so that versions before keep theirs.

    Raises
    ------
    LookupError, TypeError
        When there is nothing at the path that could hold it.
    """
    first, *rest = path
    if not rest:
        store[first] = value
        return
    whole = inner = copy.deepcopy(store[first])
    for key in rest[:-1]:
        inner = inner[key]
    inner[rest[-1]] = value
    store[first] = whole


def _shortened(text: str) -> str:
    """What stayed the same, but for its ends."""
    return text if len(text) <= 160 else f"{text[:70]} … {text[-70:]}"
