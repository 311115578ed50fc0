"""How is a value told in a few words? A bounded text of anything, which never raises and holds no address of memory.

A store may hold anything: objects whose `repr` raises, takes a second, asks a database, or is ten megabytes long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from types import MethodType
from typing import Any

from pocketflex_nb.core.foreign_repr import repr_of

__all__ = ["cut", "has_repr_of", "is_shaped", "listed", "mapped", "preview", "shape_of"]

#: rooms of arrays and tables: told by their shape, since their `repr` costs milliseconds
_SHAPED = frozenset({
    "cudf", "cupy", "dask", "jax", "jaxlib", "numpy", "pandas", "polars", "pyarrow", "scipy", "tensorflow", "torch", "xarray",
})
_ADDRESS = re.compile(r" (?:object )?at 0x[0-9a-fA-F]+")
_BRACKETS: dict[Any, str] = {list: "[]", tuple: "()", set: "{}"}
_WIDE, _DEEP = 6, 3


def preview(value: Any, limit: int = 120) -> str:
    """A short text of `value`.

    Parameters
    ----------
    value : object
        Anything.
    limit : int
        Characters at most; what is longer ends with ``…``.

    Returns
    -------
    str
        Like `repr` for what is small and plain; a table or array by its shape; an object by its `repr` without addresses, or by
        the name of its class when that raises or is slow.

    Examples
    --------
    >>> preview({"notes": ["a", "b"], "n": 3})
    "{'notes': ['a', 'b'], 'n': 3}"
    """
    try:
        return cut(_told(value, limit, _DEEP), limit)
    except Exception as exc:  # a class may lie about anything, its length included
        return f"<{_name(value)}: cannot be shown, {type(exc).__name__}>"


def cut(text: str, limit: int) -> str:
    """`text`, or its beginning with an ellipsis."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def _name(value: Any) -> str:
    return str(type(value).__name__)


def _told(value: Any, limit: int, deep: int) -> str:
    cls = value.__class__
    if cls is str or cls is bytes:
        return repr(value) if len(value) <= limit else repr(value[:limit])[:-1] + "…"
    if cls is int and value.bit_length() > 512:
        return f"<int of {value.bit_length()} bits>"
    if cls in (int, float, bool, complex, type(None)):
        return repr(value)
    if cls in _BRACKETS:
        return listed(cls, value, len(value), limit, deep)
    if cls is dict:
        return mapped("", value.items(), len(value), limit, deep)
    if cls is bytearray:
        return f"bytearray({_told(bytes(value[: limit + 1]), limit, deep)})"
    told = getattr(cls, "__pfx_preview__", None)
    return str(told(value, limit, deep)) if told is not None else _foreign(value, limit)


def listed(cls: type, items: Iterable[Any], count: int, limit: int, deep: int) -> str:
    """The text of a sequence or set of `count` items, `deep` levels of which may be told."""
    if not deep:
        return f"<{cls.__name__} of {count}>"
    if not count and cls is set:
        return "set()"
    inner = _joined([_told(item, limit, deep - 1) for item in islice(items, _WIDE)], count)
    brackets = _BRACKETS.get(cls)
    if brackets is None:
        return f"{cls.__name__}([{inner}])"
    return f"{brackets[0]}{inner}{',' if count == 1 and cls is tuple else ''}{brackets[1]}"


def mapped(name: str, pairs: Iterable[tuple[Any, Any]], count: int, limit: int, deep: int) -> str:
    """The text of a mapping of `count` pairs, called `name` unless it is a plain dict."""
    if not deep:
        return f"<{name or 'dict'} of {count}>"
    inner = [f"{_told(key, limit, deep - 1)}: {_told(value, limit, deep - 1)}" for key, value in islice(pairs, _WIDE)]
    braced = "{" + _joined(inner, count) + "}"
    return f"{name}({braced})" if name else braced


def _joined(parts: list[str], count: int) -> str:
    return ", ".join([*parts, f"… {count - len(parts)} more"] if count > len(parts) else parts)


def _foreign(value: Any, limit: int) -> str:
    cls = type(value)
    if is_shaped(cls) and (shape := shape_of(value)):
        return shape
    if cls is MethodType:
        return f"<bound method {value.__func__.__qualname__}>"
    if isinstance(value, BaseException) and has_repr_of(cls, BaseException):
        return f"{_name(value)}({_joined([_told(arg, limit, 1) for arg in islice(value.args, _WIDE)], len(value.args))})"
    text = repr_of(value)
    return f"<{_name(value)}>" if text is None else _ADDRESS.sub("", text[: 4 * limit])


def has_repr_of(cls: type, base: type) -> bool:
    """Whether `cls` takes its `repr` from `base`."""
    return getattr(cls, "__repr__", None) is base.__repr__


def is_shaped(cls: type) -> bool:
    """Whether `cls` comes from a library of arrays and tables."""
    return (cls.__module__ or "").partition(".")[0] in _SHAPED


def shape_of(value: Any) -> str:
    """An array or table by its shape; ``""`` when it has none."""
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or not shape:
        return ""
    dtype = getattr(value, "dtype", None)
    return f"<{_name(value)} {'x'.join(str(side) for side in shape)}{f' {dtype}' if dtype is not None else ''}>"
