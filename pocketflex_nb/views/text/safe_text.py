"""A user's text made safe to draw, and how wide it will be.

Pictures are read where no font can be measured, so widths are estimated a little generously, by classes of characters.
"""

from __future__ import annotations

import unicodedata
from xml.sax.saxutils import escape

__all__ = ["attribute", "cut", "inert", "shown", "width", "wrap", "xml"]

_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]{}`-* \"/\\"), frozenset("mwMW@%&")
_HIDDEN = frozenset(range(0x202A, 0x202F)) | frozenset(range(0x2066, 0x206A)) | {0x200E, 0x200F, 0x061C, 0xFEFF, 0xFFFE, 0xFFFF}
_ASCII = {
    ch: 0.36 if ch in _NARROW else 0.95 if ch in _WIDE else 0.72 if ch.isupper() else 0.61 for ch in map(chr, range(32, 127))
}


def shown(text: object, limit: int = 2_000) -> str:
    r"""`text` with every character that would hide, reorder or break what is around it written out (``\x07``, ``\u202e``).

    At most `limit` characters are looked at, so a 10 MB string costs nothing.
    """
    raw = text if isinstance(text, str) else str(text)
    raw = raw[:limit]
    if raw.isascii() and raw.isprintable():
        return raw
    return "".join(_shown_char(ch) for ch in raw)


def inert(text: str) -> str:
    r"""`text` with the characters written out that would command a terminal, or hide or reorder; newlines and tabs stay.

    Examples
    --------
    >>> inert("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(ch if ch in "\n\t" else "\\r" if ch == "\r" else _shown_char(ch) for ch in text)


def _shown_char(ch: str) -> str:
    code = ord(ch)
    if ch in "\n\t\r":
        return " "
    if code in _HIDDEN or 0xD800 <= code <= 0xDFFF:
        return f"\\u{code:04x}"
    if code < 32 or 127 <= code < 160:
        return f"\\x{code:02x}"
    return ch


def xml(text: object, limit: int = 2_000) -> str:
    """`text` for the inside of an element, inert."""
    return escape(shown(text, limit))


def attribute(text: object, limit: int = 2_000) -> str:
    """`text` for a double-quoted attribute, inert."""
    return escape(shown(text, limit), {'"': "&quot;", "'": "&#39;"})


def width(text: str, size: float) -> float:
    """Estimated width of `text` in pixels at a font size of `size` pixels."""
    return size * sum(_ASCII[ch] if ch in _ASCII else _em(ch) for ch in text)


def _em(ch: str) -> float:
    if unicodedata.combining(ch) or unicodedata.category(ch) in ("Mn", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(ch) in ("W", "F"):
        return 1.05
    return 0.75 if ch.isupper() else 0.64


def cut(text: str, room: float, size: float) -> str:
    """`text`, or as much of it as fits into `room` pixels, ending with an ellipsis."""
    if width(text[:400], size) <= room and len(text) <= 400:
        return text
    room -= width("…", size)
    for number, ch in enumerate(text):
        room -= width(ch, size)
        if room < 0:
            return text[:number].rstrip() + "…"
    return text


def wrap(text: str, room: float, size: float, lines: int) -> list[str]:
    """`text` in at most `lines` lines of `room` pixels, broken between words; what does not fit is cut."""
    if width(text, size) <= room:
        return [text]
    words = text.split() or [""]
    rows: list[str] = []
    while words and len(rows) < lines - 1:
        row = words.pop(0)
        while words and width(f"{row} {words[0]}", size) <= room:
            row = f"{row} {words.pop(0)}"
        rows.append(cut(row, room, size))
    if words:
        rows.append(cut(" ".join(words), room, size))
    return rows
