"""The export menu of a run view: files beside the notebook, and the diagram as Mermaid text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from pocketflex_nb.notebook.reports.html_page import TOLD, page
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.views.diagrams.node_colours import colour_numbers
from pocketflex_nb.views.diagrams.timeline import timeline

__all__ = ["EXPORTS", "exported", "file_name"]

#: what the menu writes: the end of the file's name
EXPORTS = {"html": ".html", "svg": ".svg", "timeline": "-timeline.svg"}
#: characters of a name that come from the title
_LONGEST = 60


def file_name(title: str, what: str, number: int = 1) -> str:
    """A name that every file system takes: ``night-run.html``, with a number from the second on."""
    stem = re.sub(r"[^\w.-]+", "-", title[:_LONGEST]).strip("-._") or "run"
    return f"{stem}{'' if number == 1 else f'-{number}'}{EXPORTS[what]}"


def exported(what: str, runs: Sequence[ViewedRun], title: str, diagram: str) -> Path:
    """Write a file into the working folder, which is the notebook's; returns its path. No file is written over.

    Parameters
    ----------
    what : str
        One of `EXPORTS`: the whole as a page, the diagram, the timeline.
    runs : sequence of Run
        Of the timeline the first 60 are drawn.
    title : str
        Heading of the page, and the file's name.
    diagram : str
        The diagram as SVG text.

    Raises
    ------
    OSError
        The folder cannot be written to.
    """
    if what == "html":
        text = page(list(runs), title=title)
    elif what == "svg":
        text = diagram
    else:
        text = timeline({run.name: run.state() for run in runs[:TOLD]}, colours=colour_numbers(run.graph for run in runs[:TOLD]))
    for number in count(1):
        target = Path(file_name(title, what, number))
        try:
            with target.open("x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except FileExistsError:
            continue
        return target
    raise AssertionError  # numbers do not end
