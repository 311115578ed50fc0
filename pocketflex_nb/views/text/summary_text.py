"""`summary_text`: a step's one-line summary, as small plain text for a picture or a table."""

from __future__ import annotations

import re
from functools import lru_cache

from pocketflex_nb.views.text.redaction import redacted_head
from pocketflex_nb.views.text.safe_text import shown

__all__ = ["summary_text"]

_LINK = re.compile(r"!?\[([^\][]{0,300})\]\([^()\s]{0,500}\)")
_CODE = re.compile(r"(`{1,3})([^`\n]{1,300})\1")
_MARKS = re.compile(r"(\*\*|__|~~|\*|_)(?=\S)([^*_~\n]{1,300})(?<=\S)\1(?!\w)")
_HEAD = re.compile(r"^\s{0,3}(?:#{1,6}|[-*+>]|\d{1,3}[.)])\s+")


@lru_cache(maxsize=1_024)
def summary_text(text: str, limit: int = 160) -> str:
    """The first line of a Markdown text without its marks, with secrets masked and control characters written out.

    Parameters
    ----------
    limit : int
        Characters at most.

    Examples
    --------
    >>> summary_text("**3 sources** found in `asyncio` ([list](https://example.org))")
    '3 sources found in asyncio (list)'
    >>> summary_text("# token=abcdef")
    'token=••••••••'
    """
    line = next((line for line in redacted_head(text, 4 * limit)[: 4 * limit].splitlines() if line.strip()), "")
    line = _LINK.sub(r"\1", _HEAD.sub("", line))
    line = _MARKS.sub(r"\2", _CODE.sub(r"\2", line)).strip()
    return shown(line, limit)
