"""What a person follows in a store: values that are watched, and breaks that hold a run after a node has changed one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, Store, launch
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.store_inspector.breakpoints import KeyBreaks
from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import COPIED, CURVE, WATCHED, StoreInspector

_KEY = "sk-abcdefghijklmnop1234"


class Write(Node):
    """Writes what it is told to; the first of them waits at a gate until the test has set its breaks."""

    def __init__(self, change: Callable[[Any], Any], gate: threading.Event | None = None) -> None:
        super().__init__()
        self.change, self.gate = change, gate

    def exec(self, prep_res: Any) -> None:
        if self.gate is not None:
            self.gate.wait(10)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        self.change(shared)


class Draft(Write):
    pass


class Touch(Write):
    pass


class End(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["over"] = True


def _look_into(source: Any) -> StoreInspector:
    view = StoreInspector(source)
    refresh_loop.close(view)  # the test looks itself, once the look under way is over
    refresh_loop.hurry()
    assert refresh_loop.rested(10)
    return view


def _request(view: StoreInspector, **request: Any) -> None:
    view._requests.append(request)
    view.refresh()


def _choose(view: StoreInspector, name: str) -> None:
    _request(view, do="choose", row=next(row for row in view.rows if row[2] == name)[0])


def _paused(run: Run) -> threading.Event:
    """Set as soon as the run is paused, or over."""
    came = threading.Event()
    run.subscribe(lambda event: came.set() if event.kind in ("run_paused", "run_finished") else None)
    return came


def _launched(*changes: Callable[[Any], Any], store: Any = None) -> tuple[Run, threading.Event]:
    """A run that makes the first change once the gate is open, the others after it, and ends by saying so."""
    gate = threading.Event()
    first = Draft(changes[0], gate)
    last: Node = first
    for change in changes[1:]:
        last = last >> Touch(change)
    last >> End()
    seed = {"draft": "", "notes": [{"title": "old"}], "other": 0, "api_key": _KEY}
    return Flow(first, name="writing").launch(seed if store is None else store, show=False), gate


def _set(key: str, value: Any) -> Callable[[Any], Any]:
    return lambda shared: shared.__setitem__(key, value)


def test_a_run_is_held_before_the_node_after_the_one_that_changed_the_key() -> None:
    run, gate = _launched(_set("other", 1), _set("draft", "new"), _set("other", 2))
    view, paused = _look_into(run), _paused(run)
    _choose(view, "draft")

    _request(view, do="break")
    gate.set()
    assert paused.wait(10)
    view.refresh()

    assert run.status == "paused"
    assert (run.store["draft"], run.store["other"]) == ("new", 1), "the node after the change has not run"
    assert view.detail["breaks"] and not view.detail["refusal"]
    assert f"draft was changed by {run.name} · Touch, step 2" in view.head["why"]
    assert any("paused: draft was changed" in str(event.get("text")) for event in run.events if event.kind == "output")
    _request(view, do="resume")
    assert run.wait(10).status == "done"
    assert run.store["over"]
    view.refresh()
    assert view.head["why"] == ""


def test_a_nested_change_is_one_and_a_change_beside_the_watched_value_is_none() -> None:
    run, gate = _launched(
        lambda shared: shared["notes"].append({"title": "another"}),
        lambda shared: shared["notes"][0].update(title="new"),
        _set("other", 2),
    )
    view, paused = _look_into(run), _paused(run)
    _request(view, do="toggle", row=next(row for row in view.rows if row[2] == "notes")[0])
    view._open.add(("notes", 0))
    view._push()
    _choose(view, "title")

    _request(view, do="break")
    gate.set()
    assert paused.wait(10)
    view.refresh()

    assert "notes[0].title was changed by" in view.head["why"] and "step 2" in view.head["why"]
    assert run.store["other"] == 0
    _request(view, do="resume")
    assert run.wait(10).status == "done"


def test_the_button_takes_the_break_away_again() -> None:
    run, gate = _launched(_set("draft", "new"))
    view = _look_into(run)
    _choose(view, "draft")

    _request(view, do="break")
    _request(view, do="break")
    gate.set()

    assert not view.detail["breaks"]
    assert run.wait(10).status == "done"
    assert not any(event.kind == "run_paused" for event in run.events)


def test_writing_the_same_value_again_holds_nobody() -> None:
    run, gate = _launched(_set("draft", ""), _set("notes", [{"title": "old"}]))
    view = _look_into(run)
    for name in ("draft", "notes"):
        _choose(view, name)
        _request(view, do="break")

    gate.set()

    assert run.wait(10).status == "done"


def test_what_a_person_writes_holds_nobody() -> None:
    run, gate = _launched(_set("other", 1))
    view = _look_into(run)
    _choose(view, "draft")
    _request(view, do="break")

    run.store["draft"] = "by hand"
    gate.set()

    assert run.wait(10).status == "done"


def test_all_runs_that_share_the_store_are_held_and_go_on_together() -> None:
    store = Store({"draft": ""})
    first, gate = _launched(_set("draft", "new"), store=store)
    second, other_gate = _launched(_set("other", 1), store=store)
    view, paused = _look_into(store), [_paused(first), _paused(second)]
    _choose(view, "draft")

    _request(view, do="break")
    gate.set()
    assert all(came.wait(10) for came in paused)
    other_gate.set()

    assert {first.status, second.status} == {"paused"}
    _request(view, do="resume")
    assert [run.wait(10).status for run in (first, second)] == ["done", "done"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (lambda: launch(Flow(End()), {"draft": ""}, show=False).wait(10), "The run is over: no node will change this any more"),
        (lambda: Store({"draft": ""}), "No launched run is walking with this store"),
        (lambda: {"draft": ""}, "A plain dict does not tell of its changes: launch the flow, or give it a Store"),
    ],
)
def test_where_no_run_could_be_held_the_reason_is_told(source: Callable[[], Any], why: str) -> None:
    view = _look_into(source())
    _choose(view, "draft")

    _request(view, do="break")

    assert view.detail["refusal"] == why
    assert not view.detail["breaks"]
    assert view.head["note"]


def test_a_closed_inspector_holds_nobody() -> None:
    run, gate = _launched(_set("draft", "new"))
    view = _look_into(run)
    _choose(view, "draft")
    _request(view, do="break")

    view.close()
    gate.set()

    assert run.wait(10).status == "done"


def test_a_removed_key_says_so() -> None:
    run, gate = _launched(lambda shared: shared.pop("draft"))
    breaks, paused = KeyBreaks(run.store, lambda: None), _paused(run)

    breaks.toggle(("draft",))
    gate.set()
    assert paused.wait(10)

    assert "draft was removed by" in breaks.why
    breaks.resume()
    assert run.wait(10).status == "done"
    breaks.close()


def test_a_watched_value_is_followed_and_told_with_its_last_writer() -> None:
    run, gate = _launched(_set("draft", "new"))
    view = _look_into(run)
    for name in ("draft", "api_key"):
        _choose(view, name)
        _request(view, do="watch")
    assert [line[:2] for line in view.watched] == [["draft", "''"], ["api_key", view.watched[1][1]]]
    assert _KEY not in str(view.watched)

    gate.set()
    run.wait(10)
    view.refresh()

    assert view.watched[0][:3] == ["draft", "'new'", f"{run.name} · Draft"]
    _request(view, do="unwatch", path="draft")
    assert [line[0] for line in view.watched] == ["api_key"]
    _request(view, do="watch")
    assert view.watched == [], "the button of the chosen value takes it away again"


def test_a_watched_value_that_is_gone_keeps_its_line_and_the_slider_moves_it() -> None:
    run, gate = _launched(_set("draft", "new"), lambda shared: shared.pop("draft"))
    view = _look_into(run)
    _choose(view, "draft")
    _request(view, do="watch")

    gate.set()
    run.wait(10)
    view.refresh()

    assert view.watched[0][:2] == ["draft", "not there"] and view.watched[0][4]
    _request(view, do="place", at=1)
    assert view.watched[0][:2] == ["draft", "'new'"]


def test_only_so_many_values_are_watched() -> None:
    view = _look_into(Store({f"k{n:02}": n for n in range(WATCHED + 1)}))

    for n in range(WATCHED + 1):
        _choose(view, f"k{n:02}")
        _request(view, do="watch")

    assert len(view.watched) == WATCHED
    assert "remove one first" in view.head["note"]


@pytest.mark.parametrize(
    ("key", "told"),
    [("text", "Line one\nline two"), ("list", "[1, {'a': 'b'}]"), ("long", "x" * COPIED), ("api_key", "••••"), ("said", "with")],
)
def test_a_value_is_copied_whole_and_without_its_secrets(key: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"text": "Line one\nline two", "list": [1, {"a": "b"}], "long": "x" * (COPIED + 5), "api_key": _KEY, "said": f"with {_KEY}"}
    view, sent = _look_into(Store(held)), []
    monkeypatch.setattr(view, "send", sent.append)
    _choose(view, key)

    _request(view, do="copy")

    text = next(message["copied"] for message in sent if "copied" in message)
    assert _KEY not in text
    if key in ("text", "list", "long"):
        assert text == told
    assert ("20,000 of 20,005" in view.head["note"]) is (key == "long")


def test_a_watched_number_tells_its_way_and_a_secret_one_does_not() -> None:
    store = Store({"score": 1, "password": 5, "word": "x"})
    view = _look_into(store)
    for name in ("score", "password", "word"):
        _choose(view, name)
        _request(view, do="watch")

    for score in (4, 2.5):
        store["score"], store["word"] = score, f"x{score}"
        store["password"] = 5 + score
        view._push()
        view._push()  # a look at which nothing changed adds nothing

    assert [line[5] for line in view.watched] == [[1.0, 4.0, 2.5], [], []]
    assert view.watched[1][1] == "••••••••"


def test_a_long_way_stays_small() -> None:
    store = Store({"n": 0})
    view = _look_into(store)
    _choose(view, "n")
    _request(view, do="watch")

    for n in range(1, 1_000):
        store["n"] = n
        view._push()

    points = view.watched[0][5]
    assert CURVE / 2 < len(points) <= CURVE
    assert points == sorted(points) and points[0] == 0.0
