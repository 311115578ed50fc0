"""`clean`: text for one cell of a page: cut, masked and safe."""

from __future__ import annotations

from functools import lru_cache

from pocketflex_nb.views.text.redaction import redacted_head
from pocketflex_nb.views.text.safe_text import shown

__all__ = ["clean"]


@lru_cache(maxsize=4_096)
def clean(text: str, limit: int = 400) -> str:
    """`text`, cut, with secrets masked and whatever hides or reorders written out; lines stay lines."""
    return "\n".join(shown(line, limit) for line in redacted_head(text, limit)[:limit].split("\n"))
