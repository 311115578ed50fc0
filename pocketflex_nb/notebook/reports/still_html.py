"""The HTML that still forms are made of: folded sections, tables, and pictures as images, without a script.

Notebooks are read where styles, SVG, classes and attributes are removed: on GitHub, in JupyterLab before a notebook is trusted, in pages
that sanitise. So the order and the words carry everything, pictures are images with a text that says what they show, and the style sheet
only adds colours, of both themes.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence

from pocketflex_nb.core.units import count_text
from pocketflex_nb.views.diagrams.palette import PALETTE
from pocketflex_nb.views.text.page_text import clean

__all__ = [
    "document", "escaped", "fitting", "folded", "fragment_size", "image", "markdown_table", "markdown_text", "preformatted", "remark",
    "status_word", "table",
]

#: what a line of a text adds to a notebook file, which keeps a text as a list of lines: indentation, quotes and a comma
_LINE = 12
_BOX = "border:1px solid rgba(128,128,128,.45);border-radius:6px;padding:4px 10px;margin:6px 0"
_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0;font-size:12px"
_CELL = "text-align:left"
#: statuses that the palette has under another name
_ALIAS = {"pending": "idle", "paused": "waiting", "unfinished": "waiting"}
_STATUSES = ("pending", "running", "paused", "asking", "done", "failed", "cancelled", "unfinished")


def escaped(text: object) -> str:
    """`text` for an element or an attribute."""
    return html.escape(str(text))


def fragment_size(text: str) -> int:
    """Bytes that `text` takes in a notebook file."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")) + _LINE * text.count("\n")


def document(mark: str, parts: Iterable[str]) -> str:
    """A still form: its parts below one element with the mark that a live view looks for. What was said is no mathematics: ``$5 or $6``."""
    body = "".join(parts)
    return f'<div class="pf-still mathjax_ignore tex2jax_ignore" data-static="{escaped(mark)}"><style>{_STYLE}</style>{body}</div>'


def folded(title: str, body: str, *, is_open: bool = False, is_boxed: bool = False) -> str:
    """A section that is opened by a click on its title.

    Parameters
    ----------
    title, body : str
        HTML. A section without a body is left out.
    is_open : bool
        Whether it is open at first.
    is_boxed : bool
        Whether it has a border.
    """
    if not body:
        return ""
    box = f' style="{_BOX}"' if is_boxed else ""
    return f"<details{' open' if is_open else ''}{box}><summary>{title}</summary>{body}</details>"


def preformatted(text: str) -> str:
    """A text whose lines stay lines; long ones are wrapped."""
    return f'<pre style="{_TEXT}">{escaped(text)}</pre>' if text else ""


def remark(text: str) -> str:
    """A remark of ours, such as what was left out."""
    return f"<p><em>{escaped(text)}</em></p>" if text else ""


def status_word(status: str, text: str | None = None) -> str:
    """A status in its colour, and in words."""
    return f'<span class="pf-is-{escaped(status)}">{escaped(text or status)}</span>'


def image(picture: str, words: str) -> str:
    """An SVG text as an image, with the words that say what it shows. It is decoded only where it is seen.

    Parameters
    ----------
    picture : str
        SVG; ``""``: no image.
    words : str
        Plain text.
    """
    if not picture:
        return ""
    data = b64encode(picture.encode("utf-8", "replace")).decode()
    return f'<p><img alt="{escaped(words)}" loading="lazy" style="max-width:100%" src="data:image/svg+xml;base64,{data}"></p>'


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], room: int, *, more: int = 0) -> str:
    """A table of as many of the first rows as fit, and how many there are besides; ``""`` when there is none.

    Parameters
    ----------
    heads : sequence of str
        Names of the columns.
    rows : iterable of sequences
        Plain values.
    room : int
        Bytes.
    more : int
        Rows that exist and are not among `rows`.
    """
    lines = ("<tr>" + "".join(f'<td style="{_CELL}">{escaped(cell)}</td>' for cell in row) + "</tr>" for row in rows)
    body, cut = fitting(lines, room - 400)
    more += cut
    note = remark(f"{count_text(more, 'more row')} not kept here") if more else ""
    if not body:
        return note
    head = "".join(f'<th scope="col" style="{_CELL}">{escaped(name)}</th>' for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def fitting(parts: Iterable[str], room: int) -> tuple[str, int]:
    """The first parts that fit into so many bytes, and how many do not."""
    drawn: list[str] = []
    cut = 0
    for part in parts:
        room -= fragment_size(part)
        if room < 0:
            cut += 1
        else:
            drawn.append(part)
    return "".join(drawn), cut


def markdown_text(text: str) -> str:
    """Text that Markdown and its tables take as it stands, in one line."""
    return "".join(f"\\{ch}" if ch in "\\`*_|<>[]#" else ch for ch in clean(text, 300).replace("\n", " "))


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of plain values."""
    told = [heads, ["---"] * len(heads)]
    lines = [f"| {' | '.join(head)} |" for head in told]
    return "\n".join([*lines, *(f"| {' | '.join(markdown_text(str(cell)) for cell in row)} |" for row in rows)])


def _colours(theme: str, within: str = "") -> str:
    return "".join(f"{within}.pf-is-{name}{{color:{PALETTE[theme][_ALIAS.get(name, name)].strong}}}" for name in _STATUSES)


def _themed() -> str:
    """Colours by the reader's theme: JupyterLab's own where it says which, else the browser's."""
    rules = [_colours("light"), f"@media (prefers-color-scheme:dark){{{_colours('dark')}}}"]
    for flag, theme in (("true", "light"), ("false", "dark")):
        lab = f'[data-jp-theme-light="{flag}"] '
        rules += [f"{lab}.pf-still img{{color-scheme:{theme}}}", _colours(theme, lab)]
    return "".join(rules)


_STYLE = (
    ".pf-still [class^=pf-is-]{font-weight:600}.pf-still summary{cursor:pointer}.pf-still p{margin:4px 0}"
    ".pf-still table{border-collapse:collapse;margin:4px 0}"
    ".pf-still .pf-who{font-size:12px;margin:6px 0 0}"
    ".pf-still td{vertical-align:top;overflow-wrap:anywhere}.pf-still details details{margin:4px 0}"
    # JupyterLab's words in the place of a live view that it cannot restore: the still form below tells the story
    ".jp-OutputArea-child:has(>.lm-Panel.jp-OutputArea-output:not(:has(*))):has(+.jp-OutputArea-child .pf-still){display:none}"
    + _themed()
)
