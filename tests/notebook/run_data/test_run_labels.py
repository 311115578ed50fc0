"""What lanes and tabs are called: by item, by key, by name, or by the variable that holds the flow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, launch
from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel, flow_names


class Work(Node):
    pass


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setitem(sys.modules, "IPython", sys)
    held = vars(sys.modules["__main__"])
    before = set(held)
    yield held
    for name in set(held) - before:
        del held[name]


def _lanes(group: Any) -> list[str]:
    return [lane["name"] for lane in RunViewModel(list(group.wait(10))).lanes(5)]


def test_items_name_the_lanes_of_launch_each() -> None:
    flow = Flow(Work(), name="report")

    assert _lanes(flow.launch_each("topic", ["solar", "wind"], show=False)) == ["solar", "wind"]
    assert _lanes(flow.launch_each("n", [1, 2.5], show=False)) == ["n=1", "n=2.5"]
    assert _lanes(flow.launch_each(None, [{"topic": "sea", "depth": 2}], show=False)) == ["sea, depth=2"]


def test_a_secret_item_names_nothing() -> None:
    (name,) = _lanes(Flow(Work()).launch_each("api_key", ["sk-abcdefghijklmnop1234"], show=False))

    assert "abcdef" not in name


def test_keys_of_a_dict_and_given_names_stay() -> None:
    assert _lanes(launch({"a": Flow(Work()), "b": Flow(Work())}, show=False)) == ["a", "b"]
    assert [name.partition("-")[0] for name in _lanes(launch([Flow(Work(), name="night")] * 2, show=False))] == ["night", "night"]


def test_a_variable_names_a_flow_that_has_no_name(main: dict[str, Any]) -> None:
    main["research"], main["check"] = Flow(Work()), Flow(Work())
    group = launch([main["research"], main["check"]], show=False)

    assert [name.partition("-")[0] for name in _lanes(group)] == ["research", "check"]
    assert flow_names([run.flow for run in group]) == ["research", "check"]


def test_items_of_the_magic_name_its_lanes(shell: Any) -> None:
    shell.run("flow = Flow(Node(), name='report')\ntopics = ['solar', 'wind']")
    shell.run("%pocketflex run flow --each topic=@topics -n 2 -o group")

    assert _lanes(shell.names["group"]) == ["solar", "solar", "wind", "wind"]
