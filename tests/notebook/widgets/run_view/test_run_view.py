"""What a run view sends to the page: bounded, masked, at any moment of the run, whatever the user's data is."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, ask, emit, launch, linear, node, open_store
from pocketflex_nb.engine.records.run_log import RunLog
from pocketflex_nb.engine.runs.run import subscribe
from pocketflex_nb.notebook.run_data.detail_tabs import TABS, tab_content
from pocketflex_nb.notebook.run_data.error_card import error_card
from pocketflex_nb.notebook.run_data.playback import Replay
from pocketflex_nb.notebook.run_data.run_view_model import MANY, summed
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticCopy
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

_KEY = "sk-abcdefghijklmnop1234"


class Count(Node):
    async def exec(self, prep_res: Any) -> None:
        emit("log", f"counting {_KEY}")

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["n"] = shared.get("n", 0) + 1
        shared["api_key"] = _KEY
        return "again" if shared["n"] < shared.get("until", 4) else "end"


class Divide(Node):
    def prep(self, shared: Any) -> Any:
        return shared["n"]

    def exec(self, number: int) -> float:
        return number / 0


def _flow(name: str = "count", *, fails: bool = False) -> Flow:
    count = Count()
    count - "again" >> count
    if fails:
        count - "end" >> Divide()
    else:
        count - "end" >> Node()
    return Flow(count, name=name)


def _settle() -> None:
    assert refresh_loop.rested(20)


def _request(view: RunView, **request: Any) -> None:
    view._command(view, request, [])
    _settle()


def _sent(view: RunView) -> str:
    return json.dumps({key: value for key, value in view.get_state().items() if not key.startswith("_")}, allow_nan=False)


@pytest.fixture
def view() -> RunView:
    run = _flow().launch({}, show=False).wait(10)
    made = RunView(run)
    _settle()
    return made


def test_the_time_cursor_moves_diagram_lanes_and_diff_together(view: RunView) -> None:
    _request(view, do="cursor", step=2)

    assert view.states["0"]["Count"][1] == 2
    assert view.cursor["at"] == 2 and view.cursor["of"] == 5 and not view.cursor["live"]
    assert len(view.lanes[0]["lines"]) == 2
    assert ["~", "n", "1 → 2", ""] in view.tab_content["rows"]


def test_the_cursor_goes_step_by_step_and_back_to_now(view: RunView) -> None:
    seen = []
    for by in (-1, -1, -1, 1, 1, 1):
        _request(view, do="cursor", by=by)
        seen.append((view.cursor["at"], view.cursor["live"]))

    assert seen == [(4, False), (3, False), (2, False), (3, False), (4, False), (5, False)]
    _request(view, do="cursor", by=1)
    assert view.cursor["live"]


def test_before_the_first_step_nothing_has_happened(view: RunView) -> None:
    _request(view, do="cursor", step=0)

    assert all(visits == 0 for _, visits, _ in view.states["0"].values())
    assert view.lanes[0]["lines"] == []


def test_the_store_tab_shows_the_store_as_it_was(view: RunView) -> None:
    _request(view, do="tab", name="store")
    _request(view, do="cursor", step=3)

    assert ["int", "n", "3", ""] in view.tab_content["rows"]


def test_no_secret_leaves_the_kernel(view: RunView) -> None:
    texts = [_sent(view)]
    for name in ("messages", "store", "error", "events"):
        _request(view, do="tab", name=name)
        texts.append(_sent(view))

    assert not any(_KEY in text for text in texts)
    assert "counting" in texts[0]


def test_a_failed_run_shows_its_node_its_input_and_the_users_line() -> None:
    view = RunView(_flow(fails=True).launch({}, show=False).wait(10))
    _settle()

    card = view.lanes[0]["error"]

    assert (card["type"], card["text"], card["node"]) == ("ZeroDivisionError", "division by zero", "Divide")
    assert card["inputs"] == [["number", "int", "4"]]
    assert card["trace"] == [f"test_run_view.py:{Divide.exec.__code__.co_firstlineno + 1}  in exec\n    return number / 0"]


def test_an_answer_that_does_not_fit_is_said_in_the_card() -> None:
    class Asks(Node):
        async def exec(self, prep_res: Any) -> Any:
            return await ask("How many?", schema={"n": int, "sure": bool})

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["answer"] = exec_res

    asked = threading.Event()
    stop = subscribe(lambda event: asked.set() if event.kind == "asked" else None)
    run = Flow(Asks(), name="asks").launch({}, show=False)
    assert asked.wait(10)
    stop()
    view = RunView(run, follow=False)

    view._do({"do": "answer", "run": 0, "ask": 1, "value": {"n": "many", "sure": True}})
    view.refresh()
    said = view.lanes[0]["asks"][0]
    view._do({"do": "answer", "run": 0, "ask": 1, "value": {"n": "3", "sure": True}})
    run.wait(10)

    assert said["schema"] == {"n": "int", "sure": "bool"}
    assert "field 'n' needs int" in said["refused"]
    assert run.store["answer"] == {"n": 3, "sure": True}


def test_the_last_step_before_a_long_wait_reaches_the_timeline_and_the_tab() -> None:
    class Confirms(Node):
        async def exec(self, prep_res: Any) -> Any:
            return await ask("Go on?")

    first = Confirms()
    first >> Confirms()
    run = Flow(first, name="confirms").launch({}, show=False)
    question = run.asking(timeout=10)
    view = RunView(run, follow=False)
    view.refresh()
    question.answer("yes")
    assert run.asking(timeout=10) is not None

    view.refresh()                 # bars and rows, which may be many, are not due again yet
    view._next_spans = 0.0      # their time has come, and nothing more happened
    view.refresh()

    assert [len(row) for row in view.spans] == [1]
    assert view.tab_content.get("note") != "No step is finished yet."
    run.cancel()


class Survey(Node):
    """A step that walks a flow as a run of its own, which says something and asks."""

    async def exec(self, prep_res: Any) -> Any:
        class Asks(Node):
            async def exec(self, prep_res: Any) -> Any:
                emit("log", "looking around")
                emit("usage", tokens=7)
                return await ask("Which way?", ["left", "right"])

        return await Flow(Asks(), name="scout").run_async({})

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["answer"] = exec_res


def test_a_run_inside_a_step_shows_in_the_view_of_the_outer_run_and_is_answered_there() -> None:
    run = Flow(Survey(), name="outer").launch({}, show=False)
    question = run.asking(10)
    view = RunView(run, follow=False)

    view.refresh()
    (lane,) = view.lanes
    states, strip = dict(view.states["0"]), dict(view.header)
    for _ in range(2):  # the second click finds it answered
        view._do({"do": "answer", "run": 0, "ask": question.number, "value": "left"})
    run.wait(10)
    view.refresh()

    assert (lane["status"], lane["asks"][0]["question"], lane["asks"][0]["ask"]) == ("asking", "Which way?", 1)
    assert [line for _, line, _ in lane["lines"]] == ["looking around"]
    assert (states["Survey"][0], states["Survey/scout/Asks"][0]) == ("asking", "asking")
    assert (strip["tokens"], strip["status"]) == (7, "asking")
    assert run.status == "done"
    assert "asks" not in view.lanes[0]


def test_the_time_cursor_goes_through_a_run_with_runs_inside() -> None:
    class Twice(Node):
        async def exec(self, prep_res: Any) -> None:
            for _ in range(2):
                await _flow("inner").run_async({"until": 3})

    first, second = Twice(), Twice()
    first >> second
    run = Flow(first, name="outer").launch({}, show=False)
    run.result(20)
    view = RunView(run, follow=False)

    moments = view._view_model.moments()
    reel = view._view_model.time_travel.events_of(run)
    times = [event.ns for event in reel.read()]
    middle = reel.state(moments[0]).nodes["Twice/inner/Count"].visits
    end = reel.state(times[-1])

    assert moments == [span.end for span in run.state().spans]  # steps of the run itself
    assert len(moments) == 2
    assert times == sorted(times)
    assert middle == 6
    assert end.status == "done"
    assert sum(node.visits for path, node in end.nodes.items() if path.endswith("/inner/Count")) == 12


def test_many_runs_stay_small_and_one_can_be_looked_into() -> None:
    group = launch([_flow()] * 300, show=False).wait(60)
    view = RunView(group)
    _settle()

    small = len(_sent(view)) - len(view.diagrams[0]["svg"])
    _request(view, do="pin", at=7)

    assert view.status_grid == "d300"
    assert small < 20_000
    assert view.header["pinned"] == group.runs[view.lanes[0]["name"]].name
    assert view.states["0"]["Count"][1] == 4


def test_a_message_stays_below_its_cap() -> None:
    class Talks(Node):
        async def exec(self, prep_res: Any) -> None:
            for k in range(400):
                emit("log", f"{k} " + "words " * 80)

    view = RunView(launch([Flow(Talks(), name="talks")] * 6, show=False).wait(30))
    _settle()

    assert len(json.dumps(view.lanes)) < 100_000
    assert len(view.lanes[0]["lines"]) > 10


def test_hostile_data_is_shown_inert() -> None:
    class Evil:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    loop: list[Any] = []
    loop.append(loop)

    class Writes(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared.update({"evil": Evil(), "loop": loop, "big": "x" * 10_000_000, "<script>": "</svg>", "\u202e": "\ud800"})
            emit("log", "\u202e\x00\ud800 <script>alert(1)</script>")
            emit("usage", tokens=float("nan"))
            emit("progress", done=float("inf"), total=1)

    node = Writes()
    node.name = '"><script>alert(1)</script></svg>\u202e'
    view = RunView(Flow(node, name="<b>\ud800").launch({}, show=False).wait(20))
    _settle()

    for name in ("diff", "messages", "store", "error", "events"):
        _request(view, do="tab", name=name)
        text = _sent(view)
        text.encode()
        assert "\u202e" not in json.loads(text)["tab_content"].__repr__()
        assert len(json.dumps(view.tab_content)) < 20_000
    assert "<script" not in view.snapshot()


def test_whatever_a_page_sends_nothing_raises(view: RunView) -> None:
    for message in ({}, {"do": 3}, {"do": "cursor", "step": "x"}, {"do": "pin"}, {"do": "tab", "name": "no"}, {"do": "focus", "run": None}):
        _request(view, **message)

    assert view.cursor["live"]


def test_an_unknown_tab_is_refused_with_the_nearest() -> None:
    run = _flow().launch({}, show=False).wait(10)

    with pytest.raises(ValueError, match="did you mean 'events'"):
        RunView(run, tabs=["event"])


def test_one_html_file_holds_it_all(view: RunView, tmp_path: Any) -> None:
    page = view.to_html(tmp_path / "run.html").read_text(encoding="utf-8")

    assert page.count("<svg") >= 2
    assert "counting" in page and _KEY not in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page


def test_a_replay_is_shown_while_it_is_told() -> None:
    run = _flow().launch({}, show=False).wait(10)

    view = RunView(Replay(run, speed=0.001))

    assert view.header["problems"] == [] and not view.runs[0].done()
    view.runs[0].cancel()


def test_the_store_tab_reads_a_store_kept_elsewhere_from_its_mirror(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'team.db'}"
    with open_store(url) as mine, open_store(url) as theirs:
        mine["until"] = 1
        run = _flow().launch(mine, show=False).wait(10)
        view = RunView(run, tabs=["store"])
        _settle()
        theirs["late"] = 1

        told = tab_content("store", [run], None, None, view._view_model.time_travel)

        assert "n" in {row[1] for row in told["rows"]}
        assert "late" not in {row[1] for row in told["rows"]}  # asking the place would have brought it
        assert mine["late"] == 1


def _long(last: Node) -> Flow:
    nodes = [*(type(f"N{number}", (Node,), {})() for number in range(69)), last]
    for before, after in pairwise(nodes):
        before >> after
    return Flow(nodes[0], name="long")


class Gate(Node):
    async def exec(self, prep_res: Any) -> Any:
        return await ask("go on?")


def test_a_still_is_light_at_first_then_brought_up_to_date_and_final_at_the_end() -> None:
    run = _long(Gate()).launch({}, show=False)
    while run.status != "asking":
        assert not run.done()
    view = RunView(run)
    view.static = "pfs-1"
    shown: list[dict[str, str]] = []
    page = SimpleNamespace(update=lambda told, raw: shown.append(told))

    light = view.first_bundle()
    still = StaticCopy(view, page, light)
    still._next = float("inf")  # however slow the machine is, it is not time yet
    early = still.refresh(), list(shown)
    still._next = 0.0
    goes_on = still.refresh(), len(shown)
    run.answer("yes")
    run.wait(10)
    _settle()
    number = len(shown)

    assert light is not None and next(iter(light)) == "text/html" and 'data-static="pfs-1"' in light["text/html"]
    assert "1 asking" in light["text/html"] and "<img" not in light["text/html"]
    assert early == (True, []) and goes_on == (True, 1)
    assert "go on?" in shown[0]["text/html"]
    assert number == 2 and "1 done" in shown[1]["text/html"] and shown[1]["image/svg+xml"].count('class="pf-node"') == 70
    assert not still.refresh() and view.first_bundle() is None


def test_a_view_that_is_closed_while_its_still_is_made_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    view = RunView(_flow().launch({}, show=False).wait(10), follow=False)
    view.static = "pfs-1"
    drawn = RunView._diagram

    def closes_first(self: RunView, *args: Any) -> str:
        monkeypatch.setattr(RunView, "_diagram", drawn)
        self.close()
        return drawn(self, *args)

    monkeypatch.setattr(RunView, "_diagram", closes_first)

    told = view.still_bundle()

    assert "1 done" in told["text/html"] and "<img" in told["text/html"]


def test_a_second_run_in_a_view_whose_first_is_over_has_its_end_in_the_still() -> None:
    first = _flow().launch({}, show=False).wait(10)
    view = RunView(first)
    shown: list[dict[str, str]] = []
    StaticCopy(view, SimpleNamespace(update=lambda told, raw: shown.append(told)), view.still_bundle())
    _settle()

    view.add([_flow(fails=True).launch({}, show=False).wait(10)])
    _settle()

    assert "1 failed" in shown[-1]["text/plain"] and "ZeroDivisionError" in shown[-1]["text/html"]


class Loops(Node):
    async def exec(self, prep_res: Any) -> Any:
        return await ask("once more?")

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        return "again"


def test_numbers_in_the_diagram_wait_while_statuses_do_not_and_are_told_when_it_is_time() -> None:
    loops = Loops()
    loops - "again" >> loops
    run = Flow(loops).launch({}, show=False)
    view = RunView(run, follow=False)
    told: list[tuple[Any, Any]] = []

    for _ in range(3):
        while run.status != "asking":
            assert not run.done()
        view._push(final=False)
        told.append((view.states["0"]["Loops"][:2], view.edges["0"]))
        view._next_counts = float("inf")
        run.answer("yes")
        while run.state().steps < len(told):
            assert not run.done()
    view._push(final=False, now_all=True)
    run.cancel()

    assert [visits for (_, visits), _ in told] == [0, 1, 1], "the first visit is told at once"
    assert [status for (status, _), _ in told] == ["asking"] * 3
    assert told[2][1] == {"Loops|again": 1}
    assert view.states["0"]["Loops"][1] == 3 and view.edges["0"] == {"Loops|again": 3}


class Flaky(Node):
    async def exec(self, prep_res: Any) -> None:
        if self.cur_retry < 2:
            raise OSError(f"busy {_KEY}")


class Asks(Node):
    async def exec(self, prep_res: Any) -> Any:
        return await ask("May it go out?", ["yes", "no"])


def test_retries_and_waits_stand_on_the_timeline() -> None:
    flaky = Flaky(max_retries=3)
    flaky >> Asks()
    run = Flow(flaky).launch({}, show=False)
    while run.status != "asking":
        assert not run.done()
    view = RunView(run, follow=False)

    asking = view._view_model.marks()[0]
    run.answer("yes")
    run.wait(10)
    over = view._view_model.marks()[0]

    assert [mark[0] for mark in asking] == [">", "|", "|", "?"]
    assert asking[0][3] == "Asks" and asking[3][2] is None
    assert [mark[0] for mark in over] == ["|", "|", "?"]
    assert over[2][2] >= over[2][1] and "May it go out?" in over[2][3]
    assert "busy" in over[0][3] and _KEY not in json.dumps(over)


def test_the_strip_tells_how_many_of_the_allowed_steps_are_made() -> None:
    limited = _flow().launch({}, max_steps=200, show=False).wait(10)
    budgeted = _flow().launch({}, max_steps=200, budget={"steps": 60}, show=False).wait(10)
    free = _flow().launch({}, show=False).wait(10)

    one, two, mixed = RunView(limited, follow=False), RunView([limited, budgeted], follow=False), RunView([limited, free], follow=False)

    assert (one.header["steps"], one.header["most"]) == (5, 200)
    assert one.summary() == f"{limited.name}: 1 done, 5/200 steps"
    assert (two.header["steps"], two.header["most"]) == (10, 260), "the smaller of two limits counts"
    assert "most" not in mixed.header, "a run without a limit has no end to count to"


def test_the_still_form_of_a_crowd_has_the_sums_that_folding_every_run_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = _flow()
    group = flow.launch_each("i", range(MANY + 40), show=False).wait(30)
    folded = summed([run.state() for run in group])
    read: set[int] = set()
    fold = RunLog.state
    monkeypatch.setattr(RunLog, "state", lambda self: read.add(id(self)) or fold(self))

    view = RunView(group, follow=False)
    state, still = view._view_model.crowd_state(flow), view.still_bundle()
    view.close()

    assert {path: node.visits for path, node in state.nodes.items()} == {path: node.visits for path, node in folded.nodes.items()}
    assert {path: node.status for path, node in state.nodes.items()} == {path: node.status for path, node in folded.nodes.items()}
    assert dict(state.edges) == dict(folded.edges)
    assert f"{MANY + 40} done" in still["text/plain"]
    assert len(read) <= MANY, "more runs were folded than are told one by one"


def test_a_crowd_with_failures_shows_them_where_they_happened() -> None:
    group = _flow(fails=True).launch_each("i", range(MANY + 1), show=False).wait(30)

    view = RunView(group, follow=False)
    told = view._view_model.states(group[0].flow)
    view.close()

    assert [status for status, _, text, _ in told.values() if "failed" in text] == ["failed"]


def test_the_error_card_tells_the_runs_own_steps_however_often_its_error_was_raised_again() -> None:
    run = _flow(fails=True).launch({}, show=False).wait(10)
    before = error_card(run)

    def raised_again() -> None:
        run.result()

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            raised_again()

    assert error_card(run) == before and "raised_again" not in str(before)


def _outer(depth: int, number: int = 3) -> Flow:
    """A flow whose step `down` launches `number` of the next, `depth` levels deep."""

    @node
    async def down(shared: Any) -> None:
        if depth:
            await _outer(depth - 1, number).launch_each("i", range(number))

    return linear(down, name=f"level{depth}")


def _asked(view: RunView, **request: Any) -> dict[str, Any]:
    view._requests.append(request)
    view.refresh()
    return view.header


def test_runs_that_steps_begin_open_level_by_level_and_close_again() -> None:
    view = RunView(_outer(2).launch({}, show=False).wait(20), follow=False, name="top")

    assert view.states["0"]["down"][3] == 3
    assert _asked(view, do="enter", node="down", flow=0)["crumbs"] == ["top", "down"]
    assert [lane["name"] for lane in view.lanes] == ["i=0", "i=1", "i=2"]
    assert _asked(view, do="focus", run=1)["crumbs"] == ["top", "down", "level1[1]"]
    assert _asked(view, do="enter", node="down", flow=0)["crumbs"] == ["top", "down", "level1[1]", "down"]
    assert len(view.lanes) == 3 and all(run.name.startswith("level0") for run in view._view_model.runs)
    assert _asked(view, do="enter", node="down", flow=0)["crumbs"] == ["top", "down", "level1[1]", "down"]  # nothing inside
    assert _asked(view, do="up", to=2)["crumbs"] == ["top", "down", "level1[1]"]
    assert _asked(view, do="up", to=1)["crumbs"] == ["top", "down"] and view.focus == -1
    assert "crumbs" not in _asked(view, do="up", to=0) and len(view.lanes) == 1
    view.close()


@pytest.mark.parametrize("request_", [{"node": "nowhere"}, {"node": "down", "flow": 9}, {"node": None}, {"flow": "x", "node": "down"}])
def test_what_a_page_asks_wrongly_opens_nothing(request_: dict[str, Any]) -> None:
    view = RunView(_outer(1).launch({}, show=False).wait(20), follow=False)

    assert "crumbs" not in _asked(view, do="enter", **request_)
    view.close()


def test_the_still_form_stays_that_of_the_outer_run() -> None:
    run = _outer(1).launch({}, name="top", show=False).wait(20)
    view = RunView(run, follow=False)
    before = view.summary(), view.snapshot()

    _asked(view, do="enter", node="down", flow=0)

    assert (view.summary(), view.snapshot()) == before
    assert "3 runs" in view.snapshot() and "pf-behind" in view.snapshot()
    view.close()


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("step", [None, 1])
def test_every_tab_of_a_replay_is_shown(tab: str, step: int | None) -> None:
    run = launch(Flow(Node()), {"n": 1}, show=False).wait(10)
    view = RunView(Replay(run, speed=1e9), tabs=[tab])
    refresh_loop.close(view)

    if step is not None:
        view._requests.append({"do": "cursor", "step": step})
    view.refresh()

    assert view.tab_content["tab"] == tab
    view.close()
