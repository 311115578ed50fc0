"""The text form of keys: equal keys have one text, whichever process writes it."""

from __future__ import annotations

import datetime as dt
import numbers
from typing import Any

from pocketflex_nb.core.codec.decoder import decode, is_whole
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.codec.tagged_json import Unloaded
from pocketflex_nb.core.errors import EncodingError, PocketflexError
from pocketflex_nb.core.value_text import value_text

__all__ = ["key_of", "key_text"]

#: characters of a key, as it is kept
_LONGEST = 1_000


def key_text(key: object, *, is_known: bool = False) -> str:
    """A key as text: one for ``1``, ``1.0``, ``True`` and an `IntEnum` of 1, one for ``"a"`` and a `StrEnum` of ``"a"``.

    Parameters
    ----------
    key : object
        Hashable, and what :func:`pocketflex_nb.core.codec.encoder.encode` can write; so are the members of tuples and frozensets.
    is_known : bool
        It stands in the store already, however long it is: another program wrote it, and it may be read, overwritten and deleted.

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
    if len(text) > _LONGEST and not is_known and key.__class__ is not Unloaded:
        raise EncodingError(f"a key of {len(text)} characters; at most {_LONGEST}: keep it shorter, and the text as a value", path=(key,))
    return text


def key_of(name: str) -> object:
    r"""The key that `key_text` wrote as `name`; an `Unloaded` for any other text, which stands for nothing but itself.

    Examples
    --------
    >>> key_of('"a"')
    'a'
    >>> key_of('"\\u0061"')        # what another program wrote: it must not hide the key "a"
    <unreadable: another spelling of the key 'a'>
    """
    key = decode(name, unloaded="keep")
    if key.__class__ is str and len(key) + 2 == len(name) and name.isascii() and name == f'"{key}"':
        return key
    if key.__class__ is int and name == str(key):
        return key
    try:
        hash(key)
        if key.__class__ is Unloaded or not is_whole(key) or key_text(key, is_known=True) == name:
            return key
        why = f"another spelling of the key {value_text(key, 60)}"
    except TypeError:
        why = f"a {type(key).__name__} is no key"
    except PocketflexError as exc:
        why = str(exc)
    return Unloaded.of_text(name, why)


def _plain(part: Any, key: object) -> object:
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


def _number(part: Any, key: object) -> object:
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


def _if_equal(made: object, part: object) -> object:
    return made if made == part and hash(made) == hash(part) else part
