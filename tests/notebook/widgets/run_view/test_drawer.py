"""The detail drawer's answers: the right visit for what was clicked, its values in full, its code, and a fork before it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pocketflex_nb import END, Flow, Node, emit, launch, node
from pocketflex_nb.engine.records.visit_values import VISITS
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.run_data.playback import Replay
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

_KEY = "sk-abcdefghijklmnop1234"


class Write(Node):
    def prep(self, shared: Any) -> Any:
        return {"topic": shared["topic"], "round": shared.get("round", 0), "api_key": _KEY}

    def exec(self, given: Any) -> str:
        emit("token", "the ")
        emit("token", "sun")
        emit("usage", tokens=10, cost=0.5)
        emit("message", "what about the sun?", role="user")
        emit("log", f"key {_KEY}")
        if self.cur_retry < 1:
            raise TimeoutError("too late")
        return f"# Round {given['round']}\n\n" + f"about the {given['topic']} and much more, at length. " * 20

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["draft"] = exec_res
        shared["round"] = prep_res["round"] + 1
        return "again" if shared["round"] < 3 else "end"


def _flow() -> Flow:
    write = Write(max_retries=2)
    write - "again" >> write
    write - "end" >> END
    return Flow(write, name="report")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made: Run = _flow().launch({"topic": "sun"}, name="night", show=False, journal=tmp_path_factory.mktemp("j") / "runs.sqlite").wait(10)
    return made


@pytest.fixture
def view(run: Run) -> Any:
    made = RunView(run)
    yield made
    made.close()


def _ask(view: RunView, what: str, **about: Any) -> dict[str, Any]:
    told = view._drawer.answer({"what": what, "ask": "q", **about})
    assert json.loads(json.dumps(told))["ask"] == "q", "it goes to a page"
    assert _KEY not in json.dumps(told)
    assert len(json.dumps(told)) < 100_000
    return told


def _card(view: RunView, **about: Any) -> dict[str, Any]:
    card: dict[str, Any] = _ask(view, "visit", **about)["card"]
    return card


# which visit ---------------------------------------------------------------------------------------------------------
def test_a_node_gives_its_latest_visit_and_the_way_to_the_others(view: RunView) -> None:
    last = _card(view, flow=0, node="Write")
    first = _card(view, run=0, address=_card(view, run=0, address=last["before"])["before"])

    assert (last["visit"], last["of"], last["after"]) == (3, 3, "")
    assert (first["visit"], first["before"], first["after"]) == (1, "", last["before"])
    assert (last["status"], last["action"], first["action"]) == ("done", "end → END", "again → Write")


def test_a_bar_a_line_a_row_of_the_diff_and_a_row_of_events_give_the_visit_they_belong_to(view: RunView, run: Run) -> None:
    spans = view.spans[0]
    second: Any = spans[1]
    row = next(row for row in _events(view) if row[1] == "node retried")

    assert _card(view, run=0, node=second[0], ms=second[1])["visit"] == 2
    assert _card(view, run=0, node="Write", text="the sun")["visit"] == 3
    assert _card(view, step=True)["visit"] == 3
    assert _card(view, moment=row[0], where=row[2])["visit"] == 3
    assert _card(view, turn="Write#2", by="")["visit"] == _card(view, turn="Write#2", by=run.name)["visit"] == 2
    assert _ask(view, "visit", turn="Write#2", by="another run")["problem"]


def _events(view: RunView) -> list[list[str]]:
    view._tab = "events"
    told: list[list[str]] = view._tab_content()["rows"]  # type: ignore[assignment]
    return told


def test_a_row_of_the_run_itself_and_a_node_that_nobody_visited_are_said(view: RunView) -> None:
    row = next(row for row in _events(view) if row[1] == "run finished")

    assert "belongs to the run as a whole" in _ask(view, "visit", moment=row[0], where=row[2])["problem"]
    assert _ask(view, "visit", flow=0, node="Nobody")["problem"] == "Nobody was not visited yet."


@pytest.mark.parametrize("hostile", [
    {"what": "nothing"}, {"what": "visit"}, {"what": "visit", "run": 9, "address": "x"}, {"what": "visit", "run": "a", "address": None},
    {"what": "visit", "flow": 7, "node": "Write"}, {"what": "value", "run": 0, "address": "report/Write#1", "part": "store"},
    {"what": "value", "run": 0, "address": "report/Write#1", "part": "prep", "places": [99]},
    {"what": "differences", "run": 0, "address": "report/Write#1"},
    {"what": "fork", "run": 0, "address": "report/Write#1", "edits": [["topic", "not a value", False]]},
])
def test_whatever_a_page_sends_is_answered_with_a_problem(view: RunView, hostile: dict[str, Any]) -> None:
    assert view._drawer.answer(hostile)["problem"]


def test_a_request_of_the_page_is_answered_by_a_message_and_nothing_else(view: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    refresh_loop.last(view)
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append(content))

    view._command(view, {"do": "drawer", "what": "visit", "ask": "q", "flow": 0, "node": "Write"}, [])
    assert refresh_loop.rested(20)

    assert [list(message) for message in sent] == [["drawer"]]
    assert sent[0]["drawer"]["card"]["visit"] == 3


# what is told --------------------------------------------------------------------------------------------------------
def test_a_card_tells_tries_with_the_users_line_words_tokens_cost_and_what_was_said(view: RunView) -> None:
    card = _card(view, flow=0, node="Write")

    assert (card["retries"], card["tokens"], card["cost"]) == (1, 20.0, 1.0)
    assert card["tries"][0][:2] == ["1", "TimeoutError: too late"]
    assert 'in exec\n    raise TimeoutError("too late")' in card["tries"][0][2]
    assert card["tries"][1] == ["2", "ok", ""]
    draft = next(change for change in card["changes"] if change[1] == "draft")
    assert [piece for piece in draft[3] if piece[0] != " "] == [["-", "1"], ["+", "2"]]
    assert ["token", "the sun"] in card["said"]
    assert ["message", "user: what about the sun?"] in card["said"]


def test_values_are_told_in_full_and_as_markdown(view: RunView) -> None:
    here = {"run": 0, "address": "report/Write#2"}

    prep = _ask(view, "value", **here, part="prep", places=[])
    text = _ask(view, "value", **here, part="exec", places=[])
    tree = _ask(view, "markdown", **here, part="exec", places=[])["tree"]

    assert [row[1:4] for row in prep["page"]["rows"]][:2] == [["topic", "str 3", "'sun'"], ["round", "int", "1"]]
    assert text["page"]["text"] == "# Round 1\n\n" + "about the sun and much more, at length. " * 20
    assert tree[0] == ["h1", {}, ["Round 1"]]
    assert _ask(view, "copy", **here, part="prep", places=[])["page"]["text"].startswith('{\n  "topic": "sun"')


def test_two_visits_are_told_with_their_differences(view: RunView) -> None:
    told = _ask(view, "differences", run=0, address="report/Write#2", **{"with": {"run": 0, "address": "report/Write#1"}})["differences"]

    assert told[0][:3] == ["prep", "In (prep)", [["~", "round", "0 → 1"]]]
    assert [piece for piece in told[1][3] if piece[0] != " "] == [["-", "0"], ["+", "1"]]


def test_why_a_value_is_not_there_is_said() -> None:
    @node
    def quick(shared: Any) -> str:
        shared["n"] += 1
        return "again" if shared["n"] < VISITS + 50 else "end"

    quick - "again" >> quick
    quick - "end" >> END
    fast = Flow(quick).launch({"n": 0}, show=False).wait(10)
    inner = Flow(Flow(Write(max_retries=2), name="inner")).launch({"topic": "sun"}, show=False).wait(10)
    views = [RunView(one, tabs=()) for one in (fast, inner, Replay(fast, speed=1e9))]

    told = [_card(one, flow=0, node=name)["why"] for one, name in zip(views, ("quick", "inner", "quick"), strict=True)]

    assert f"the values of the first {VISITS} are kept" in told[0]
    assert "a flow has none" in told[1]
    assert "values stay with the run that it plays" in told[2]
    for one in views:
        one.close()


def test_a_visit_that_goes_on_tells_what_prep_gave() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Waits(Node):
        def prep(self, shared: Any) -> Any:
            return "the question"

        async def exec(self, prep_res: Any) -> Any:
            begun.set()
            await go_on.wait()

    run = launch(Flow(Waits()), show=False)
    view = RunView(run)
    _wait_until(begun.is_set)

    card = _card(view, flow=0, node="Waits")

    assert (card["status"], card["seconds"], card["visit"], card["of"]) == ("running", None, 1, 1)
    assert [part["text"] for part in card["parts"]] == ["'the question'"]
    run.cancel()
    run.wait(10)
    assert _card(view, run=0, address=card["address"])["status"] == "cancelled"
    view.close()


def _wait_until(condition: Any) -> None:
    import threading

    until = threading.Event()
    for _ in range(2_000):
        if condition():
            return
        until.wait(0.005)
    raise AssertionError("it never came true")


# run from here, open in a cell ---------------------------------------------------------------------------------------
def test_run_from_here_begins_a_fork_with_the_steps_input_and_shows_it_in_the_view(run: Run) -> None:
    view = RunView(run)
    form = _ask(view, "form", run=0, address="report/Write#2")["form"]
    begun = _ask(view, "fork", run=0, address="report/Write#2", edits=[["topic", "moon", True], ["round", "2", False]])["begun"]

    assert form["at"] == 1
    assert form["fields"] == [["topic", "str 3", "'sun'", "sun", True], ["round", "int", "1", "1", False]]
    fork = view.runs[1]
    assert fork.name == begun
    fork.wait(10)
    assert (fork.status, fork.store["round"], run.store["topic"]) == ("done", 3, "sun")
    assert "about the moon" in fork.store["draft"]
    assert view._outermost.focus == 1
    view.close()


@pytest.mark.parametrize("shown", ["plain", "replay"])
def test_a_run_that_cannot_be_run_on_from_says_why(shown: str) -> None:
    run = _flow().launch({"topic": "sun"}, show=False).wait(10)
    view = RunView(run if shown == "plain" else Replay(run, speed=1e9))

    refused = _ask(view, "visit", flow=0, node="Write")["refused"]["fork"]

    assert ("no journal" if shown == "plain" else "makes no calls") in refused
    address = _card(view, flow=0, node="Write")["address"]
    assert _ask(view, "form", run=0, address=address)["problem"] == refused
    assert _ask(view, "fork", run=0, address=address, edits=[])["problem"] == refused
    view.close()


def test_the_code_of_a_step_and_its_input_make_the_visit_again_in_a_cell(view: RunView, run: Run) -> None:
    code = _ask(view, "code", run=0, address="report/Write#2")["code"]
    names: dict[str, Any] = {"Node": Node, "emit": emit, "Any": Any, "_KEY": _KEY}

    assert code.startswith(f"# Write, visit 2 of run {run.name!r}")
    code = code.replace("exec_res = write.exec", "write.cur_retry = 1\nexec_res = write.exec")      # the try that went well
    exec("from __future__ import annotations\n" + code, names)
    assert names["prep_res"] == {"topic": "sun", "round": 1, "api_key": _KEY}
    assert names["exec_res"].startswith("# Round 1")
    assert names["action"] == "again"


def test_what_cannot_be_written_out_is_taken_from_the_run_and_a_secret_is_never_written() -> None:
    client = object()

    @node
    def use(shared: Any) -> None:
        shared["used"] = (shared["client"], shared["password"], shared["n"])

    run = Flow(use).launch({"client": client, "password": "hunter2hunter2", "n": 3}, name="cell", show=False).wait(10)
    view = RunView(run)
    told = view._drawer.answer({"what": "code", "ask": "q", "run": 0, "address": "Flow/use#1"})
    code = str(told["code"])
    names: dict[str, Any] = {"node": node, "Any": Any}

    assert "hunter2" not in code
    exec("from __future__ import annotations\n" + code, names)
    assert names["shared"]["used"] == (client, "hunter2hunter2", 3)
    view.close()
