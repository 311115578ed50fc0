"""Short texts of arbitrary values: bounded, never raising, and without memory addresses.

A store may contain anything: objects whose `repr` raises, takes a second, queries a database, or is ten megabytes long.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from itertools import islice
from types import MethodType
from typing import Any

from pocketflex_nb.core.safe_repr import repr_of

__all__ = [
    "Teller",
    "class_name",
    "cut_text",
    "has_repr_of",
    "is_shaped",
    "listed",
    "mapped",
    "path_text",
    "shape_of",
    "stop_goes_on",
    "value_text",
]

#: libraries of arrays and tables: shown by their shape, since their `repr` costs milliseconds
_SHAPED = frozenset({
    "cudf", "cupy", "dask", "jax", "jaxlib", "numpy", "pandas", "polars", "pyarrow", "scipy", "tensorflow", "torch", "xarray",
})
_ADDRESS = re.compile(r" (?:object )?at 0x[0-9a-fA-F]+")
_BRACKETS: dict[object, str] = {list: "[]", tuple: "()", set: "{}"}
_WIDE, _DEEP = 6, 3
#: characters of what an object says of itself that are looked at
_SPOKEN = 20_000


def value_text(value: object, limit: int = 120) -> str:
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
    >>> value_text({"notes": ["a", "b"], "n": 3})
    "{'notes': ['a', 'b'], 'n': 3}"
    """
    return Teller(limit).line(value)


def cut_text(text: str, limit: int) -> str:
    """`text`, or its beginning with an ellipsis."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def listed(cls: type, items: Iterable[object], count: int, limit: int, deep: int) -> str:
    """The text of a sequence or set of `count` items, with at most `deep` levels shown."""
    return Teller(limit).listed(cls, items, count, deep)


def mapped(name: str, pairs: Iterable[tuple[object, object]], count: int, limit: int, deep: int) -> str:
    """The text of a mapping of `count` pairs, named `name` unless it is a plain dict."""
    return Teller(limit).mapped(name, pairs, count, deep)


def class_name(value: object) -> str:
    """The name of the class of `value`, whatever its metaclass answers."""
    name = type.__dict__["__name__"].__get__(type(value))
    return str(name)


def stop_goes_on(error: BaseException) -> None:
    """Re-raise `error` when it comes from the stop button, which reaches the main thread only; otherwise it comes from the value."""
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise error


class Teller:
    """Makes the short text of one value. Subclasses may hide parts, or change how texts are shown.

    Parameters
    ----------
    limit : int
        Characters of the whole text at most.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def line(self, value: object) -> str:
        """The text of `value`; never raises."""
        try:
            return cut_text(self.told(value, _DEEP), self.limit)
        except BaseException as exc:  # a class may lie about anything, its length included
            stop_goes_on(exc)
            return f"<{class_name(value)}: cannot be shown, {type(exc).__name__}>"

    def told(self, value: Any, deep: int) -> str:
        """The text of a value, with at most `deep` levels shown."""
        cls = value.__class__
        if cls is str or cls is bytes:
            return self.quoted(value)
        if cls is int and value.bit_length() > 512:
            return f"<int of {value.bit_length()} bits>"
        if cls in (int, float, bool, complex, type(None)):
            return repr(value)
        if cls in _BRACKETS:
            return self.listed(cls, value, len(value), deep)
        if cls is dict:
            return self.mapped("", value.items(), len(value), deep)
        if cls is bytearray:
            return f"bytearray({self.told(bytes(value[: self.limit + 1]), deep)})"
        told = getattr(cls, "__pfx_preview__", None)
        return str(told(value, self.limit, deep)) if told is not None else self.foreign(value)

    def foreign(self, value: object) -> str:
        """The text of a value of another class."""
        cls = type(value)
        if is_shaped(cls) and (shape := shape_of(value)):
            return shape
        if isinstance(value, MethodType):
            return f"<bound method {value.__func__.__qualname__}>"
        if isinstance(value, BaseException) and has_repr_of(cls, BaseException):
            return f"{class_name(value)}({_joined(self.items(list(islice(value.args, _WIDE)), 1), len(value.args))})"
        text = repr_of(value)
        return f"<{class_name(value)}>" if text is None else self.spoken(_ADDRESS.sub("", text[:_SPOKEN]))

    def quoted(self, text: str | bytes) -> str:
        """A text in quotes."""
        return repr(text) if len(text) <= self.limit else repr(text[: self.limit])[:-1] + "…"

    def spoken(self, text: str) -> str:
        """The text that an object gave of itself, cut."""
        return text[: 4 * self.limit]

    def listed(self, cls: type, items: Iterable[object], count: int, deep: int) -> str:
        """The text of a sequence or set of `count` items."""
        if not deep:
            return f"<{cls.__name__} of {count}>"
        if not count and cls is set:
            return "set()"
        inner = _joined(self.items(list(islice(items, _WIDE)), deep - 1), count)
        brackets = _BRACKETS.get(cls)
        if brackets is None:
            return f"{cls.__name__}([{inner}])"
        return f"{brackets[0]}{inner}{',' if count == 1 and cls is tuple else ''}{brackets[1]}"

    def items(self, items: list[object], deep: int) -> list[str]:
        """The texts of the first items of one sequence."""
        return [self.told(item, deep) for item in items]

    def mapped(self, name: str, pairs: Iterable[tuple[object, object]], count: int, deep: int) -> str:
        """The text of a mapping of `count` pairs, named `name` unless it is a plain dict."""
        if not deep:
            return f"<{name or 'dict'} of {count}>"
        inner = [f"{key}: {value}" for key, value in self.pairs(list(islice(pairs, _WIDE)), deep - 1)]
        braced = "{" + _joined(inner, count) + "}"
        return f"{name}({braced})" if name else braced

    def pairs(self, pairs: list[tuple[object, object]], deep: int) -> list[tuple[str, str]]:
        """The texts of the first keys and values of one mapping."""
        return [(self.told(key, deep), self.told(value, deep)) for key, value in pairs]


def _joined(parts: list[str], count: int) -> str:
    return ", ".join([*parts, f"… {count - len(parts)} more"] if count > len(parts) else parts)


def has_repr_of(cls: type, base: type) -> bool:
    """Whether `cls` takes its `repr` from `base`."""
    return getattr(cls, "__repr__", None) is base.__repr__


def is_shaped(cls: type) -> bool:
    """Whether `cls` comes from a library of arrays and tables."""
    return (cls.__module__ or "").partition(".")[0] in _SHAPED


def shape_of(value: object) -> str:
    """An array or table by its shape; ``""`` when it has none."""
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or not shape:
        return ""
    dtype = getattr(value, "dtype", None)
    return f"<{class_name(value)} {'x'.join(str(side) for side in shape)}{f' {dtype}' if dtype is not None else ''}>"


def path_text(path: tuple[object, ...]) -> str:
    """A path as one types it: ``notes[2].title``, with quotes where a key is not a name."""
    text = ""
    for part in path:
        if isinstance(part, str) and part.isidentifier():
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]" if text or not isinstance(part, str) else repr(part)
    return text
