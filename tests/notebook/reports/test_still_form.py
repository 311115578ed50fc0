"""The still form of runs: what was said, when, on what store and how it failed, bounded and without a script."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from pocketflex_nb import Flow, Run, emit, launch, linear, node
from pocketflex_nb.notebook.reports.still_form import BOUND, as_html, as_markdown


class _Page(HTMLParser):
    """Tags that are open, seen and wrongly closed, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.wrong += [name for name, _ in attrs if name.startswith("on")]
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.said += data


def _run(lines: int = 3, *, fails: bool = False, size: int = 10) -> Run:
    @node
    def talk(shared: Any) -> None:
        for number in range(lines):
            emit("log", f"line {number} <script>alert(1)</script>" + "x" * size)
        shared["found"] = "<b>tea</b>"

    @node
    def judge(shared: Any) -> None:
        if fails:
            raise ValueError("no | tea")

    return launch(linear(talk, judge), {"topic": "tea"}, name="story", show=False).wait(30)


def test_the_html_tells_lane_store_timeline_and_error_without_a_script() -> None:
    page = _Page(as_html([_run(fails=True)], "story", "<svg></svg>", mark="pfs-1"))

    assert page.wrong == [] and page.open == []
    assert not page.seen & {"script", "style", "svg", "b"}
    for part in ("story", "1 failed", "line 0 <script>", "line 2", "found", "<b>tea</b>", "ValueError", "in judge", "no | tea"):
        assert part in page.said, part
    assert {"details", "img", "table", "pre"} <= page.seen


@pytest.mark.parametrize(("runs", "lines", "size"), [(1, 480, 300), (40, 30, 200), (80, 2, 10)])
def test_the_html_is_bounded_and_counts_what_was_cut(runs: int, lines: int, size: int) -> None:
    made = [_run(lines, size=size) for _ in range(runs)]

    text = as_html(made, "many", "<svg></svg>")

    page = _Page(text)
    assert len(text) <= BOUND and page.wrong == []
    told = min(runs, 60)
    assert text.count("<details style") + text.count("<details open style") == told
    assert (f"{runs - told} more run" in page.said) == (told < runs)
    kept = page.said.count("<script>")
    assert kept > 0
    assert ("earlier line" in page.said) == (kept < told * lines)


def test_the_latest_lines_stay_when_the_oldest_are_dropped() -> None:
    page = _Page(as_html([_run(480, size=300)], "long", ""))

    assert "line 479 " in page.said and "line 0 " not in page.said


def test_a_diagram_that_takes_too_much_room_is_left_out_and_that_is_said() -> None:
    text = as_html([_run()], "large", "<svg>" + "x" * BOUND + "</svg>")

    assert len(text) <= BOUND and "too large" in text


def test_the_markdown_is_one_screen_with_diagram_steps_lines_and_error() -> None:
    text = as_markdown([_run(100, fails=True)], "story")

    assert text.startswith("**story**: 1 failed, 2 steps, ")
    assert "```mermaid\nflowchart" in text and "| step | action | time |" in text
    assert "line 99 " in text and "line 1 " not in text
    assert "**ValueError** in judge: no \\| tea" in text
    assert len(text.splitlines()) < 60 and text.count("```") % 2 == 0


def test_a_run_and_a_group_as_last_value_bring_their_story_with_them() -> None:
    run, group = _run(), launch([Flow(node(lambda shared: None))] * 3, name="three", show=False).wait(20)

    for thing, name in ((run, run.name), (group, "three")):
        bundle = thing._repr_mimebundle_()
        assert list(bundle) == ["text/html", "text/markdown", "image/svg+xml"]
        assert name in bundle["text/html"] and name in bundle["text/markdown"]
        assert sum(map(len, bundle.values())) <= BOUND
