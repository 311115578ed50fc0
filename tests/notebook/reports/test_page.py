"""A run as a file of its own: one page, two pictures, nothing fetched, nothing that a notebook is needed for."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pocketflex_nb import Flow, Node, emit, launch, node
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.reports.html_page import page

_KEY = "sk-abcdefghijklmnop1234"


class Count(Node):
    def exec(self, prep_res: Any) -> None:
        emit("log", "said <b>aloud</b>")

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["n"], shared["api_key"] = shared.get("n", 0) + 1, _KEY
        return "again" if shared["n"] < 3 else "end"


class Divide(Node):
    def prep(self, shared: Any) -> int:
        return shared["n"]

    def exec(self, number: int) -> float:
        return number / 0


def _flow(last: Node) -> Flow:
    count = Count()
    count - "again" >> count
    count - "end" >> last
    return Flow(count, name="counting")


def _run(last: Node) -> Run:
    return _flow(last).launch({"topic": "<script>"}, show=False).wait(10)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_whole_and_tells_what_happened(tmp_path: Path) -> None:
    written = _run(Divide()).to_html(tmp_path / "run.html")

    text, tags = written.read_text(encoding="utf-8"), _Tags()
    tags.feed(text)
    assert tags.open == []
    assert not tags.seen & {"script", "img", "link", "iframe", "b"}
    for told in ("said &lt;b&gt;aloud&lt;/b&gt;", "ZeroDivisionError", "division by zero", "return number / 0", "topic", "node failed"):
        assert told in text, told
    assert _KEY not in text
    assert text.count("<svg") == 2


def test_a_group_is_one_page_with_each_flow_drawn_once(tmp_path: Path) -> None:
    good = _flow(Node())
    group = launch([good, good, _flow(Divide())], show=False).wait(10)

    text = group.to_html(str(tmp_path / "group.html")).read_text(encoding="utf-8")

    assert text.count("<figcaption>counting") == 2
    assert text.count('<details class=run open>') == 3


def test_a_crowd_is_told_by_its_sums_and_each_run_of_it(tmp_path: Path) -> None:
    text = launch([_flow(Node())] * 70, show=False).wait(20).to_html(tmp_path / "crowd.html").read_text(encoding="utf-8")

    assert "70 done" in text
    assert "210 done" in text
    assert text.count("<details class=run>") == 70


def test_every_value_output_message_and_event_is_told_in_full(tmp_path: Path) -> None:
    import pandas as pd

    @node
    def talk(shared: Any) -> None:
        for number in range(700):
            emit("log", f"line {number} {'x' * 600} end{number}\n")
        emit("message", "said " + "m" * 9_000 + " last", role="assistant")
        shared["long"] = "a" * 30_000 + "<end>"
        shared["deep"] = {"items": [{"n": n, "api_key": _KEY, "text": "t" * 3_000 + f"tail{n}"} for n in range(300)]}
        shared["table"] = pd.DataFrame({"n": range(250), "secret_token": ["hush"] * 250})
        shared.update({f"key{number}": number for number in range(90)})

    text = Flow(talk, name="full").launch({}, show=False).wait(30).to_html(tmp_path / "full.html").read_text(encoding="utf-8")

    for told in ("end0\n", "end699", "m last", "a&lt;end&gt;", "tail0", "tail299", "<td>249</td>", "key89", "store changed"):
        assert told in text, told
    tags = _Tags()
    tags.feed(text)
    assert tags.open == [] and _KEY not in text and "hush" not in text


def test_runs_inside_a_step_stand_inside_of_the_run_around(tmp_path: Path) -> None:
    @node
    def inner(shared: Any) -> None:
        emit("log", f"inside {shared['n']}")

    @node
    async def survey(shared: Any) -> None:
        await Flow(inner, name="look").launch_each("n", range(3), name="readers")

    text = Flow(survey, name="around").launch({}, show=False).wait(30).to_html(tmp_path / "in.html").read_text(encoding="utf-8")

    around, _, inside = text.partition("survey began 3 runs: 3 done")
    assert all(f"<pre>inside {number}</pre>" in inside for number in range(3))
    assert "<pre>inside" not in around


def test_diagram_and_timeline_are_svg_files_of_their_own() -> None:
    run = _run(Node())

    for text in (run.to_svg(), run.to_timeline(), launch([_flow(Node())] * 2, show=False).wait(10).to_timeline()):
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"


def test_no_kernel_is_needed_to_write_a_page(tmp_path: Path) -> None:
    code = (
        "import sys; from pocketflex_nb import Flow, Node\n"
        f"print(Flow(Node(), name='plain').launch({{}}).wait(10).to_html({str(tmp_path / 'plain.html')!r}).name)"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert told.stdout.strip() == "plain.html"


def test_runs_inside_steps_and_private_stores_are_told_under_the_step_that_has_them() -> None:
    class Inner(Node):
        def exec(self, prep_res: Any) -> None:
            emit("log", "said inside <i>it</i>")

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["found"], shared["scrap"] = shared.get("page", 0), "only in the private store"

    class Survey(Node):
        async def exec(self, prep_res: Any) -> None:
            await Flow(Inner(), name="reader").launch_each("page", range(3), show=False)

    survey = Survey()
    survey >> Flow(Inner(), name="write", outputs=["found"])
    run = Flow(survey, name="report").launch({}, show=False).wait(10)

    text = page([run])
    outer, _, inside = text.partition("Survey began 3 runs: 3 done")
    tags = _Tags()
    tags.feed(text)

    assert "Private store of report/write#1" in outer
    assert "only in the private store" in outer
    assert inside.count("<pre>said inside &lt;i&gt;it&lt;/i&gt;") == 3
    assert "<script" not in text
    assert tags.open == []
