"""The still form of runs: what was said, when, on what store and how it failed, bounded and without a script."""

from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import nbformat
import pytest

from pocketflex_nb import Flow, Node, Run, ask, emit, launch, linear, node
from pocketflex_nb.notebook.reports.still_form import BOUND, BOUND_LIVE, as_html, as_markdown, still_story
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

_KEY = "sk-abcdefghijklmnop1234"
_EVIL = "</details></pre><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x07 ``` | **b**"


class _Page(HTMLParser):
    """Tags that are open, seen and wrongly closed, texts of images, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self.alt: list[str] = []
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.wrong += [name for name, _ in attrs if name.startswith("on")]
        if tag == "img":
            self.alt.append(dict(attrs).get("alt") or "")
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.said += data if self.open[-1:] != ["style"] else ""


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


def _saved_size(bundle: dict[str, str]) -> int:
    """Bytes of an output with this bundle in a notebook file."""
    made = [nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=outputs)])
            for outputs in ([], [nbformat.v4.new_output("display_data", data=bundle)])]
    empty, full = (len(nbformat.writes(notebook).encode()) for notebook in made)
    return full - empty


def test_the_html_tells_lane_store_timeline_and_error_without_a_script() -> None:
    page = _Page(as_html([_run(fails=True)], "story", "<svg></svg>", mark="pfs-1"))

    assert page.wrong == [] and page.open == []
    assert not page.seen & {"script", "svg", "b", "link", "iframe"}
    for part in ("story", "1 failed", "line 0 <script>", "line 2", "found", "<b>tea</b>", "ValueError", "in judge", "no | tea", "talk"):
        assert part in page.said, part
    assert {"details", "img", "table", "pre"} <= page.seen


def test_the_words_of_each_image_say_what_it_shows() -> None:
    run = _run(fails=True)

    diagram, timeline = _Page(RunView(run).still_bundle()["text/html"]).alt

    assert diagram == f"Flow {run.name}: 2 nodes, 1 arrow; 1 done, 1 failed. talk done → judge, judge failed"
    assert timeline.startswith("Timeline of 2 steps: talk default after ") and "; judge failed after " in timeline


@pytest.mark.parametrize(("runs", "lines", "size"), [(1, 480, 300), (1, 480, 900), (1, 5_000, 10), (40, 30, 200), (80, 2, 10)])
def test_the_html_is_bounded_and_counts_what_was_cut(runs: int, lines: int, size: int) -> None:
    made = [_run(lines, size=size) for _ in range(runs)]

    text = as_html(made, "many", "<svg></svg>")

    page = _Page(text)
    assert len(text.encode()) <= BOUND and page.wrong == []
    told = min(runs, 60)
    assert text.count("<details style") + text.count("<details open style") == told
    assert (f"{runs - told} more run" in page.said) == (told < runs)
    kept = page.said.count("<script>")
    assert kept > 0
    cut = sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) earlier line", page.said))
    assert kept + cut == told * lines


def test_the_latest_lines_stay_when_the_oldest_are_dropped() -> None:
    page = _Page(as_html([_run(480, size=900)], "long", ""))

    assert "line 479 " in page.said and "line 0 " not in page.said


@pytest.mark.parametrize(
    ("words", "runs"),
    [(_EVIL, 1), ("\U0001f600" * 200, 1), ('"\\\n' * 100, 1), (f"api_key={_KEY} ", 1), (f"{_EVIL}api_key={_KEY} ", 12), (_EVIL, 1_000)],
    ids=["evil", "wide", "escaped", "secret", "some", "crowd"],
)
def test_a_view_of_hostile_or_huge_runs_stays_within_its_bound_in_the_file(words: str, runs: int) -> None:
    lines = 600 if runs == 1 else 40 if runs == 12 else 2

    @node
    def talk(shared: Any) -> None:
        for _ in range(lines):
            print(words)
        print("x" * (10_000_000 if runs == 1 else 1_000))
        shared.update({f"key {number} {words}"[:300]: words for number in range(80)})

    @node
    def judge(shared: Any) -> None:
        raise ValueError(words)

    talk.name = "talk <b>"
    flow = Flow(talk >> judge and talk, name=f"evil {words}"[:200])
    view = RunView(launch([flow] * runs, name=words, show=False).wait(120))
    view.static = "pfs-1"

    bundle = view.still_bundle()
    view.close()

    page = _Page(bundle["text/html"])
    assert _saved_size(bundle) <= BOUND
    assert page.wrong == [] and page.open == [] and not page.seen & {"script", "b"}
    assert _KEY not in str(bundle)
    assert {"text/html", "text/markdown", "text/plain"} <= set(bundle) and next(iter(bundle)) == "text/html"
    assert bundle["text/markdown"].count("```") % 2 == 0


def test_of_a_crowd_the_runs_that_failed_are_told_first() -> None:
    @node
    def pick(shared: Any) -> None:
        if shared["n"] == 99:
            raise ValueError("the last one")

    group = Flow(pick).launch_each("n", range(100), show=False).wait(30)

    page = _Page(as_html(list(group), "crowd", ""))

    assert "the last one" in page.said and "40 more runs not told here" in page.said


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


def test_a_run_that_goes_on_is_told_short_with_its_question_and_when_that_was() -> None:
    class Asks(Node):
        async def exec(self, prep_res: Any) -> Any:
            for number in range(400):
                emit("log", f"line {number} " + "x" * 300)
            return await ask("May it go out?", ["yes", "no"])

    run = Flow(Asks()).launch({}, show=False)
    while run.status != "asking":
        assert not run.done()
    view = RunView(run)
    view.static = "pfs-1"

    light, meanwhile = view.first_bundle(), view.still_bundle()
    run.answer("yes")
    run.wait(10)
    last = view.first_bundle()
    final = view.still_bundle()
    view.close()

    assert light is not None and list(light) == ["text/html", "text/plain"]
    assert _saved_size(meanwhile) <= BOUND_LIVE < _saved_size(final)
    assert "May it go out?" in meanwhile["text/html"] and "As it stood at " in meanwhile["text/html"]
    assert last is None and "As it stood at " not in final["text/html"]


def test_the_runs_inside_a_step_are_told_inside_of_the_run_around() -> None:
    @node
    def inner(shared: Any) -> None:
        emit("log", f"inside {shared['n']}")

    @node
    async def survey(shared: Any) -> None:
        await Flow(inner, name="look").launch_each("n", range(3), name="readers")

    run = Flow(survey, name="around").launch({}, show=False).wait(30)

    page = _Page(as_html([run], "around", ""))

    assert "3 runs inside" in page.said and "begun by survey" in page.said
    assert all(f"inside {number}" in page.said for number in range(3))


def test_a_conversation_is_told_in_both_forms_with_its_calls_of_tools() -> None:
    @node
    def think(shared: Any) -> None:
        emit("message", f"What are tides? {_EVIL}", role="user")
        emit("message", "I look it up.", role="assistant", input_tokens=3, output_tokens=4)
        emit("tool", name="search", arguments={"query": "tides", "api_key": _KEY}, result=["moon"])
        for number in range(400):
            emit("message", f"answer {number} " + "x" * 500, role="assistant")

    bundle = still_story([launch(Flow(think), {}, name="talk", show=False).wait(10)], "talk", [])

    page = _Page(bundle["text/html"])
    assert "conversation" in page.said and "answer 399" in page.said and "left out here" in page.said
    assert page.wrong == [] and not page.seen & {"script"} and _KEY not in str(bundle)
    assert "answer 399" in bundle["text/markdown"] and _saved_size(bundle) <= BOUND


def test_a_run_and_a_group_as_last_value_bring_their_story_with_them() -> None:
    run, group = _run(), launch([Flow(node(lambda shared: None))] * 3, name="three", show=False).wait(20)

    for thing, name in ((run, run.name), (group, "three")):
        bundle = thing._repr_mimebundle_()
        assert list(bundle) == ["text/html", "text/markdown", "image/svg+xml"]
        assert name in bundle["text/html"] and name in bundle["text/markdown"]
        assert _saved_size(bundle) <= BOUND


def test_the_pictures_follow_the_theme_by_themselves() -> None:
    bundle = still_story([_run()], "story", [RunView(_run()).snapshot()])

    pictures = [b64decode(data).decode() for data in re.findall(r"base64,([\w+/=]+)", bundle["text/html"])]

    assert len(pictures) == 2 and all("prefers-color-scheme:dark" in picture for picture in pictures)
    assert "prefers-color-scheme:dark" in bundle["text/html"]
