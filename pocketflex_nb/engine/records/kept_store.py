"""The options of a journalled run's store: written into its header, and given to the store with which it goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.errors import JournalError
from pocketflex_nb.core.store.store import Store

__all__ = ["store_again", "store_data"]


def store_data(store: Store) -> dict[str, Any]:
    """What is not as in any store, as JSON: merge rules by the names of functions, the policy at conflicts, the length of the history."""
    options, usual = store._options(), Store()._options()
    data: dict[str, Any] = {name: options[name] for name in ("on_conflict", "history") if options[name] != usual[name]}
    if options["merge"]:
        data["merge"] = [[json.loads(encode(key)), _name_of(rule)] for key, rule in options["merge"].items()]
    return data


def store_again(
    data: Mapping[str, Any], content: Mapping[Any, Any], provide: Mapping[Any, Any], transient: frozenset[Any], what: str
) -> Store:
    """A store with the options of `data`, and those of `provide` where that is a store.

    Parameters
    ----------
    what : str
        The run, for messages.

    Raises
    ------
    JournalError
        A merge rule is not known here.
    """
    given = provide._options()["merge"] or {} if isinstance(provide, Store) else {}
    merge: dict[Any, Callable[..., object]] = {}
    for written, name in data.get("merge", ()):
        key = decode(json.dumps(written))
        rule = given.get(key) or _found(name)
        if rule is None:
            raise JournalError(
                f"{what} merges {key!r} of its store by a function that is not known here ({name or 'one without a name'}); "
                f"give it: resume(..., provide=Store(merge={{{key!r}: ...}}))"
            )
        merge[key] = rule
    own = {name: data[name] for name in ("on_conflict", "history") if name in data}
    return Store({**content, **provide}, transient=transient, merge={**merge, **given} or None, **own)


def _name_of(rule: Callable[..., object]) -> str:
    """Module and name of a function; ``""`` for one that no name leads to."""
    name = f"{getattr(rule, '__module__', '')}:{getattr(rule, '__qualname__', '')}"
    return name if _found(name) is rule else ""


def _found(name: str) -> Any:
    """The function of that name, if its module is loaded; nothing is imported."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found if callable(found) else None
