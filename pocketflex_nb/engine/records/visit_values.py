"""What steps were given and what they gave, kept for those who look at a visit: bounded, and as it was then.

A hop leaves no value in its record: that would keep every value of every step alive. A launched run in a notebook keeps the latest visits
of each of its nodes here. Values are frozen (:mod:`pocketflex_nb.core.frozen.freezer`), so that what is changed in place later is still
shown as it was, and what did not change since the node's last visit is shared with it. A value that is too large to be copied is kept by
the node's latest visit only, and told as it is now. Of a node that takes less than a millisecond the first visits are kept, and then no
more: its walk goes back to its shortest way.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from math import prod
from threading import Lock
from time import perf_counter_ns as now
from typing import TYPE_CHECKING, Any, Protocol

from pocketflex_nb.core.frozen.freezer import MISSING, PLAIN, SEEN, Freezer, Frozen, FrozenDict, FrozenList, Opaque
from pocketflex_nb.core.user_traceback import last_user_line
from pocketflex_nb.core.value_text import is_shaped
from pocketflex_nb.engine.records.record import format_error

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import BaseNode

__all__ = ["BYTES", "FAST", "VISITS", "KeptValue", "KeptVisit", "VisitValues", "note_try"]

#: visits of one node that a run keeps, and visits of all runs of the process
VISITS, _ALL = 200, 20_000
#: estimated bytes of kept values in the process
BYTES = 64 * 1024 * 1024
#: ns a visit of a node takes on average, below which no more than its first `VISITS` are kept
FAST = 1_000_000
#: estimated bytes of work for the copy of one value: some 0.2 ms; tries of a node's values that are not given up at once
_WORK, _PATIENCE = 32 * 1024, 3
#: estimated bytes of an array, table or picture that is kept alive for a look; of a larger one only as long as others keep it
_BULK = 1024 * 1024
#: parts of a tuple, list or dict that are looked at for arrays, tables and pictures
_PARTS = 16
#: estimated bytes of a visit without its values, and of one cell of a table
_VISIT, _CELL = 400, 64


class _VisitingFrame(Protocol):
    """What a visit needs of the cursor of its walk, a `Frame`."""

    node: BaseNode | None
    kept: KeptVisit | None

    @property
    def step(self) -> bool: ...
    @property
    def parent(self) -> _VisitingFrame | None: ...
    def path(self, node: BaseNode | None) -> str: ...


class KeptValue:
    """One value of a visit.

    Parameters
    ----------
    copy : object
        The value frozen; None with `live` for one that could not be copied.
    live : object
        What could not be copied.
    held : dict of int to (object or weakref)
        By `id`, the arrays, tables and pictures in it that are still to be had.
    weight : int
        Estimated bytes that only this keeps.
    """

    __slots__ = ("copy", "held", "label", "live", "weight")

    def __init__(self, copy: object, live: object = MISSING, held: dict[int, Any] | None = None, weight: int = 0, label: str = "") -> None:
        self.copy, self.live, self.held, self.weight, self.label = copy, live, held or {}, weight, label

    @property
    def is_live(self) -> bool:
        """Whether it could not be copied and is the user's own object."""
        return self.live is not MISSING

    def drop(self) -> None:
        """Let go of the value; its class stays known."""
        self.copy, self.live, self.held, self.weight = MISSING, MISSING, {}, 0

    def read(self, part: object = MISSING) -> tuple[object, str]:
        """The value, or a part of it that could not be copied, and how it stands.

        Parameters
        ----------
        part : Opaque, optional
            A part of the frozen value.

        Returns
        -------
        object, str
            ``""``: as it was; ``"now"``: as it is now, which may differ; ``"changed"``: changed in place since then; ``"gone"``: not kept
            any more, the value is its description.
        """
        if self.is_live:
            return self.live, "now"
        frozen = self.copy if part is MISSING else part
        if frozen is MISSING:
            return self.label, "gone"
        if not isinstance(frozen, Opaque):
            return frozen, ""
        held = self.held.get(frozen.ident)
        found = held() if isinstance(held, weakref.ref) else held
        if found is None:
            return frozen, "" if frozen.fields is not None else "gone"
        try:
            is_same = Freezer(_WORK + SEEN).freeze(found, frozen) is frozen
        except Exception:  # too large to be compared, or of a class of the user's that raises
            return found, "now"
        return found, "changed" if not is_same else "" if frozen.digest or frozen.fields is not None else "now"


