"""Flows with a private store: which keys they take from the outer store, which they give back, and how those are merged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pocketflex_nb.core.errors import StoreError, nearest
from pocketflex_nb.core.value_text import value_text

__all__ = ["Private", "declared", "names_setting", "names_text", "own", "read_names"]


@dataclass(frozen=True, slots=True)
class Private:
    """The declaration of one flow's private store.

    Attributes
    ----------
    takes : mapping
        Key of the store around to key of the private store.
    gives : mapping
        Key of the private store to key of the store around.
    rules : mapping
        Key of the store around to the rule that what is given back is merged by.
    """

    takes: Mapping[object, object] = field(default_factory=dict)
    gives: Mapping[object, object] = field(default_factory=dict)
    rules: Mapping[object, Callable[..., object]] = field(default_factory=dict)

    def inner_rules(self) -> dict[object, Callable[..., object]]:
        """The same rules by the names in the private store: for parallel writes by its branches."""
        return {inner: self.rules[outer] for inner, outer in self.gives.items() if outer in self.rules}

    def taken(self, shared: Any, params: Mapping[str, object], what: str) -> dict[object, object]:
        """The inputs of the private store: of the item's params, else of `shared`; copied, so that neither changes the other's."""
        if self.takes and not isinstance(shared, Mapping):
            raise TypeError(
                f"{what} takes {names_text(self.takes)} from the enclosing store, which is not a mapping: {value_text(shared, 60)}"
            )
        found = {}
        for outer, inner in self.takes.items():
            source: Mapping[Any, object] = params if outer in params else shared
            if outer not in source:
                known = [key for key in shared if isinstance(key, str)]
                raise StoreError(f"{what} takes {outer!r}, and the enclosing store has no such key{nearest(str(outer), known)}")
            found[inner] = own(source[outer])
        return found

    def given(self, inner: object, store: Mapping[object, object], what: str) -> object:
        """The value of one output."""
        if inner not in store:
            known = [key for key in store if isinstance(key, str)]
            raise StoreError(
                f"{what} gives {inner!r}, and none of its nodes wrote that{nearest(str(inner), known)}; "
                f"write it on every path to an end, with None if there is no value"
            )
        return store[inner]

    def merged(self, outer: object, base: object, theirs: object, mine: object) -> object:
        """The result of the merge rule of `outer` for the present value and the output."""
        rule = self.rules[outer]
        try:
            return rule(base, theirs, mine) if _takes_base(rule) else rule(theirs, mine)
        except Exception as exc:
            exc.add_note(f"raised by the merge rule of output {outer!r}, called with {value_text(theirs)} and {value_text(mine)}")
            raise


def declared(what: str, inputs: object, outputs: object, merge: object) -> Private | None:
    """The declaration that these options make, or None when they make none.

    Raises
    ------
    TypeError
        Something is neither names nor a mapping of names, or a rule cannot be called.
    ValueError
        A rule for what is no output.
    """
    if inputs is None and outputs is None and merge is None:
        return None
    gives = _names(what, "outputs", outputs)
    if merge is not None and not isinstance(merge, Mapping):
        raise TypeError(f"{what}(merge={value_text(merge)}): a mapping of output to rule, such as {{'notes': operator.add}}")
    for key, rule in (merge or {}).items():
        if key not in gives.values():
            raise ValueError(f"{what}(merge=...): {key!r} is not an output{nearest(str(key), map(str, gives.values()))}")
        if not callable(rule):
            raise TypeError(f"{what}(merge={{{key!r}: {value_text(rule)}}}): a rule is a function (theirs, mine) -> value")
    return Private(_names(what, "inputs", inputs), gives, dict(merge or {}))


def _names(what: str, option: str, names: object) -> dict[object, object]:
    if names is None:
        return {}
    if isinstance(names, str):
        return {names: names}
    if isinstance(names, Mapping):
        return dict(names)
    if not isinstance(names, Iterable):
        raise TypeError(f"{what}({option}={value_text(names)}): names of keys are needed, or a mapping from one name to the other")
    return {name: name for name in names}


def names_text(names: Mapping[object, object]) -> str:
    """A declaration as short text: ``topic, style as tone``."""
    return ", ".join(str(source) if source == target else f"{source} as {target}" for source, target in names.items())


def names_setting(names: Mapping[object, object]) -> str:
    """A declaration as a diagram's setting; ``""`` where a key cannot be written there."""
    parts = [str(source) if source == target else f"{source} as {target}" for source, target in names.items()]
    return " & ".join(parts) if read_names(" & ".join(parts)) == dict(names) else ""


def read_names(text: str) -> dict[str, str]:
    """The declaration that a diagram's setting describes: ``"topic & style as tone"``."""
    pairs = [part.split(" as ", 1) for part in map(str.strip, text.split("&")) if part]
    return {source.strip(): target.strip() for source, *rest in pairs for target in (rest or [source])}


def own(value: Any, seen: dict[int, object] | None = None) -> object:
    """`value` with every list, dict and set in it copied; objects of other classes are shared."""
    kind = type(value)
    if kind not in (list, dict, set, tuple):
        return value
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)]
    if kind is set:
        return set(value)
    if kind is tuple:
        return tuple(own(part, seen) for part in value)
    made: Any = kind()
    seen[id(value)] = made
    if kind is dict:
        made.update({key: own(part, seen) for key, part in value.items()})
    else:
        made.extend(own(part, seen) for part in value)
    return made


def _takes_base(rule: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(rule).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return False
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters) == 3
