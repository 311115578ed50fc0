"""Values in full, a page at a time: texts by characters, containers by rows, tables by rows and columns; secrets masked.

A value is looked into by places: the numbers of children from the top, as a page has them, whatever the keys are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from typing import Any, NotRequired, TypedDict

from pocketflex_nb.core.value_text import class_name, stop_goes_on
from pocketflex_nb.views.text.redaction import MARGIN, SECRET_MASK, is_secret_key, redacted_head
from pocketflex_nb.views.text.safe_text import inert, shown
from pocketflex_nb.views.text.secret_parts import is_hidden_at
from pocketflex_nb.views.values.json_text import json_text
from pocketflex_nb.views.values.store_rows import child_rows, children_of
from pocketflex_nb.views.values.value_preview import detail, preview, size_of, type_label, veiled_frame

__all__ = ["CHARACTERS", "COLUMNS", "LONG", "TABLE_ROWS", "ValuePage", "copied_text", "plain_text", "value_page", "value_within"]

#: characters of one page, rows and columns of one page of a table
CHARACTERS, TABLE_ROWS, COLUMNS = 24_000, 100, 40
#: characters from which on a text in a container has a page of its own, and of a value that is copied at most
LONG, _COPIED = 100, 2_000_000
_ROWS = 100


class ValuePage(TypedDict):
    """One page of a value.

    `form` is ``text`` (`text`, from character `offset` of `size`), ``tree`` (`rows` of place, key, type, preview, whether it opens) or
    ``table`` (`columns`, `rows` of texts); `more` is where the next page begins, None at the end.
    """

    kind: str
    form: str
    offset: int
    size: int
    more: int | None
    text: NotRequired[str]
    rows: NotRequired[list[list[Any]]]
    columns: NotRequired[list[str]]


def value_within(value: object, places: Sequence[int], key: object = "") -> tuple[object, tuple[object, ...]]:
    """The value at `places` inside of another one, and the keys that lead to it; a secret part is its mask.

    Raises
    ------
    LookupError
        Nothing stands there.
    """
    path: tuple[object, ...] = ()
    inside = value
    if key and is_secret_key(key):
        return SECRET_MASK, path
    for place in places:
        found = next(islice(children_of(inside), place, place + 1), None) if place >= 0 else None
        if found is None:
            raise LookupError(f"nothing at place {place}")
        path = (*path, found[0])
        inside = found[1]
    if path and (is_hidden_at(value, path) or is_secret_key(path[-1])):
        return SECRET_MASK, path
    return inside, path


def value_page(value: object, offset: int = 0) -> ValuePage:
    """The page of `value` from character or row `offset` on. Never raises.

    Examples
    --------
    >>> page = value_page({"title": "Sun", "api_key": "abc"})
    >>> page["form"], page["rows"]
    ('tree', [[0, 'title', 'str 3', "'Sun'", False], [1, 'api_key', 'str 3', '••••••••', False]])
    >>> value_page("a" * 30_000)["more"]
    24000
    """
    try:
        return _table_page(value, offset) or _tree_page(value, offset) or _text_page(plain_text(value), type_label(value), offset)
    except BaseException as error:  # the user's containers are walked here
        stop_goes_on(error)
        return _text_page(f"<{class_name(value)}: cannot be shown, {class_name(error)}>", class_name(value), 0)


def plain_text(value: object) -> str:
    """`value` as a text: a string as it is, anything else as one tells it."""
    if isinstance(value, str) or class_name(value) == "FrozenText":
        return str(value)
    return detail(value, CHARACTERS)


def copied_text(value: object, offset: int = 0) -> ValuePage:
    """A page of the text that is copied of `value`: a string as it is, a container as JSON, a table as its rows."""
    inside = any(True for _ in islice(children_of(value), 1))
    text = json_text(value, limit=_COPIED) if inside and not isinstance(value, str) else plain_text(value)
    return _text_page(text[:_COPIED], type_label(value), offset)


def _text_page(text: str, kind: str, offset: int) -> ValuePage:
    offset = min(max(offset, 0), len(text))
    end = offset + CHARACTERS
    head = redacted_head(text, end + MARGIN)  # masked as a whole: a secret may lie across the border
    page = inert(head[offset:end])
    return {
        "kind": kind, "form": "text", "offset": offset, "size": len(text), "more": end if len(head) > end else None, "text": page,
    }


def _tree_page(value: object, offset: int) -> ValuePage | None:
    if not isinstance(value, str) and next(iter(children_of(value)), None) is not None:
        rows = child_rows(value, offset=max(offset, 0), limit=_ROWS)
        below = list(islice(children_of(value), max(offset, 0), max(offset, 0) + _ROWS))
        told = [
            [offset + n, row.key[:200], row.kind, row.preview, not row.is_secret and (row.children > 0 or _opens(child))]
            for n, (row, (_, child)) in enumerate(zip(rows, below, strict=False))
        ]
        size = size_of(value)
        size = offset + len(told) if size is None else size
        more = offset + len(told) if len(told) == _ROWS and offset + len(told) < size else None
        return {"kind": type_label(value), "form": "tree", "offset": offset, "size": size, "more": more, "rows": told}
    return None


def _opens(value: object) -> bool:
    """Whether a part without children has more to show than its preview."""
    return (size_of(value) or 0) > LONG if isinstance(value, (str, bytes)) or class_name(value) == "FrozenText" else _is_table(value)


def _is_table(value: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series))


def _table_page(value: Any, offset: int) -> ValuePage | None:
    if not _is_table(value):
        return None
    offset, size = max(offset, 0), len(value)
    head = veiled_frame(value.iloc[offset : offset + TABLE_ROWS])
    frame = head if hasattr(head, "columns") else head.to_frame()
    columns = [_cell(frame.index.name) if frame.index.name is not None else "", *(_cell(name) for name in frame.columns[:COLUMNS])]
    rows = zip(frame.index, frame.itertuples(index=False, name=None), strict=True)
    cells = [[_cell(label), *map(_cell, row[:COLUMNS])] for label, row in rows]
    end = offset + len(cells)
    return {
        "kind": type_label(value), "form": "table", "offset": offset, "size": size, "more": end if end < size and cells else None,
        "rows": cells, "columns": columns,
    }


def _cell(value: object) -> str:
    return shown(redacted_head(value, 200)[:200]) if isinstance(value, str) else preview(value, 80)

