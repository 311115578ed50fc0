"""Messages of runs and errors made safe to show: masked as a whole, without terminal control sequences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pocketflex_nb.views.text.redaction import MARGIN, opens_secret, redacted, redacted_pieces
from pocketflex_nb.views.text.safe_text import inert
from pocketflex_nb.views.text.secret_parts import veiled

__all__ = ["inert_but_colours", "masked_lines", "masked_tail", "speakable", "table_rows"]

_COLOURS = re.compile(r"(\x1b\[[0-9;]{0,40}m)")


def speakable(text: str) -> str:
    r"""`text` with its secrets masked and its control characters written out; newlines and tabs stay.

    Examples
    --------
    >>> speakable("\x1b]0;title\x07 token=abcdef")
    '\\x1b]0;title\\x07 token=••••••••'
    """
    return inert(redacted(text))


def inert_but_colours(text: str) -> str:
    """`text` with its control characters written out, but for colours, which IPython's tracebacks have."""
    return "".join(part if _COLOURS.fullmatch(part) else inert(part) for part in _COLOURS.split(text))


def masked_tail(text: str, limit: int) -> str:
    """The last characters of `text`, at most `limit`, masked before it is cut."""
    start = len(text) - limit - MARGIN
    if start > 0:
        start = max(text.rfind("\n", 0, start), text.rfind(" ", 0, start), 0)
        begun = text.rfind("-----BEGIN", 0, start)
        if begun > text.rfind("-----END", 0, start):
            start = begun
        text = text[start:]
    return redacted(text)[-limit:]


def masked_lines(told: Sequence[tuple[str, str, str]], limit: int | None) -> list[str]:
    """The output of a run, masked as a whole: a secret may extend over several pieces of a stream, or several lines.

    Parameters
    ----------
    told : sequence of (stream, text, node)
        Whole lines, and tokens of streams, as they came.
    limit : int or None
        Characters of each that are shown, from its end; None: all.
    """
    if limit is None:
        limit = max((len(text) for _, text, _ in told), default=0) + 1
    groups: dict[str, list[int]] = {}
    for index, (_, _, node) in enumerate(told):
        groups.setdefault(node, []).append(index)
    texts = [""] * len(told)
    for indices in groups.values():
        mine = [told[index] for index in indices]
        follows = any(stream == "token" or opens_secret(text[-limit - MARGIN :]) for stream, text, _ in mine)
        if len(mine) > 1 and follows:
            joints = ["", *("" if stream == "token" else "\n" for stream, _, _ in mine[:-1])]
            parts = [part[-limit:] for part in redacted_pieces([_bounded(text, limit) for _, text, _ in mine], joints)]
        else:
            parts = [masked_tail(text, limit) for _, text, _ in mine]
        for index, part in zip(indices, parts, strict=True):
            texts[index] = part
    return texts


def _bounded(text: str, limit: int) -> str:
    """A piece as it may be joined to the whole: a very long one is masked by itself first."""
    return text if len(text) <= 2 * (limit + MARGIN) else masked_tail(text, limit + MARGIN)


def table_rows(rows: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """Rows for a table, such as a run's events, with their secrets masked.

    Examples
    --------
    >>> table_rows([{"kind": "output", "text": "password="}, {"kind": "output", "text": "abc"}, {"kind": "usage", "tokens": 3}])
    [{'kind': 'output', 'text': 'password='}, {'kind': 'output', 'text': '••••••••'}, {'kind': 'usage', 'tokens': 3}]
    """
    told = [dict(row) for row in rows]
    said = [row for row in told if row.get("kind") == "output"]
    lines = [(str(row.get("stream", "token")), str(row.get("text", "")), f"{row.get('run')}/{row.get('node')}") for row in said]
    for row, text in zip(said, masked_lines(lines, None), strict=True):
        row["text"] = text
    return [dict(hidden) for row in told if isinstance(hidden := veiled(row), dict)]
