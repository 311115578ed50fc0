"""Previews of values: in a word, in a line, and in a page; bounded, masked, and never raising.

Tables, arrays and images are recognised through ``sys.modules``: nothing is imported to preview a value.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any

from pocketflex_nb.core.frozen.frozen_tree import Frozen
from pocketflex_nb.core.value_text import class_name, cut_text, stop_goes_on
from pocketflex_nb.views.text.redaction import MARGIN, SECRET_MASK, is_secret_key, redacted, redacted_head
from pocketflex_nb.views.text.safe_text import shown
from pocketflex_nb.views.text.secret_parts import Veiled, hidden_among, hides

__all__ = ["ENTRIES", "PAGE", "ROWS", "detail", "preview", "safe_repr_text", "size_of", "type_label", "veiled_frame"]

#: characters of a page, rows of a table, entries of a container
PAGE, ROWS, ENTRIES = 2_048, 20, 50


def preview(value: object, limit: int = 120, *, key: object = "") -> str:
    """One line about `value`, at most `limit` characters, with secrets masked.

    Parameters
    ----------
    key : object
        The key it stands under, or the path (tuple) of keys.
    """
    if _is_hidden(key, value):
        return SECRET_MASK
    return cut_text(shown(safe_repr_text(value, limit)), limit)


def safe_repr_text(value: object, limit: int) -> str:
    """`value` in a line as `preview` gives it, under no key."""
    return shown(Veiled(limit).line(value), 8 * limit)


def _is_hidden(key: object, value: object) -> bool:
    if not isinstance(key, tuple):
        return hides(key, value)
    return any(is_secret_key(part) for part in key[:-1]) or (bool(key) and hides(key[-1], value))


def type_label(value: object) -> str:
    """The type and size: ``"list 3"``, ``"str 41"``, ``"DataFrame 10x4"``, ``"int"``."""
    try:
        name = value.kind if isinstance(value, Frozen) else type(value).__name__
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and shape and all(isinstance(side, int) for side in shape):
            return f"{name} {'x'.join(map(str, shape))}"
        size = size_of(value)
        return name if size is None else f"{name} {size}"
    except BaseException as error:  # a class may lie about anything
        stop_goes_on(error)
        return class_name(value)


def size_of(value: object) -> int | None:
    """How many items or characters it has, or None where that means nothing."""
    if not isinstance(value, (str, bytes, bytearray, list, tuple, dict, set, frozenset, Frozen)):
        return None
    try:
        return len(value)  # type: ignore[arg-type]
    except BaseException as error:  # a frozen object without a length, or a subclass that lies
        stop_goes_on(error)
        return None


def detail(value: object, limit: int = PAGE, *, key: object = "") -> str:
    """Some lines about `value`: a text with its length when it is cut, the head of a table, the entries of a container."""
    if _is_hidden(key, value):
        return SECRET_MASK
    try:
        text = _page(value, limit)
    except BaseException as error:  # the user's object was asked; whatever it raised is told instead
        stop_goes_on(error)
        text = f"<{class_name(value)}: cannot be shown, {class_name(error)}>"
    return text


def _page(value: object, limit: int) -> str:
    if isinstance(value, (str, bytes)) or class_name(value) == "FrozenText":
        return _text(value, limit)
    table = _table(value)
    if table is not None:
        table = "\n".join(shown(line) for line in redacted(table).split("\n"))
        return _cut(table, limit, len(table), "characters")
    if isinstance(value, dict):
        hidden = hidden_among(value)
        lines = [f"{safe_repr_text(k, 60)}: {SECRET_MASK if k in hidden else preview(v, 100, key=k)}"
            for k, v in islice(value.items(), ENTRIES)]
        return _more(lines, len(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        hidden = hidden_among(value)
        first = enumerate(islice(value, ENTRIES))
        return _more([f"- {SECRET_MASK if n in hidden else safe_repr_text(item, 100)}" for n, item in first], len(value))
    return cut_text(safe_repr_text(value, limit), limit)


def _text(value: object, limit: int) -> str:
    raw = value if isinstance(value, (str, bytes)) else str(value)
    whole = len(raw) <= limit
    if isinstance(raw, bytes):
        head = safe_repr_text(raw[: limit + MARGIN], limit)
        return _cut(head, limit, len(raw), "bytes", whole=whole)
    text = "\n".join(shown(line, limit + MARGIN) for line in redacted_head(raw, limit)[:limit].split("\n"))
    return _cut(text, limit, len(raw), "characters", whole=whole)


def _cut(text: str, limit: int, size: int, unit: str, *, whole: bool | None = None) -> str:
    if whole or (whole is None and len(text) <= limit):
        return text
    return f"{text[:limit]}…\n({size:,} {unit})"


def _more(lines: list[str], count: int) -> str:
    rest = count - len(lines)
    return "\n".join([*lines, f"… {rest:,} more"] if rest > 0 else lines)


def _table(value: object) -> str | None:
    """The head of a data frame or the outline of an array, when its library is loaded anyway."""
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        options = {"max_cols": 12} if isinstance(value, pandas.DataFrame) else {}
        return f"{veiled_frame(value.head(ROWS)).to_string(max_rows=ROWS, **options)}\n({type_label(value)})"
    if numpy is not None and isinstance(value, numpy.ndarray):
        if any(is_secret_key(name) for name in value.dtype.names or ()):
            return f"({type_label(value)} {value.dtype.names})"
        return f"{numpy.array2string(value, threshold=60, edgeitems=3)}\n({type_label(value)} {value.dtype})"
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, polars.DataFrame):
        head = value.head(ROWS)
        secret = [polars.lit(SECRET_MASK).alias(name) for name in head.columns if is_secret_key(name)]
        return f"{head.with_columns(secret) if secret else head}\n({type_label(value)})"
    return None


def veiled_frame(head: Any) -> Any:
    """The head of a pandas table with the columns masked whose names are secret, and of a series the rows."""
    if not hasattr(head, "columns"):
        if is_secret_key(head.name):
            return head.astype(object).map(lambda _: SECRET_MASK)
        secret = [is_secret_key(label) for label in head.index]
        return head.astype(object).mask(secret, SECRET_MASK) if any(secret) else head
    hidden = [n for n, name in enumerate(head.columns) if any(map(is_secret_key, name if isinstance(name, tuple) else (name,)))]
    if not hidden:
        return head
    head = head.astype(object)
    for n in hidden:
        head.isetitem(n, SECRET_MASK)
    return head
