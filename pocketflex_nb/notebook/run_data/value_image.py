"""Images of values that are pictures, if they are small or the library that made them can scale them down."""

from __future__ import annotations

import base64
import io
import sys

__all__ = ["LARGEST", "SIDE", "image_of"]

#: bytes of a picture at most, and pixels of a thumbnail's longer side
LARGEST, SIDE = 60_000, 320
_HEADS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}


def image_of(value: object) -> str:
    """A ``data:`` address of `value`, if it is a picture: bytes of PNG, JPEG or GIF, or an image of Pillow; else ``""``."""
    try:
        return _address(value)
    except Exception:  # a picture that cannot be drawn is told as text
        return ""


def _address(value: object) -> str:
    if isinstance(value, (bytes, bytearray)):
        kind = next((kind for head, kind in _HEADS.items() if value[:8].startswith(head)), None)
        return _told(bytes(value), kind) if kind and len(value) <= LARGEST else ""
    pillow = sys.modules.get("PIL.Image")
    if pillow is None or not isinstance(value, pillow.Image):
        return ""
    small = value.copy()
    small.thumbnail((SIDE, SIDE))
    kept = io.BytesIO()
    small.save(kept, "PNG")
    return _told(kept.getvalue(), "png") if kept.tell() <= LARGEST else ""


def _told(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
