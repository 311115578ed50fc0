"""The text form of keys: equal keys have one text, whichever process writes it."""

from __future__ import annotations

import datetime as dt
import numbers
from typing import Any

from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.codec.tagged_json import Unloaded
from pocketflex_nb.core.errors import EncodingError

__all__ = ["key_text"]

#: characters of a key, as it is kept
_LONGEST = 1_000


def key_text(key: Any) -> str:
    """A key as text: one for ``1``, ``1.0``, ``True`` and an `IntEnum` of 1, one for ``"a"`` and a `StrEnum` of ``"a"``.

    Parameters
    ----------
    key : object
        Hashable, and what :func:`pocketflex_nb.core.codec.encoder.encode` can write; so are the members of tuples and frozensets.

    Raises
    ------
    EncodingError
        It cannot be written, is longer than 1 000 characters as text, or is not equal to itself.

    Examples
    --------
    >>> key_text(("n", True)) == key_text(("n", 1.0))
    True
    >>> key_text(frozenset({"b", "a"}))
    '{"$":"frozenset","v":["a","b"]}'
    """
    text = encode(_plain(key, key), at=(key,))
    if len(text) > _LONGEST and key.__class__ is not Unloaded:  # what is there, however it came there, can be deleted
        raise EncodingError(f"a key of {len(text)} characters; at most {_LONGEST}: keep it shorter, and the text as a value", path=(key,))
    return text


def _plain(part: Any, key: Any) -> Any:
    """The simplest value that is equal to `part`, which is `key` or contained in it."""
    cls = part.__class__
    if cls is str or cls is int:
        return part
    if cls is tuple:
        return tuple(_plain(member, key) for member in part)
    if cls is frozenset:
        return frozenset(_plain(member, key) for member in part)
    if isinstance(part, str):
        return _if_equal(str.__str__(part), part)
    if isinstance(part, numbers.Number):
        return _number(part, key)
    if cls is dt.datetime and part.tzinfo is not None:
        return _if_equal(part.astimezone(dt.UTC), part)
    return part


def _number(part: Any, key: Any) -> Any:
    if part != part:
        raise EncodingError("a key that is not equal to itself (nan) would never be found again; use None, or a text", path=(key,))
    for make in (int, float):
        try:
            made = make(part.real)
        except (ValueError, OverflowError):  # infinite; beyond what a float holds
            continue
        if _if_equal(made, part) is made:
            return made
    return part


def _if_equal(made: Any, part: Any) -> Any:
    return made if made == part and hash(made) == hash(part) else part
