"""How things show themselves in marimo and outside of any notebook; `tests/kernel/test_things_show_themselves.py` asks a real kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from ipywidgets import Widget

from pocketflex_nb import Agent, Flow, Run, Store, Supervisor, child, launch, node, open_queue, trace
from pocketflex_nb.notebook.cells import drawings
from pocketflex_nb.notebook.cells.drawings import draw


class Idler(Agent):
    pass


def _done() -> Run:
    return launch(Flow(node(lambda shared: None), name="report"), show=False).wait(20)


def _team() -> Supervisor:
    return Supervisor([child(Idler, id="idler")]).start_sync()


_WIDGETS: dict[str, Callable[[], Any]] = {"run": _done, "group": lambda: launch([Flow(node(lambda shared: None))], show=False).wait(20),
                                          "store": lambda: Store({"topic": "tea"}), "supervisor": _team, "trace": trace}


@pytest.mark.parametrize("kind", _WIDGETS)
def test_marimo_is_given_a_live_widget(kind: str) -> None:
    thing = _WIDGETS[kind]()

    shown = thing._display_()

    assert isinstance(shown, Widget), shown
    shown.close()
    if kind == "supervisor":
        thing.stop_sync()


@pytest.mark.parametrize(
    ("thing", "part"), [(Flow(node(lambda shared: None), name="report"), "<svg"), (open_queue("memory://drawn"), "Queue drawn at")]
)
def test_marimo_is_given_a_picture_of_what_has_no_live_view(thing: Any, part: str) -> None:
    kind, text = thing._display_()._mime_()

    assert kind == "text/html" and part in text


def test_a_queue_says_how_many_messages_it_holds() -> None:
    with open_queue("memory://counted") as queue:
        for number in range(3):
            queue.put_sync(number)
        held = queue.get_sync()

        table = queue._repr_mimebundle_()["text/html"]

        held.ack_sync()
    assert [table.count(f">{n}</td>") for n in (2, 0, 1)] == [1, 2, 1]
    assert "is closed" in queue._repr_mimebundle_()["text/html"]


def test_a_bundle_keeps_to_the_kinds_that_are_asked_for() -> None:
    flow = Flow(node(lambda shared: None))

    assert list(flow._repr_mimebundle_(include={"image/svg+xml"})) == ["image/svg+xml"]
    assert flow._repr_mimebundle_(include={"text/latex"}) == {}
    assert flow._repr_mimebundle_(exclude={"image/svg+xml"}) == {}


@pytest.mark.parametrize(("form", "fallback"), [("live", None), ("bundle", None), ("marimo", "<Flow 'broken'>")])
def test_what_cannot_be_drawn_has_its_repr(form: str, fallback: object, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow(node(lambda shared: None), name="broken")
    monkeypatch.setattr(drawings, "graph_of", lambda flow: 1 / 0)

    assert (draw(flow, form) or None) == fallback


def test_outside_ipython_a_launch_shows_nothing_and_show_says_where_it_would() -> None:
    code = (
        "import sys\nfrom pocketflex_nb import Flow, Store, node\n"
        "run = Flow(node(lambda shared: None)).launch({}, show=True).wait(20)\n"
        "assert not [name for name in sys.modules if name.startswith(('IPython', 'pocketflex_nb.notebook'))]\n"
        "print(run.status)\n"
        "try:\n    run.show()\nexcept RuntimeError as error:\n    print(error)\n"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout

    assert said.startswith("done\nthere is no screen here") and ".to_html(path)" in said