class KeptVisit:
    """One visit: what `prep` and `exec` gave, the tries that failed, and the error that ended it.

    Attributes
    ----------
    began : int
        Monotonic ns; the start in the visit's record.
    prep, result : KeptValue or None
        None: that step was not finished.
    tries : list of (int, str, str, int)
        Of each failed try its number from 0, the error, the user's line and the monotonic ns.
    """

    __slots__ = ("__weakref__", "_entry", "_node", "began", "error", "frame", "node", "prep", "result", "tries")

    def __init__(self, frame: _VisitingFrame, node: BaseNode, began: int, of: _NodeVisits) -> None:
        self.frame, self.node, self.began, self._node = frame, node, began, of
        self.prep: KeptValue | None = None
        self.result: KeptValue | None = None
        self.error: BaseException | None = None
        self.tries: list[tuple[int, str, str, int]] = []
        self._entry = _bounds.enter(self)

    def prepared(self, value: object) -> None:
        """`prep` gave `value`."""
        self.prep = self._kept(value, 0)

    def gave(self, value: object) -> None:
        """`exec` gave `value`, after its tries and its fallback."""
        self._node.busy += now() - self.began
        self.result = self._kept(value, 1)

    def drop(self) -> None:
        """Let go of its values: others need the room."""
        for value in (self.prep, self.result):
            if value is not None:
                value.drop()

    def _kept(self, value: object, which: int) -> KeptValue:
        of = self._node
        before = of.last[which]
        kept = of.last[which] = _keep(value, before, of.refused[which] < _PATIENCE)
        if kept.is_live:
            of.refused[which] += 1
        if before is not None and before.is_live:
            before.drop()
        _bounds.spend(self._entry, kept.weight)
        return kept


class _NodeVisits:
    """The kept visits of one node."""

    __slots__ = ("busy", "count", "is_over", "last", "refused", "visits")

    def __init__(self) -> None:
        self.visits: deque[KeptVisit] = deque(maxlen=VISITS)
        self.count = self.busy = 0
        self.is_over = False
        self.last: list[KeptValue | None] = [None, None]  # of prep and exec
        self.refused = [0, 0]  # values that could not be copied


class VisitValues:
    """The kept visits of one run."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes: dict[BaseNode, _NodeVisits] = {}

    def wants(self, node: BaseNode) -> bool:
        """Whether visits of `node` are kept from now on."""
        known = self._nodes.get(node)
        return known is None or not known.is_over

    def begin(self, frame: _VisitingFrame, began: int) -> KeptVisit | None:
        """The visit of the current node of `frame` that began at `began`; None when it is not kept."""
        node = frame.node
        assert node is not None  # it is in flight
        known = self._nodes.get(node)
        if known is None:
            known = self._nodes[node] = _NodeVisits()
        if known.count >= VISITS and known.busy < known.count * FAST:
            known.is_over = True
            frame.kept = None
            return None
        known.count += 1
        kept = frame.kept = KeptVisit(frame, node, began, known)
        known.visits.append(kept)
        return kept

    def of(self, path: str, began: int) -> KeptVisit | None:
        """The kept visit of the node at the graph path `path` that began then."""
        for kept in self:
            if kept.began == began and kept.frame.path(kept.node) == path:
                return kept
        return None

    def is_over(self, path: str) -> bool:
        """Whether of the node at `path` only the first visits are kept, since they take so little."""
        return any(known.is_over and known.visits and known.visits[0].frame.path(node) == path for node, known in list(self._nodes.items()))

    def __iter__(self) -> Iterator[KeptVisit]:
        return (kept for known in list(self._nodes.values()) for kept in list(known.visits))


def note_try(frame: _VisitingFrame | None, number: int, error: BaseException) -> None:
    """Note that a try of the current step of `frame` failed, with the user's line."""
    walk: _VisitingFrame | None = frame
    while walk is not None and walk.step:
        walk = walk.parent
    if walk is not None and walk.kept is not None and len(walk.kept.tries) < VISITS:
        walk.kept.tries.append((number, format_error(error)[:600], last_user_line(error.__traceback__), now()))


