"""Prints into a cell, with secrets masked and terminal control sequences removed."""

from __future__ import annotations

from pocketflex_nb.views.text.safe_messages import speakable

__all__ = ["print_safely"]


def print_safely(*texts: object) -> None:
    """Print `texts` as a terminal and a saved notebook may have them."""
    print(*(speakable(str(text)) for text in texts))
