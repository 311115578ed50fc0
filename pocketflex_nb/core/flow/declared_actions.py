"""The actions that a node declares by the return annotation of its `post`, and the entries of a list of actions.

``-> Literal["ok", "retry"]``, ``-> Way`` for an enum of strings, ``-> None``, lists of them or of pairs with params
(``-> list[tuple[Literal["each"], dict]]``), and unions of all these say exactly what may be returned; anything else (``-> str``, no
annotation, one that cannot be evaluated) says nothing.
"""

from __future__ import annotations

import enum
import functools
import inspect
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["declared_actions", "listed_actions", "pair_of"]

_UNIONS = (typing.Union, types.UnionType)
_LISTS = (list, tuple, Sequence, Iterable)


def pair_of(entry: object) -> tuple[object, Mapping[str, object] | None] | None:
    """One entry of a list of actions as (action, its own params or None); None when it is not an entry."""
    if entry is None or isinstance(entry, str):
        return entry, None
    if isinstance(entry, (list, tuple)) and len(entry) == 2:
        action, params = entry
        if (action is None or isinstance(action, str)) and isinstance(params, Mapping):
            return action, params
    return None


def listed_actions(node: object) -> list[str | None]:
    """The actions that `node` declares inside of lists; empty where it declares none."""
    step = _step(node)
    return [] if step is None else _in_lists(_annotation(step))


def declared_actions(node: object) -> list[str | None] | None:
    """The actions that `node` declares, in order, or None where it declares none.

    A None among them says that `post` may return None (or ``""``): the default arrow where there is one, else the end.
    """
    step = _step(node)
    if step is None:
        return None
    actions = _read(_annotation(step))
    return None if actions is None else list(dict.fromkeys(a or None for a in actions))


def _step(node: object) -> object:
    """The function that returns the node's action."""
    function = node.__dict__.get("_pfx_fn")
    if function is not None:
        return function
    cls = type(node)
    name = "post_async" if getattr(cls, "_pfx_legacy_async", False) and hasattr(cls, "post_async") else "post"
    return getattr(node, name, None)


def _annotation(step: object) -> object:
    """The return annotation of a function, evaluated; `inspect.Signature.empty` where there is none."""
    while isinstance(step, functools.partial):
        step = step.func
    if not callable(step):
        return inspect.Signature.empty
    function = inspect.unwrap(getattr(step, "__func__", step))
    try:
        found = inspect.get_annotations(function).get("return", inspect.Signature.empty)
        for _ in range(3):  # a quoted annotation below `from __future__ import annotations` is text twice over
            found = _evaluated(found, function) if isinstance(found, str) else found
        return found
    except Exception:  # the user's annotation is evaluated here: whatever it raises, it declares nothing
        return inspect.Signature.empty


def _evaluated(text: str, function: object) -> object:
    module = sys.modules.get(getattr(function, "__module__", ""))
    names: dict[str, object] = {**vars(typing), **(vars(module) if module else {}), **getattr(function, "__globals__", {})}
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False):
        names[name] = cell.cell_contents
    return eval(text, names)


def _read(annotation: object) -> list[str | None] | None:
    if annotation is None or annotation is type(None):
        return [None]
    if isinstance(annotation, str):
        return None
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _read(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return _values(typing.get_args(annotation))
    if origin in _LISTS:
        return _read_entries(typing.get_args(annotation))
    if origin in _UNIONS:
        parts = [_read(part) for part in typing.get_args(annotation)]
        return None if None in parts else [a for part in parts for a in part or ()]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum) and issubclass(annotation, str):
        return [str(member.value) for member in annotation]
    if hasattr(annotation, "__value__"):  # `type Way = Literal[...]`
        return _read(annotation.__value__)
    return None


def _read_entries(entries: tuple[object, ...]) -> list[str | None] | None:
    """The actions of a list's or tuple's own annotations: of actions, or of pairs (action, params)."""
    found: list[str | None] = []
    for entry in entries:
        args = typing.get_args(entry)
        is_pair = typing.get_origin(entry) is tuple and len(args) == 2
        part = [] if entry is Ellipsis else _read(args[0] if is_pair else entry)
        if part is None:
            return None
        found += part
    return found or None


def _in_lists(annotation: object) -> list[str | None]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _in_lists(typing.get_args(annotation)[0])
    if origin in _UNIONS:
        return [action for part in typing.get_args(annotation) for action in _in_lists(part)]
    return (_read(annotation) or []) if origin in _LISTS else []


def _values(values: tuple[object, ...]) -> list[str | None] | None:
    found: list[str | None] = []
    for value in values:
        if value is None:
            found.append(None)
        elif isinstance(value, str):
            found.append(str(value.value) if isinstance(value, enum.Enum) else value)
        else:
            return None
    return found
