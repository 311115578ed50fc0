"""Finds the parts of a value that must be hidden, while the value is walked and before anything of it is cut.

A part is hidden below a secret key, beside a secret name in a pair (``("Authorization", "Token …")``), in a record of a name and a value
(``{"name": "api_key", "value": …}``), and behind a secret option in a list of a command's words (``["--password", …]``).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from pocketflex_nb.core.frozen.frozen_tree import Frozen, FrozenDict, FrozenList, FrozenObject, FrozenText
from pocketflex_nb.core.store.changes import Changes
from pocketflex_nb.core.value_text import Teller, stop_goes_on
from pocketflex_nb.views.text.redaction import MARGIN, SECRET_MASK, is_secret_key, redacted_head

__all__ = ["Veiled", "hidden_among", "hides", "is_hidden_at", "veiled"]

_NAMES, _VALUES = ("name", "key", "header", "field"), frozenset({"value", "val", "values", "content", "old", "new"})
_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key"})
_TEXTS = (str, bytes)
_CLIENTS, _LOGINS = frozenset({"curl", "wget", "http", "https"}), frozenset({"-u", "--user", "--proxy-user"})
#: levels of a copy
_DEEPEST = 40


def hides(key: object, value: object) -> bool:
    """Whether the `value` under `key` must not be shown: a number under a name about tokens is a count."""
    if not is_secret_key(key):
        return False
    is_count = value is None or value.__class__ in (bool, int, float)
    return not (is_count and isinstance(key, str) and "token" in key.lower())


def hidden_among(value: object, first: int = 0, last: int = 256) -> frozenset[object]:
    """Keys or indices of the hidden parts directly inside a container, decided by their siblings.

    Parameters
    ----------
    first, last : int
        Of a list, the indices that are asked for.
    """
    try:
        if isinstance(value, (Mapping, FrozenDict)):
            return _in_record(value)
        if isinstance(value, (list, tuple)) or (isinstance(value, FrozenList) and issubclass(value.cls, (list, tuple))):
            return _in_list(value, first, min(last, len(value)))
    except BaseException as error:  # the user's containers are walked here
        stop_goes_on(error)
        return frozenset()
    return frozenset()


def _in_record(value: Mapping[object, object] | FrozenDict) -> frozenset[object]:
    if not 2 <= len(value) <= 12:
        return frozenset()
    pairs = list(value.items())
    if any(key in _NAMES and _is_secret(item) for key, item in pairs if key.__class__ is str):
        return frozenset(key for key, _ in pairs if isinstance(key, str) and key in _VALUES)
    return frozenset()


def _in_list(value: list[object] | tuple[object, ...] | FrozenList, first: int, last: int) -> frozenset[object]:
    """The parts after a secret name that is the first of two, and after options of a command and headers in a flat list."""
    start = max(first - 1, 0)
    items = value[start:last] if isinstance(value, (list, tuple)) else _sliced(value, start, last)
    found = {index for index, item in enumerate(items[:-1], start + 1) if isinstance(item, str) and _announces(item)}
    if len(value) == 2 and start == 0 and _is_secret(items[0]):
        found.add(1)
    if any(item.__class__ is str and item in _LOGINS for item in items) and next(iter(value)) in _CLIENTS:
        found |= {index for index, item in enumerate(items[:-1], start + 1) if item.__class__ is str and item in _LOGINS}
    return frozenset(found)


def _sliced(value: FrozenList, start: int, last: int) -> list[object]:
    """Items of a frozen list: a few are found by their leaves, many by going through it."""
    return [value[index] for index in range(start, last)] if last - start <= 2 else list(islice(value, start, last))


def _announces(item: str) -> bool:
    """Whether a text in a list marks the next one as a secret."""
    if len(item) >= 80:
        return False
    return (item.startswith("-") and "=" not in item and is_secret_key(item)) or item.lower() in _HEADERS


def _is_secret(item: object) -> bool:
    return isinstance(item, _TEXTS) and len(item) < 80 and is_secret_key(item)


def is_hidden_at(root: object, path: tuple[object, ...]) -> bool:
    """Whether the part at `path` inside of `root` is hidden, by a key or by its siblings."""
    if any(is_secret_key(part) for part in path[:-1]):
        return True
    value = root
    for part in path:
        here = (part, part + 1) if isinstance(part, int) and not isinstance(value, (Mapping, FrozenDict)) else (0, 0)
        if part in hidden_among(value, *here):
            return True
        try:
            value = _child(value, part)
        except BaseException as error:  # gone, or the user's container
            stop_goes_on(error)
            return False
    return False


def _child(value: Any, part: Any) -> object:
    if isinstance(value, FrozenObject):
        return value.fields[part]
    if isinstance(value, (Mapping, list, tuple, FrozenDict, FrozenList)):
        return value[part]
    return getattr(value, part)


class Veiled(Teller):
    """Makes the short text of one value, with its secrets hidden."""

    def told(self, value: object, deep: int) -> str:
        """The text of a value."""
        if isinstance(value, Frozen):
            if isinstance(value, FrozenText):
                return self.quoted("".join(islice((char for piece in value.pieces for char in piece), self.limit + MARGIN)))
            if isinstance(value, FrozenList):
                return self.listed(value.cls, value, value.count, deep)
            if isinstance(value, FrozenDict):
                hidden = hidden_among(value)
                pairs = [(key, _Hidden if key in hidden else item) for key, item in islice(value.items(), 8)] if hidden else value.items()
                return self.mapped("" if value.cls is dict else value.kind, pairs, value.count, deep)
            if isinstance(value, FrozenObject):
                return self.mapped(value.kind, value.fields.items(), value.fields.count, deep)
            return self.spoken(super().told(value, deep))
        if value is _Hidden:
            return SECRET_MASK
        if value.__class__ is dict and (hidden := hidden_among(value)):
            return self.mapped("", [(key, _Hidden if key in hidden else item) for key, item in value.items()], len(value), deep)
        return super().told(value, deep)

    def quoted(self, text: str | bytes) -> str:
        """A text in quotes, masked before it is cut."""
        if isinstance(text, bytes):
            head = text[: self.limit + MARGIN].decode("latin-1")
            told = redacted_head(head, self.limit)
            if told is head or told == head:
                return super().quoted(text)
            return super().quoted(told) if told != SECRET_MASK else f"b{SECRET_MASK!r}"
        told = redacted_head(text, self.limit)
        is_cut = len(text) > self.limit + MARGIN
        return super().quoted(told) if len(told) > self.limit or not is_cut else repr(told)[:-1] + "…"

    def spoken(self, text: str) -> str:
        """The text that an object gave of itself, masked before it is cut."""
        return super().spoken(redacted_head(text, 4 * self.limit))

    def items(self, items: list[object], deep: int) -> list[str]:
        """The texts of the first items of one sequence."""
        hidden = hidden_among(items)
        return [SECRET_MASK if index in hidden else self.told(item, deep) for index, item in enumerate(items)]

    def pairs(self, pairs: list[tuple[object, object]], deep: int) -> list[tuple[str, str]]:
        """The texts of the first keys and values of one mapping."""
        return [(self.told(key, deep), SECRET_MASK if hides(key, value) else self.told(value, deep)) for key, value in pairs]


class _Hidden:
    """The placeholder of a hidden part."""


def veiled(value: object, *, key: object = "") -> object:
    """`value` for a table or a file: a copy of plain containers and texts, with secrets masked.

    Anything else is given as it is, or as its preview where that hides a part.

    Parameters
    ----------
    key : object
        The key it stands under.

    Examples
    --------
    >>> veiled({"user": "ann", "login": {"password": ["a", "b"]}})
    {'user': 'ann', 'login': {'password': '••••••••'}}
    """
    return SECRET_MASK if hides(key, value) else _veiled(value, 0)


def _veiled(value: object, deep: int) -> object:
    cls = value.__class__
    if cls is str and isinstance(value, str):
        return redacted_head(value, len(value))
    if value is None or cls in (int, float, bool):
        return value
    if deep < _DEEPEST and isinstance(value, dict):
        hidden = hidden_among(value)
        return {k: SECRET_MASK if k in hidden or hides(k, v) else _veiled(v, deep + 1) for k, v in value.items()}
    if deep < _DEEPEST and isinstance(value, (list, tuple, Changes)):
        hidden = hidden_among(value)
        items = [SECRET_MASK if n in hidden else _veiled(item, deep + 1) for n, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    told = Veiled(200).line(value)
    return told if SECRET_MASK in told else value
