"""Users' text made safe to draw: escaped, with hidden and reordering characters written out.

Pictures are read where no font can be measured, so widths are estimated a little generously, by classes of characters.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

__all__ = ["attribute", "inert", "shown", "xml"]

_HIDDEN = frozenset(range(0x202A, 0x202F)) | frozenset(range(0x2066, 0x206A)) | {0x200E, 0x200F, 0x061C, 0xFEFF, 0xFFFE, 0xFFFF}


def shown(text: object, limit: int = 2_000) -> str:
    r"""`text` with every character that would hide, reorder or break its surroundings written out (``\x07``, ``\u202e``).

    At most `limit` characters are looked at, so a 10 MB string costs nothing.
    """
    raw = text if isinstance(text, str) else str(text)
    raw = raw[:limit]
    if raw.isascii() and raw.isprintable():
        return raw
    return "".join(_shown_char(ch) for ch in raw)


def inert(text: str) -> str:
    r"""`text` with terminal control, hiding and reordering characters written out; newlines and tabs stay.

    Examples
    --------
    >>> inert("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    if text.isascii() and text.replace("\n", " ").replace("\t", " ").isprintable():
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


