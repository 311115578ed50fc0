"""Stores as JSON text for a page: bounded, secrets masked, with previews for what JSON cannot express."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from itertools import islice

from pocketflex_nb.core.frozen.frozen_tree import Frozen, FrozenList
from pocketflex_nb.core.value_text import stop_goes_on
from pocketflex_nb.views.text.redaction import SECRET_MASK, redacted, redacted_head
from pocketflex_nb.views.text.safe_text import shown
from pocketflex_nb.views.text.secret_parts import hidden_among, hides
from pocketflex_nb.views.values.store_rows import children_of
from pocketflex_nb.views.values.value_preview import PAGE, safe_repr_text, size_of

__all__ = ["DEEPEST", "ITEMS", "json_text"]

#: levels, and entries of one container, that are written out
DEEPEST, ITEMS = 12, 200
_ALL = (sys.maxsize, sys.maxsize)


def json_text(value: object, *, limit: int | None = 20_000) -> str:
    """`value` as indented JSON, at most `limit` characters, with its length when it is cut. Never raises.

    Parameters
    ----------
    value : object
        A store, a snapshot of one, or any value.
    limit : int
        Characters at most; None: every text and every entry in full.

    Examples
    --------
    >>> print(json_text({"topic": "solar", "api_key": "sk-abcdefghijklmnop1234", "seen": {1}}))
    {
      "topic": "solar",
      "api_key": "••••••••",
      "seen": [
        1
      ]
    }
    """
    try:
        text = json.dumps(_plain(value, (), (), _ALL if limit is None else (ITEMS, PAGE)), indent=2, ensure_ascii=False, default=str)
    except BaseException as error:  # the user's containers are walked here
        stop_goes_on(error)
        return f"(cannot be shown as JSON: {type(error).__name__})"
    text = "\n".join(shown(line, len(line)) for line in text.split("\n"))
    return text if limit is None or len(text) <= limit else f"{text[:limit]}…\n({len(text):,} characters)"


def _plain(value: object, path: tuple[object, ...], above: tuple[int, ...], bounds: tuple[int, int]) -> object:
    """`bounds`: entries of one container, and characters of one text."""
    if path and hides(path[-1], value):
        return SECRET_MASK
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, str):
        return _text(value, bounds[1])
    if id(value) in above or len(above) >= DEEPEST or not _is_container(value):
        return safe_repr_text(value, 160)
    return _inside(value, path, (*above, id(value)), bounds)


def _text(value: str, longest: int) -> str:
    return redacted(value) if len(value) <= longest else f"{redacted_head(value, longest)[:longest]}… ({len(value):,} characters)"


def _is_container(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple, set, frozenset, Frozen)) or hasattr(type(value), "__dataclass_fields__")


def _inside(value: object, path: tuple[object, ...], above: tuple[int, ...], bounds: tuple[int, int]) -> object:
    hidden = hidden_among(value)
    found = [(key, SECRET_MASK if key in hidden else _plain(child, (*path, key), above, bounds))
        for key, child in islice(children_of(value), bounds[0])]
    rest = max((size_of(value) or 0) - len(found), 0)
    if isinstance(value, (list, tuple, set, frozenset, FrozenList)) and not hasattr(type(value), "_fields"):
        return [child for _, child in found] + ([f"… {rest:,} more"] if rest else [])
    named = {key if isinstance(key, str) else safe_repr_text(key, 60): child for key, child in found}
    return {**named, "…": f"{rest:,} more"} if rest else named
