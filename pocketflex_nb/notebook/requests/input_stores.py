"""The stores that runs start with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pocketflex_nb.core.store.store import Store, as_store
from pocketflex_nb.notebook.requests.option_line import ParsedLine
from pocketflex_nb.notebook.requests.option_values import evaluated, pairs
from pocketflex_nb.notebook.requests.run_options import RunOptions
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["seeds", "stored", "stores_of"]


def seeds(options: ParsedLine, names: Mapping[str, Any]) -> dict[str, Any]:
    """The starting store that ``--seed`` gives."""
    store: dict[str, Any] = {}
    for text in options.all("--seed"):
        if text.startswith("@") and "=" not in text.split("[")[0]:
            given = evaluated(text, names, "--seed")
            if not isinstance(given, Mapping):
                raise usage(f"--seed {text}: a mapping is needed, got {type(given).__name__}")
            store.update({key: _copied(value) for key, value in dict(given).items()})
            continue
        for key, value in pairs(text, "--seed"):
            store[key] = evaluated(value, names, f"--seed {key}")
    return store


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # a client or a lock: kept as it is
        return value


def _items(options: ParsedLine, names: Mapping[str, Any]) -> tuple[str | None, list[Any]] | None:
    text = options.one("--each")
    if text is None:
        return None
    key, equals, expression = text.partition("=")
    if not equals or not key.isidentifier():
        key, expression = "", text
    value = evaluated(expression, names, "--each")
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise usage(f"--each {text}: a list is needed, got {type(value).__name__}")
    items = list(value)
    if not items:
        raise usage(f"--each {text}: the list is empty, there is nothing to run")
    return (key or None), items


def stores_of(options: ParsedLine, terms: RunOptions, names: Mapping[str, Any]) -> list[Any]:
    """One starting store per run, from ``--seed``, ``--each`` and ``-n``; with ``--share`` the same one for all."""
    number = terms.number
    if options.has("--share"):
        return [_common(options, names)] * (number or 1)
    base = seeds(options, names)
    each = _items(options, names)
    key, items = each if each is not None else (None, [{}])
    made = []
    for item in items:
        own = dict(item) if key is None and isinstance(item, Mapping) else {key or "item": item}
        agents: list[dict[str, Any]] = [{}] if number is None else [{"agent": k} for k in range(number)]
        made += [{**base, **own, **agent} for agent in agents]
    return made


def _common(options: ParsedLine, names: Mapping[str, Any]) -> Store:
    """The one store of ``--share``: the very one that ``--seed @store`` names, else a new one."""
    given = options.all("--seed")
    if len(given) == 1 and given[0].startswith("@"):
        value = evaluated(given[0], names, "--seed")
        if isinstance(value, Store):
            return value
    return Store(seeds(options, names))


def stored(store: Any, own: Any) -> Store:
    """A store for one run, or the shared one; values of a pair override ``--seed``."""
    if isinstance(store, Store):
        return store
    try:
        return as_store({key: _copied(value) for key, value in store.items()} | dict(as_store({} if own is None else own)))
    except TypeError as exc:
        raise usage(str(exc)) from None
