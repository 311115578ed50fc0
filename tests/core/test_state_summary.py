"""A step's own summary: on its node, in the run's state, in the picture, and never a secret."""

from __future__ import annotations

from typing import Any

import pytest

from pocketflex_nb import Flow, Node, emit, launch, replay
from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel
from pocketflex_nb.views.diagrams.flow_svg import svg
from pocketflex_nb.views.text.summary_text import summary_text


class Search(Node):
    def exec(self, prep_res: Any) -> None:
        emit("summary", "**3 sources** in `docs`")


class Leak(Node):
    def exec(self, prep_res: Any) -> None:
        emit("summary", "api_key=sk-abcdefghijklmnop1234")


def test_a_summary_stands_on_its_node_and_on_its_run() -> None:
    search, leak = Search(), Node()
    search >> leak
    run = launch(Flow(search), {}, show=False).wait(10)

    for state in (run.state(), replay(run.events)):
        assert state.nodes["Search"].summary == state.summary == "**3 sources** in `docs`"
    assert RunViewModel([run]).states(run.flow)["Search"][2] == "3 sources in docs"
    assert ">3 sources in docs</text>" in svg(run.graph, run.state())


def test_a_secret_in_a_summary_is_masked() -> None:
    run = launch(Flow(Leak()), {}, show=False).wait(10)

    told = svg(run.graph, run.state()) + str(RunViewModel([run]).states(run.flow))

    assert "abcdefghijklmnop" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [("## Done: 2 of 3", "Done: 2 of 3"), ("- _one_ and `two`", "one and two"), ("a * b * c", "a * b * c"),
     ("snake_case_name", "snake_case_name"),
     ("[text](https://example.org) and ![x](y.png)", "text and x"), ("\n\nsecond\nthird", "second"), ("", "")],
)
def test_markdown_becomes_one_plain_line(text: str, told: str) -> None:
    assert summary_text(text) == told
