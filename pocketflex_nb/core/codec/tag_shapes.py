"""Checks the types of a tagged value's members before an object is made of them.

A reader that got an object where text or a list belongs would call its ``__iter__``, ``__float__`` or ``__fspath__``. Hence the members
of a tag are checked first, by class.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import zoneinfo
from collections.abc import Callable
from typing import Any

from pocketflex_nb.core.errors import DecodingError

__all__ = ["check_foreign", "check_shape", "read_zone"]

_WORDS = frozenset({str, int, float, bool, type(None), bytes})
#: members beside "v" that a tag may have, and their classes
_BESIDE: dict[str, frozenset[type]] = {
    "c": frozenset({str}), "of": frozenset({str, type(None)}), "max": frozenset({int, type(None)}), "flags": frozenset({int}),
    "fold": frozenset({int}), "name": frozenset({str}), "tz": frozenset({type(None), dt.timezone, zoneinfo.ZoneInfo}),
}
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+\-/]{0,79}")
#: libraries, and modules of Python's, whose objects may stand in a value of numpy or pandas
_LIBRARIES = frozenset({"builtins", "numpy", "pandas", "datetime", "zoneinfo", "decimal", "fractions", "uuid", "pathlib", "collections"})


def _items(value: object) -> bool:
    return type(value) is list


def _words(value: object) -> bool:
    return type(value) is list and all(type(item) in _WORDS for item in value)


def _pairs(value: object) -> bool:
    return type(value) is list and all(type(pair) is list and len(pair) == 2 for pair in value)


def _fields(value: object) -> bool:
    return type(value) is dict


def _word(value: object) -> bool:
    return type(value) in _WORDS


_SHAPES: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("tuple", "set", "frozenset", "deque", "slice"), _items),
    **dict.fromkeys(("range", "timedelta", "timezone", "complex", "fraction"), _words),
    **dict.fromkeys(("dict", "ordereddict", "counter", "defaultdict"), _pairs),
    **dict.fromkeys(("dataclass", "namedtuple", "pydantic"), _fields),
}


def check_shape(tag: str, members: dict[str, object]) -> None:
    """Raise unless the members of a tag are of the classes that its reader expects.

    Raises
    ------
    DecodingError
        Something else stands there.
    """
    if "v" in members and not _SHAPES.get(tag, _word)(members["v"]):
        raise DecodingError(f"a value of kind {tag!r} cannot hold a {type(members['v']).__name__}")
    if len(members) > 2:
        for name, member in members.items():
            wanted = _BESIDE.get(name)
            if wanted is not None and type(member) not in wanted:
                raise DecodingError(f"{name!r} of a value of kind {tag!r} cannot be a {type(member).__name__}")


def check_foreign(tag: str, members: dict[str, object]) -> None:
    """The same for a value of numpy, pandas or pydantic.

    Raises
    ------
    DecodingError
        An object of another class stands where the library would ask it for something.
    """
    if tag == "pydantic":
        check_shape(tag, members)
        for name in ("extra", "private"):
            if type(members.get(name, {})) is not dict:
                raise DecodingError(f"{name} of a pydantic model is not a mapping")
        if not _words(members.get("set")):
            raise DecodingError("the names of a pydantic model's fields are not a list of strings")
        return
    if tag in ("ndarray", "npscalar") and members.get("dtype") == "O":  # its items are put there, and asked for nothing
        members = {name: member for name, member in members.items() if name != "v" or type(member) is not list}
    stack: list[Any] = list(members.values())
    while stack:
        member = stack.pop()
        cls = type(member)
        if cls in _WORDS:
            continue
        if cls is list or cls is tuple:
            stack += member
        elif cls is dict:
            stack += member.values()
        elif _library(cls) not in _LIBRARIES:
            raise DecodingError(f"a value of kind {tag!r} cannot hold an object of class {cls.__qualname__}")


def _library(cls: type) -> str:
    module = type.__dict__["__module__"].__get__(cls)
    return module.partition(".")[0] if type(module) is str else ""


def read_zone(key: object) -> object:
    """A time zone that the system knows; ``tzdata`` is imported only where the system has no zones at all.

    Raises
    ------
    DecodingError
        There is none of that name.
    """
    if not isinstance(key, str) or not _ZONE.fullmatch(key) or ".." in key:
        raise DecodingError(f"{str(key)[:80]!r} is not the name of a time zone")
    is_known = any(os.path.isfile(os.path.join(folder, key)) for folder in zoneinfo.TZPATH)
    if not is_known and any(map(os.path.isdir, zoneinfo.TZPATH)):
        raise DecodingError(f"the time zone {key!r} is not known here")
    return zoneinfo.ZoneInfo(key)
