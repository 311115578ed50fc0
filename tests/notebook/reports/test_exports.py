"""What the menu of a run view takes out: files beside the notebook, never one over another, and the diagram as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pocketflex_nb import Flow, Node
from pocketflex_nb.notebook.reports.export_menu import file_name
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

_KEY = "sk-abcdefghijklmnop1234"


class Draft(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["api_key"] = _KEY


@pytest.fixture
def view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunView, list[dict[str, Any]]]:
    monkeypatch.chdir(tmp_path)
    draft = Draft()
    draft >> Node()
    made = RunView(Flow(draft, name="night").launch({}, show=False).wait(10), follow=False, name="night: the <first>")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(made, "send", lambda content, buffers=None: sent.append(content))
    return made, sent


@pytest.mark.parametrize(
    ("what", "name"),
    [("html", "night-the-first.html"), ("svg", "night-the-first.svg"), ("timeline", "night-the-first-timeline.svg")],
)
def test_each_file_stands_beside_the_notebook_and_is_whole(view: Any, tmp_path: Path, what: str, name: str) -> None:
    shown, sent = view

    shown._command(shown, {"do": "export", "what": what}, [])

    text = (tmp_path / name).read_text(encoding="utf-8")
    assert sent[-1]["said"] == f"Written to {name}, beside the notebook."
    assert "Draft" in text and _KEY not in text
    if what == "html":
        assert text.startswith("<!doctype html>") and "&lt;first&gt;" in text
    else:
        assert ElementTree.fromstring(text).tag.endswith("svg")


def test_no_file_is_written_over(view: Any, tmp_path: Path) -> None:
    shown, sent = view
    (tmp_path / "night-the-first.svg").write_text("mine")

    for _ in range(2):
        shown._command(shown, {"do": "export", "what": "svg"}, [])

    assert (tmp_path / "night-the-first.svg").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"night-the-first{n}.svg" for n in ("-2", "-3", "")]
    assert "night-the-first-3.svg" in sent[-1]["said"]


def test_a_folder_that_takes_no_file_is_told(view: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, sent = view
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    shown._command(shown, {"do": "export", "what": "html"}, [])

    assert sent[-1]["said"].startswith("Nothing was written: No such file or directory")


def test_the_diagram_is_sent_as_mermaid_text(view: Any) -> None:
    shown, sent = view

    shown._command(shown, {"do": "mermaid", "flow": 0}, [])

    assert sent[-1]["copied"] == shown.runs[0].flow.to_mermaid()
    assert "Draft" in sent[-1]["copied"]


def test_what_a_page_makes_up_does_nothing(view: Any, tmp_path: Path) -> None:
    shown, sent = view

    for request in ({"do": "export", "what": "../x"}, {"do": "export"}, {"do": "mermaid", "flow": "x"}, {"do": "export", "what": ["html"]}):
        shown._command(shown, request, [])

    assert sent == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("a/b\\c", "a-b-c.html"), ("../../etc", "etc.html"), ("***", "run.html"), ("Größe ü", "Größe-ü.html"),
        ("x" * 200, "x" * 60 + ".html"),
    ],
)
def test_a_title_makes_a_name_that_stays_in_the_folder(title: str, name: str) -> None:
    assert file_name(title, "html") == name
