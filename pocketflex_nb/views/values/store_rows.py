"""Stores as rows of a tree: made level by level as they are opened, 200 at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from pocketflex_nb.core.frozen.frozen_tree import Frozen
from pocketflex_nb.core.value_text import path_text, stop_goes_on
from pocketflex_nb.views.text.redaction import SECRET_MASK, is_secret_key, redacted
from pocketflex_nb.views.text.safe_text import shown
from pocketflex_nb.views.text.secret_parts import hidden_among, is_hidden_at
from pocketflex_nb.views.values.value_preview import preview, safe_repr_text, size_of, type_label

__all__ = ["ROWS_PER_PAGE", "StoreRow", "child_rows", "children_of", "value_at", "visible_rows"]

#: rows of one page
ROWS_PER_PAGE = 200
_DEEPEST = 60


@dataclass(frozen=True, slots=True)
class StoreRow:
    """One line of a tree.

    Attributes
    ----------
    path : tuple
        Keys and indices from the top.
    key : str
        The last of them, as text.
    where : str
        The path as it would be typed: ``notes[2].title``.
    kind : str
        ``"list 3"``, ``"str 41"``, ``"DataFrame 10x4"``.
    preview : str
        The value in a line, secrets masked.
    children : int
        How many rows are below it; 0 for what cannot be opened.
    depth : int
        0 for a key of the store.
    is_secret : bool
        Masked; its children are not shown.
    """

    path: tuple[object, ...]
    key: str
    where: str
    kind: str
    preview: str
    children: int
    depth: int
    is_secret: bool = False


def children_of(value: object) -> Iterator[tuple[object, object]]:
    """(key or index, value) of what is directly inside `value`; nothing for a leaf."""
    if isinstance(value, Frozen):
        return iter(value.children())
    if isinstance(value, dict):
        return iter(dict.items(value))
    if isinstance(value, Mapping):
        return iter(value.items())
    if isinstance(value, (list, tuple)):
        fields = getattr(type(value), "_fields", None)
        return zip(fields, value, strict=False) if isinstance(fields, tuple) else enumerate(value)
    if isinstance(value, (set, frozenset)):
        return enumerate(sorted(value, key=lambda item: safe_repr_text(item, 60)) if len(value) <= 1_000 else value)
    names = getattr(type(value), "__dataclass_fields__", None)
    if isinstance(names, dict):
        return ((name, getattr(value, name, None)) for name in names)
    return iter(())


def _count(value: object) -> int:
    """How many children it has, without making them where that can be known."""
    names = getattr(type(value), "__dataclass_fields__", None)
    if isinstance(names, dict):
        return len(names)
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        return size_of(value) or 0
    if isinstance(value, Frozen):
        try:
            first = next(iter(value.children()), None)
        except BaseException as error:  # a leaf of the frozen kind has no children to give
            stop_goes_on(error)
            return 0
        return (size_of(value) or 0) if first is not None else 0
    return 0


def value_at(value: object, path: tuple[object, ...]) -> object:
    """The value at `path`.

    Raises
    ------
    LookupError
        Nothing stands there.
    """
    for number, part in enumerate(path):
        for key, child in children_of(value):
            if key is part or key == part:
                value = child
                break
        else:
            raise LookupError(f"nothing at {path_text(path[: number + 1])}")
    return value


def child_rows(value: object, path: tuple[object, ...] = (), *, offset: int = 0, limit: int = ROWS_PER_PAGE) -> list[StoreRow]:
    """The rows directly below `path`, from number `offset` on, at most `limit`. Never raises: what cannot be read has no rows.

    Parameters
    ----------
    value : object
        A store, a snapshot of one, or any value.
    """
    try:
        inside = value_at(value, path) if path else value
        if any(is_secret_key(part) for part in path) or is_hidden_at(value, path):
            return []
        hidden = hidden_among(inside, offset, offset + limit)
        return [_row(path, key, child, hidden) for key, child in islice(children_of(inside), offset, offset + limit)]
    except BaseException as error:  # the user's containers are walked here
        stop_goes_on(error)
        return []


def _row(path: tuple[object, ...], key: object, child: object, hidden: Collection[object]) -> StoreRow:
    below = (*path, key)
    text = SECRET_MASK if key in hidden else preview(child, key=below)
    is_secret = text == SECRET_MASK
    name = redacted(shown(key)) if isinstance(key, str) else safe_repr_text(key, 60)
    where = redacted(shown(path_text(below)))
    return StoreRow(below, name, where, type_label(child), text, 0 if is_secret else _count(child), len(path), is_secret)


def visible_rows(
    value: object, opened: Collection[tuple[object, ...]] = (), *, limit: int = ROWS_PER_PAGE, find: str = ""
) -> list[StoreRow]:
    """Every visible row.

    Parameters
    ----------
    opened : collection of tuple
        Paths whose rows are shown.
    limit : int
        Rows of one level at most.
    find : str
        Keep only the rows whose path, or preview, has this text (letter case aside), and what leads to them.
    """
    found: list[StoreRow] = []
    stack = list(reversed(child_rows(value, limit=limit)))
    while stack and len(found) < 50 * limit:
        row = stack.pop()
        found.append(row)
        if row.children and row.depth < _DEEPEST and row.path in opened:
            stack += reversed(child_rows(value, row.path, limit=limit))
    return _matching(found, find.lower()) if find else found


def _matching(found: list[StoreRow], text: str) -> list[StoreRow]:
    wanted = {row.path for row in found if text in row.where.lower() or text in row.preview.lower()}
    kept = {path[:n] for path in wanted for n in range(1, len(path) + 1)}
    return [row for row in found if row.path in kept]
