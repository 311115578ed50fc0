"""Text width, cutting, wrapping and number formats, with no font measured."""

from __future__ import annotations

import unicodedata

__all__ = ["FONT", "LINE", "cut_to_width", "number", "width", "wrap"]


#: font size of labels and distance of their lines, pixels
FONT, LINE = 13.0, 16.0


def number(value: float) -> str:
    """A coordinate as text: one decimal at most, so that equal pictures are equal bytes."""
    rounded = round(value, 1)
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.1f}"

_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]{}`-* \"/\\"), frozenset("mwMW@%&")

_ASCII = {
    ch: 0.36 if ch in _NARROW else 0.95 if ch in _WIDE else 0.72 if ch.isupper() else 0.61 for ch in map(chr, range(32, 127))
}


def width(text: str, size: float) -> float:
    """Estimated width of `text` in pixels at a font size of `size` pixels."""
    return size * sum(_ASCII[ch] if ch in _ASCII else _em(ch) for ch in text)


def _em(ch: str) -> float:
    if unicodedata.combining(ch) or unicodedata.category(ch) in ("Mn", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(ch) in ("W", "F"):
        return 1.05
    return 0.75 if ch.isupper() else 0.64


def cut_to_width(text: str, room: float, size: float) -> str:
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
        rows.append(cut_to_width(row, room, size))
    if words:
        rows.append(cut_to_width(" ".join(words), room, size))
    return rows
