"""Where a saved notebook is read: nbconvert's HTML and Markdown, and pages that remove styles, classes, data attributes and SVG."""

from __future__ import annotations

import re

import nbformat
import pytest

from pocketflex_nb.notebook.widgets.base.static_fallback import model_of
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
from tests.notebook.reports.test_still_form import _Page, _run

nbconvert = pytest.importorskip("nbconvert")

_PARTS = ("1 failed", "line 0 <script>", "found", "ValueError", "in judge", "timeline", "store", "talk")


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    """A notebook as it is saved below a live view: the widget, which nobody can show, and the still form."""
    view = RunView(_run(fails=True))
    view.static = "pfs-1"
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in (model_of(view), view.still_bundle())]
    view.close()
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("run", outputs=outputs)])


def test_nbconvert_shows_the_html_and_no_other_form_beside_it(notebook: nbformat.NotebookNode) -> None:
    text, _ = nbconvert.HTMLExporter(exclude_input=True).from_notebook_node(notebook)

    body = text[text.index("<main") :]
    page = _Page(body[: body.index("</main>") + len("</main>")])
    assert [part for part in _PARTS if part not in page.said] == []
    assert "script" not in page.seen and body.count("data-static=") == 1 and "flowchart" not in page.said


def test_nbconvert_writes_markdown_with_the_story(notebook: nbformat.NotebookNode) -> None:
    text, _ = nbconvert.MarkdownExporter().from_notebook_node(notebook)

    assert all(part in text for part in ("1 failed", "ValueError", "line 0 &lt;script&gt;", "<details"))


def test_a_page_that_removes_styles_classes_and_marks_still_tells_all(notebook: nbformat.NotebookNode) -> None:
    told = notebook.cells[0].outputs[1].data["text/html"]
    told = re.sub(r"<style>.*?</style>", "", told, flags=re.S)
    told = re.sub(r' (?:style|class|id|loading|data-[\w-]+)="[^"]*"', "", told)

    page = _Page(told)

    assert "=" not in "".join(re.findall(r"<(?:div|p|pre|span|strong|summary|table|td)\b([^>]*)>", told))
    assert [part for part in _PARTS if part not in page.said] == []
    assert {"details", "summary", "table", "pre", "img"} <= page.seen and all(page.alt)
    without_images = re.sub(r"<img[^>]*>", "", told)
    assert [part for part in _PARTS if part not in _Page(without_images).said] == []


def test_a_reader_that_takes_text_only_gets_one_screen(notebook: nbformat.NotebookNode) -> None:
    told = notebook.cells[0].outputs[1].data["text/markdown"]

    assert len(told.splitlines()) < 60 and "| judge | failed |" in told and "flowchart" in told