class _Bounds:
    """The bound of all that is kept in the process: the oldest visits let go of their values first."""

    def __init__(self) -> None:
        self._entries: deque[list[Any]] = deque()  # a weak reference to a visit, and its weight
        self._total = 0
        self._lock = Lock()

    def enter(self, kept: KeptVisit) -> list[Any]:
        """The entry of a visit that begins."""
        entry = [weakref.ref(kept), 0]
        self._entries.append(entry)
        self.spend(entry, _VISIT)
        return entry

    def spend(self, entry: list[Any], weight: int) -> None:
        """Count what a visit keeps, and make room."""
        with self._lock:
            entry[1] += weight
            self._total += weight
            while self._total > BYTES or len(self._entries) > _ALL:
                oldest = self._entries.popleft()
                self._total -= oldest[1]
                oldest[1] = 0
                if (kept := oldest[0]()) is not None:
                    kept.drop()


_bounds = _Bounds()


def _keep(value: Any, before: KeptValue | None, is_tried: bool) -> KeptValue:
    """`value`, frozen beside the one before it, with which it shares what is the same."""
    cls = value.__class__
    if cls in PLAIN:
        return KeptValue(value, weight=len(value) if cls is str or cls is bytes else 0, label=_label(value))
    if not is_tried:
        return KeptValue(None, value, label=_label(value))
    freezer = Freezer(_WORK + SEEN if is_shaped(cls) else _WORK)
    try:
        copy = freezer.freeze(value, MISSING if before is None or before.is_live else before.copy)
    except Exception:  # too large, changed by another thread meanwhile, or of a class of the user's that raises
        return KeptValue(None, value, label=_label(value))
    held = {id(part): found for part in _opaque(value, copy) if (found := _hold(part)) is not None}
    weight = freezer.fresh + sum(_bulk(part) for part in held.values() if not isinstance(part, weakref.ref))
    return KeptValue(copy, held=held, weight=weight, label=_label(value))


def _opaque(value: Any, copy: object) -> list[object]:
    """What could not be copied of a value: itself, or some of its parts."""
    if isinstance(copy, Opaque):
        return [value]
    if not isinstance(copy, (FrozenList, FrozenDict)) or copy.count > _PARTS or copy.cls not in (list, tuple, dict):
        return []
    try:
        return [value[key] for key, part in copy.children() if isinstance(part, Opaque) and not isinstance(key, Frozen)]
    except LookupError:  # another thread writes to it
        return []


def _hold(part: object) -> object:
    """`part` itself where it is a small array, table or picture; else a weak reference to it, if there can be one."""
    if 0 < _bulk(part) <= _BULK:
        return part
    try:
        return weakref.ref(part)
    except TypeError:
        return None


def _bulk(part: Any) -> int:
    """Estimated bytes of an array, a table or a picture; 0 for anything else."""
    cls = part.__class__
    library = (cls.__module__ or "").partition(".")[0]
    try:
        if library == "PIL":
            return 4 * int(prod(part.size))
        if not is_shaped(cls):
            return 0
        size = getattr(part, "nbytes", None) if library == "numpy" else None
        return int(size) if isinstance(size, int) else _CELL * max(int(prod(part.shape)), 1)
    except Exception:  # what has no shape, or one that is not known yet
        return 0


def _label(value: Any) -> str:
    """The class of a value, and its length where that is known without its own code."""
    cls = value.__class__
    return f"{cls.__name__} {len(value):,}" if cls in (str, bytes, list, tuple, dict, set, frozenset) else str(cls.__name__)
