"""Makes objects of users' classes from stored attributes without running any code of the class.

What may run is what Python, `dataclasses`, `enum`, `typing.NamedTuple` and pydantic write themselves: a frozen dataclass hashes by its
fields. A default factory, ``__setstate__``, ``_missing_``, a descriptor, or a hash of the user's own is code that a file must not start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from pocketflex_nb.core.errors import DecodingError

__all__ = ["NOWHERE", "check_hashable", "factory_made", "made_of", "static"]

NOWHERE: Any = object()
_SLOTS = (MemberDescriptorType, GetSetDescriptorType)
_PLAIN = frozenset({str, int, float, bool, bytes, type(None), complex})
#: libraries whose own hashes and comparisons may run
_TRUSTED = frozenset({"pocketflex_nb", "pydantic", "numpy", "pandas"})
_FACTORIES = frozenset({list, dict, set, frozenset, tuple, str, int, float, bool, bytes, bytearray})


def static(cls: type, name: str, default: Any = NOWHERE) -> Any:
    """What stands under `name` in the dict of `cls` or of a class above it; no ``__getattr__`` and no descriptor is asked."""
    for one in type.__dict__["__mro__"].__get__(cls):
        found = type.__dict__["__dict__"].__get__(one).get(name, NOWHERE)
        if found is not NOWHERE:
            return found
    return default


def factory_made(factory: Any, what: str) -> Any:
    """What a default factory makes, if it is a built-in class.

    Raises
    ------
    DecodingError
        It is code of the user's.
    """
    if type(factory) is type and factory in _FACTORIES:
        return factory()
    raise DecodingError(f"{what} is lacking in what was written, and its default is made by code, which is not run by reading")


def made_of(cls: type, fields: dict[str, Any]) -> Any:
    """An object of `cls` with these attributes: no ``__init__``, no ``__new__`` and no descriptor of it runs.

    Raises
    ------
    DecodingError
        Setting one of them would run code of the class.
    """
    made: Any = object.__new__(cls)
    for name, value in fields.items():
        found = static(cls, name, None)
        if not isinstance(found, _SLOTS) and static(type(found), "__set__", None) is not None:
            raise DecodingError(f"{cls.__qualname__}.{name} is a descriptor, whose code is not run by reading")
        object.__setattr__(made, name, value)
    return made


def check_hashable(values: Iterable[Any]) -> None:
    """See that no code of a user's runs when these become keys of a dict or members of a set.

    Raises
    ------
    DecodingError
        A hash or a comparison of the user's own would be asked.
    """
    stack = [value for value in values if type(value) not in _PLAIN]
    while stack:
        value = stack.pop()
        cls = type(value)
        for name in ("__hash__", "__eq__", "__getattribute__"):
            if not _is_known(static(cls, name, None)):
                raise DecodingError(f"{cls.__qualname__} has a {name} of its own, which is not run by reading")
        if issubclass(cls, tuple):
            stack += [item for item in tuple.__iter__(value) if type(item) not in _PLAIN]
        elif issubclass(cls, frozenset):
            stack += [item for item in frozenset.__iter__(value) if type(item) not in _PLAIN]
        elif static(cls, "__dataclass_fields__", None) is not None:
            parts = (_part(value, name) for name in static(cls, "__dataclass_fields__"))
            stack += [part for part in parts if type(part) not in _PLAIN]


def _part(value: Any, name: str) -> Any:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return None


def _is_known(found: Any) -> bool:
    """Whether a special method is Python's, a library's, or one that a decorator of the standard library wrote."""
    if not isinstance(found, FunctionType):
        return type(found).__module__ in ("builtins", "types") or found is None
    if found.__code__.co_filename == "<string>":
        return True
    home = (found.__globals__.get("__name__") or "").partition(".")[0]
    return home in _TRUSTED or (home in sys.stdlib_module_names and home != "__main__")
