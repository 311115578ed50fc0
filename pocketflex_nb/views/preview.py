"""What a value is, in a word, in a line, and in a page: bounded, masked, and never raising.

Tables, arrays and images are known through ``sys.modules``: nothing is imported to look at a value.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any

from pocketflex_nb.core.frozen import Frozen
from pocketflex_nb.core.preview import preview as told
from pocketflex_nb.views.secrets import masked, redacted
from pocketflex_nb.views.words import shown

__all__ = ["ENTRIES", "PAGE", "ROWS", "detail", "kind_of", "preview", "size_of"]

#: characters of a page, rows of a table, entries of a container
PAGE, ROWS, ENTRIES = 2_048, 20, 50


def preview(value: Any, limit: int = 120, *, key: object = "") -> str:
    """One line about `value`, at most `limit` characters, with secrets masked.

    Parameters
    ----------
    key : object
        The key it stands under, or the path (tuple) of keys.
    """
    return masked(key, told(value, limit))


def kind_of(value: Any) -> str:
    """What it is and how large: ``"list 3"``, ``"str 41"``, ``"DataFrame 10x4"``, ``"int"``."""
    try:
        name = value.kind if isinstance(value, Frozen) else type(value).__name__
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and shape and all(isinstance(side, int) for side in shape):
            return f"{name} {'x'.join(map(str, shape))}"
        size = size_of(value)
        return name if size is None else f"{name} {size}"
    except Exception:  # a class may lie about anything
        return type(value).__name__


def size_of(value: Any) -> int | None:
    """How many items or characters it has, or None where that means nothing."""
    if not isinstance(value, (str, bytes, bytearray, list, tuple, dict, set, frozenset, Frozen)):
        return None
    try:
        return len(value)  # type: ignore[arg-type]
    except Exception:  # a frozen object without a length, or a subclass that lies
        return None


def detail(value: Any, limit: int = PAGE, *, key: object = "") -> str:
    """Some lines about `value`: a text with its length when it is cut, the head of a table, the entries of a container."""
    try:
        text = _page(value, limit)
    except Exception as error:  # the user's object was asked; whatever it raised is told instead
        text = f"<{type(value).__name__}: cannot be shown, {type(error).__name__}>"
    return masked(key, text)


def _page(value: Any, limit: int) -> str:
    if isinstance(value, (str, bytes)) or type(value).__name__ == "FrozenText":
        return _text(value, limit)
    table = _table(value)
    if table is not None:
        return _cut(table, limit, len(table), "characters")
    if isinstance(value, dict):
        lines = [f"{told(k, 60)}: {preview(v, 100, key=k)}" for k, v in islice(value.items(), ENTRIES)]
        return _more(lines, len(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return _more([f"- {told(item, 100)}" for item in islice(value, ENTRIES)], len(value))
    return redacted(told(value, limit))


def _text(value: Any, limit: int) -> str:
    raw = value if isinstance(value, (str, bytes)) else str(value)
    head = raw[:limit]
    text = "\n".join(shown(line) for line in head.split("\n")) if isinstance(head, str) else repr(head)
    return _cut(text, len(text), len(raw), "characters" if isinstance(raw, str) else "bytes", whole=len(raw) <= limit)


def _cut(text: str, limit: int, size: int, unit: str, *, whole: bool | None = None) -> str:
    if whole or (whole is None and len(text) <= limit):
        return text
    return f"{text[:limit]}…\n({size:,} {unit})"


def _more(lines: list[str], count: int) -> str:
    rest = count - len(lines)
    return "\n".join([*lines, f"… {rest:,} more"] if rest > 0 else lines)


def _table(value: Any) -> str | None:
    """The head of a data frame or the outline of an array, when its library is loaded anyway."""
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        options = {"max_cols": 12} if isinstance(value, pandas.DataFrame) else {}
        return f"{value.head(ROWS).to_string(max_rows=ROWS, **options)}\n({kind_of(value)})"
    if numpy is not None and isinstance(value, numpy.ndarray):
        return f"{numpy.array2string(value, threshold=60, edgeitems=3)}\n({kind_of(value)} {value.dtype})"
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, polars.DataFrame):
        return f"{value.head(ROWS)}\n({kind_of(value)})"
    return None
