"""`compare`: two runs beside each other, step by step, with the first difference marked, and how their stores differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pocketflex_nb.core import ports
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.frozen.diff import Difference, compare_values
from pocketflex_nb.core.frozen.freezer import freeze
from pocketflex_nb.core.frozen.frozen_tree import MISSING, equal
from pocketflex_nb.core.self_display import SelfDisplay
from pocketflex_nb.core.units import count_text

__all__ = ["ComparedRun", "ComparedStep", "Comparison", "StepPair", "compare"]

#: differences of two stores that are listed
_DIFFERENCES = 1_000


class _Run(Protocol):
    """What is read of a run."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def store(self) -> Any: ...
    @property
    def events(self) -> Sequence[Event]: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class ComparedStep:
    """One finished step of a run.

    Attributes
    ----------
    number : int
        Of the step in its run, from 1.
    address, node : str
        Where it stands, and its graph path.
    action : str
        What `post` returned; ``""`` when it failed.
    error : str
        What it failed with.
    seconds : float
        How long it took.
    origin : str
        ``"cached"`` or ``"taped"`` when its results were taken from there.
    changes : dict
        (Address of the store, key) to the value that the step left there, frozen; `MISSING` for a key that it removed.
    """

    number: int
    address: str
    node: str
    action: str
    error: str
    seconds: float
    origin: str
    changes: Mapping[tuple[str, Any], Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepPair:
    """A step of one run beside the step at the same address of the other.

    Attributes
    ----------
    a, b : ComparedStep or None
        None where that run has no such step.
    differs : tuple of str
        In what: ``"action"``, ``"error"``, ``"store"``, or ``"only a"`` or ``"only b"``; empty when they are alike. Times are no
        difference.
    """

    a: ComparedStep | None
    b: ComparedStep | None
    differs: tuple[str, ...]

    @property
    def step(self) -> ComparedStep:
        """Either of them."""
        found = self.a or self.b
        assert found is not None
        return found

    def changes(self) -> list[dict[str, Any]]:
        """How what the second left in the stores differs from what the first did, as changes: key, op, old, new, store."""
        a, b = (self.a.changes if self.a else {}), (self.b.changes if self.b else {})
        found = []
        for place in {**a, **b}:
            old, new = a.get(place, MISSING), b.get(place, MISSING)
            if not equal(old, new):
                found.append({"store": place[0], "key": place[1], "op": "delete" if new is MISSING else "set", "old": old, "new": new})
        return found


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """What a comparison tells of one of its runs: name, status, steps, duration in seconds, tokens and cost, and its error."""

    name: str
    status: str
    steps: int
    seconds: float
    tokens: float
    cost: float
    error: str


@dataclass(frozen=True)
class Comparison(SelfDisplay):
    """Two runs beside each other; in a notebook as a table, as text by ``print``.

    Attributes
    ----------
    a, b : ComparedRun
        The two.
    steps : list of StepPair
        In the order of the first; what only the second has stands behind the step that it came after there.
    first : int or None
        Number in `steps` of the first pair that differs; None: their steps are alike.
    store : list of Difference
        How the second one's store differs from the first one's at their ends, 1 000 at most.
    """

    a: ComparedRun
    b: ComparedRun
    steps: list[StepPair]
    first: int | None
    store: list[Difference]

    @property
    def is_same(self) -> bool:
        """Whether they took the same steps to the same store."""
        return self.first is None and not self.store and self.a.status == self.b.status

    def __repr__(self) -> str:
        differ = sum(bool(pair.differs) for pair in self.steps)
        told = [f"{differ} of {count_text(len(self.steps), 'step')} differ" if differ else f"{count_text(len(self.steps), 'step')} alike"]
        if self.first is not None:
            told.append(f"first {self.steps[self.first].step.address}")
        told.append(f"{count_text(len(self.store), 'difference')} of stores" if self.store else "stores alike")
        return f"<Comparison {self.a.name!r} and {self.b.name!r}: {', '.join(told)}>"

    def __str__(self) -> str:
        return str(ports.export(self, "text"))


def compare(a: _Run, b: _Run) -> Comparison:
    """Put two runs beside each other, step by step: live ones, finished ones, or runs of a journal.

    Parameters
    ----------
    a, b : Run
        Steps belong together that stand at the same address.

    Returns
    -------
    Comparison
        Draws itself in a notebook; ``print`` tells it as text.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pocketflex_nb import compare, linear, node
    >>> @node
    ... def draft(shared):
    ...     shared["text"] = f"about {shared['topic']}"
    >>> @node
    ... def review(shared):
    ...     shared["grade"] = len(shared["text"])
    >>> flow = linear(draft, review, name="report")
    >>> run = flow.launch({"topic": "tides"}, name="one", journal=Path(tempfile.mkdtemp()) / "runs.sqlite").wait(10)
    >>> found = compare(run, run.fork(at=1, text="about the tides of the moon", name="two").wait(10))
    >>> found.steps[found.first].step.node
    'review'
    >>> print(found)
    one: done, 2 steps    two: done, 2 steps
    2 steps, 1 different
        = draft#1 → default
    1st ~ review#1 → default
            ~ grade  11 → 27
    stores at the end
            ~ text  'about tides' → 'about the tides of the moon'
            ~ grade  11 → 27
    """
    a, b = ports.engine.whole(a), ports.engine.whole(b)
    one, two = _steps(a.events), _steps(b.events)
    pairs = [_paired(one.get(address), two.get(address)) for address in _merged(list(one), list(two))]
    first = next((number for number, pair in enumerate(pairs) if pair.differs), None)
    return Comparison(_run_of(a, one), _run_of(b, two), pairs, first, compare_values(_content(a), _content(b), limit=_DIFFERENCES))


def _content(run: _Run) -> object:
    store = run.store
    return freeze(dict(store)) if isinstance(store, Mapping) else freeze({})


def _run_of(run: _Run, steps: Mapping[str, object]) -> ComparedRun:
    from pocketflex_nb.core.state import replay

    state = replay(run.events)
    return ComparedRun(run.name, run.status, len(steps), run.seconds, state.tokens, state.cost, state.error)


def _steps(events: Sequence[Event]) -> dict[str, ComparedStep]:
    """The steps by address, in the order of their ends."""
    found: dict[str, ComparedStep] = {}
    changes: dict[str, dict[tuple[str, Any], Any]] = {}
    for event in events:
        if event.kind == "store_changed":
            for change in event["changes"]:
                changes.setdefault(event.address, {})[event.get("store", ""), change["key"]] = change["new"]
        elif event.kind in ("node_finished", "node_failed") and not event.depth:
            origin = next((name for name in ("cached", "taped") if event.get(name)), "")
            action, error = str(event.get("action") or ""), str(event.get("error") or "")
            found.pop(event.address, None)  # a visit that failed, and that another process made again
            found[event.address] = ComparedStep(
                len(found) + 1, event.address, event.node, action, error, event.get("seconds", 0.0), origin, changes.get(event.address, {})
            )
    return found


def _merged(one: list[str], two: list[str]) -> Iterator[str]:
    """The addresses of both, in the order of the first; those of the second alone behind what they follow there."""
    first, told = set(one), set[str]()
    behind: dict[str | None, list[str]] = {}
    last: str | None = None
    for address in two:
        if address in first:
            last = address
        else:
            behind.setdefault(last, []).append(address)
    for place in (None, *one):
        for each in ([] if place is None else [place]) + behind.get(place, []):
            if each not in told:
                told.add(each)
                yield each


def _paired(a: ComparedStep | None, b: ComparedStep | None) -> StepPair:
    if a is None or b is None:
        return StepPair(a, b, ("only b" if a is None else "only a",))
    differs = [name for name in ("action", "error") if getattr(a, name) != getattr(b, name)]
    if any(not equal(a.changes.get(place, MISSING), b.changes.get(place, MISSING)) for place in {**a.changes, **b.changes}):
        differs.append("store")
    return StepPair(a, b, tuple(differs))
