"""The inputs of runs: the store that each starts with, and the nodes to pause before."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pocketflex_nb.core.store.store import Store, as_store
from pocketflex_nb.notebook.requests.option_line import ParsedLine
from pocketflex_nb.notebook.requests.option_values import evaluated, pairs
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["Inputs", "Item", "read_inputs", "run_items", "stored", "stores_of"]

_T = TypeVar("_T")
#: the key and the value that a run is for; without a key, a mapping of both
Item = tuple[str | None, object]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What ``--seed``, ``--each``, ``--share`` and ``--break`` say, evaluated.

    Attributes
    ----------
    seed : mapping
        What each store starts with.
    items : tuple of mapping
        What the store of each run has besides; one run for each.
    shared : Store or None
        The one store of all runs.
    breaks : mapping of str to object
        Nodes to pause before, by id; with what the name is bound to in the notebook.
    """

    seed: Mapping[object, object] = field(default_factory=dict)
    items: tuple[Mapping[object, object], ...] = ({},)
    shared: Store | None = None
    breaks: Mapping[str, object] = field(default_factory=dict)


def read_inputs(line: ParsedLine, names: Mapping[str, object]) -> Inputs:
    """Evaluate the inputs of a line, once for all its runs: after the body, which may bind names that they use.

    Raises
    ------
    UsageError
        For a name that is not there, and for a value of the wrong type.
    """
    breaks = {node: names.get(node) for node in line.all("--break")}
    given = line.all("--seed")
    if line.has("--share") and len(given) == 1 and given[0].startswith("@"):
        value = evaluated(given[0], names, "--seed")
        if isinstance(value, Store):  # the very one
            return Inputs(shared=value, breaks=breaks)
    seed = _seed(given, names)
    if line.has("--share"):
        return Inputs(shared=Store(seed), breaks=breaks)
    return Inputs(seed, _items(line.one("--each"), names), breaks=breaks)


def _seed(texts: Iterable[str], names: Mapping[str, object]) -> dict[object, object]:
    store: dict[object, object] = {}
    for text in texts:
        if text.startswith("@") and "=" not in text.split("[")[0]:
            given = evaluated(text, names, "--seed")
            if not isinstance(given, Mapping):
                raise usage(f"--seed {text}: a mapping is needed, got {type(given).__name__}")
            store.update({key: _copied(value) for key, value in dict(given).items()})
            continue
        for key, value in pairs(text, "--seed"):
            store[key] = evaluated(value, names, f"--seed {key}")
    return store


def _copied(value: _T) -> _T:
    try:
        return copy.deepcopy(value)
    except Exception:  # a client or a lock: kept as it is
        return value


def _items(text: str | None, names: Mapping[str, object]) -> tuple[Mapping[object, object], ...]:
    if text is None:
        return ({},)
    key, equals, expression = text.partition("=")
    if not equals or not key.isidentifier():
        key, expression = "", text
    value = evaluated(expression, names, "--each")
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise usage(f"--each {text}: a list is needed, got {type(value).__name__}")
    items: list[Mapping[object, object]] = [
        dict(item) if not key and isinstance(item, Mapping) else {key or "item": item} for item in value
    ]
    if not items:
        raise usage(f"--each {text}: the list is empty, there is nothing to run")
    return tuple(items)


def stores_of(inputs: Inputs, number: int | None) -> list[Mapping[object, object]]:
    """One initial store per run; with ``--share`` the same one for all."""
    if inputs.shared is not None:
        return [inputs.shared] * (number or 1)
    agents: list[dict[object, object]] = [{}] if number is None else [{"agent": index} for index in range(number)]
    return [{**inputs.seed, **item, **agent} for item in inputs.items for agent in agents]


def run_items(inputs: Inputs, number: int | None) -> list[Item | None]:
    """Per run of `stores_of`, the key and value of ``--each`` that it is for."""
    if inputs.shared is not None:
        return [None] * (number or 1)
    if inputs.items == ({},):
        return [None] * (1 if number is None else number)
    own = [_item_of(item) for item in inputs.items]
    return [item for item in own for _ in range(1 if number is None else number)]


def _item_of(item: Mapping[object, object]) -> Item:
    if len(item) == 1:
        ((key, value),) = item.items()
        return str(key), value
    return None, item


def stored(store: Mapping[object, object], own: object) -> Store:
    """A store for one run, or the shared one; the values of `own`, of a (flow, store) pair, override ``--seed``."""
    if isinstance(store, Store):
        return store
    try:
        return as_store({key: _copied(value) for key, value in store.items()} | dict(as_store({} if own is None else own)))
    except TypeError as exc:
        raise usage(str(exc)) from None
