"""What a timeline draws of visits that go on: since when, in which row, and that they become the bars that they are in the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, ask
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.notebook.run_data.active_visits import ActiveVisits
from pocketflex_nb.notebook.run_data.playback import Replay
from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel


class Gate(Node):
    """Ends when the test opens its gate; says when it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.gate = asyncio.Event(), asyncio.Event()

    async def exec(self, prep_res: Any) -> None:
        self.begun.set()
        await self.gate.wait()

    def open(self) -> None:
        engine_thread.call_soon(self.gate.set)


class Search(Gate):
    pass


class Read(Gate):
    pass


class Rank(Gate):
    pass


class Plan(Node):
    pass


class Write(Gate):
    pass


def _began(*nodes: Gate) -> None:
    async def all_begun() -> None:
        for node in nodes:
            await node.begun.wait()

    engine_thread.submit(all_begun()).result(10)


def _pass(node: Gate, run: Run) -> None:
    """Open the gate of a node, and wait until its visit is over."""
    over = asyncio.Event()
    kind = type(node).__name__
    stop = run.subscribe(lambda event: over.set() if event.kind == "node_finished" and event.node.endswith(kind) else None)
    node.open()

    async def ended() -> None:
        await over.wait()

    engine_thread.submit(ended()).result(10)
    stop()


@pytest.fixture
def forked() -> tuple[Run, Search, Read, Rank, Write]:
    plan, search, read, rank, write = Plan(), Search(), Read(), Rank(), Write()
    plan >> [search, read]
    search >> write
    read >> rank >> write
    run = Flow(plan, name="fan").launch({}, show=False)
    _began(search, read)
    return run, search, read, rank, write


def test_each_branch_in_flight_has_a_bar_from_the_fork_on(forked: Any) -> None:
    run, *nodes = forked
    picture = RunViewModel([run])

    going = [mark for mark in picture.marks()[0] if mark[0] == ">"]

    (plan,) = picture.spans()[0]
    assert sorted(mark[3] for mark in going) == ["Read", "Search"]
    assert [mark[1] for mark in going] == [plan[2], plan[2]], "a branch begins where the node ended that forked"
    assert [mark[2] for mark in going] == [None, None]
    assert sorted(mark[4] for mark in going) == [0, 1], "each in a row of its own"
    for node in nodes:
        node.open()
    assert run.wait(10).status == "done"
    assert picture.marks()[0] == []


def test_the_next_node_of_a_branch_begins_where_the_one_before_it_ended(forked: Any) -> None:
    run, search, read, rank, write = forked
    picture = RunViewModel([run])
    rows = {mark[3]: mark[4] for mark in picture.marks()[0]}

    _pass(read, run)
    _began(rank)
    going = {mark[3]: mark for mark in picture.marks()[0]}

    over = {span[0]: span for span in picture.spans()[0]}
    assert set(going) == {"Search", "Rank"}
    assert going["Rank"][1] == over["Read"][2]
    assert over["Read"][4] == rows["Read"] and going["Search"][4] == rows["Search"], "bars keep their rows"
    for node in (search, rank, write):
        node.open()
    run.wait(10)
    ended = {span[0]: span for span in picture.spans()[0]}
    assert ended["Search"][4] == rows["Search"]
    assert ended["Search"][1] == pytest.approx(going["Search"][1], abs=50), "what was drawn is what was recorded"


def test_a_flow_inside_is_drawn_with_its_node() -> None:
    read, rank = Read(), Rank()
    read >> rank
    run = Flow(Flow(read, name="inner"), name="outer").launch({}, show=False)
    _began(read)
    visits = ActiveVisits(run)

    first = {visit.node: visit.start for visit in visits.current()}
    _pass(read, run)
    _began(rank)
    second = {visit.node: visit.start for visit in visits.current()}

    assert set(first) == {"inner", "inner/Read"}
    assert first["inner"] == first["inner/Read"] == lifecycle_of(run).started
    assert second["inner"] == lifecycle_of(run).started
    assert second["inner/Rank"] == run.state().spans[-1].end
    rank.open()
    run.wait(10)
    assert visits.current() == []


def test_a_walk_that_is_paused_before_its_node_has_no_bar_and_begins_after_the_pause() -> None:
    read, rank = Read(), Rank()
    read >> rank
    run = Flow(read, name="held").launch({}, show=False)
    _began(read)
    visits = ActiveVisits(run)
    run.pause()
    _pass(read, run)
    held = lifecycle_of(run).ensure_controller()

    async def waits() -> None:
        while not held.gate.waiting:
            await asyncio.sleep(0)

    engine_thread.submit(waits()).result(10)
    paused, ended = visits.current(), run.state().spans[-1].end
    run.resume()
    _began(rank)
    (visit,) = visits.current()

    assert paused == []
    assert visit.node == "Rank" and visit.start > ended
    rank.open()
    run.wait(10)


def test_a_replay_draws_them_too() -> None:
    read = Read()
    read.open()
    run = Flow(read, name="again").launch({}, show=False).wait(10)
    replay = Replay(run, speed=1e-9)  # so slow that it stands still between the moments that the test has told
    visits = ActiveVisits(replay)

    while not (going := visits.current()):
        replay._one()

    assert [visit.node for visit in going] == ["Read"]
    assert going[0].start >= replay.started


def test_the_bar_of_a_node_where_branches_join_begins_where_the_last_of_them_ended() -> None:
    plan, search, read, write = Plan(), Search(), Read(), Write()
    plan >> [search, read] >> write
    run = Flow(plan).launch({}, show=False)
    _began(search, read)
    search.open()
    while len(run.state().spans) < 2:
        run.wait(0.01)
    read.open()
    _began(write)

    (visit,) = ActiveVisits(run).current()

    ends = {span.node: span.end for span in run.state().spans}
    assert visit.node == "Write"
    assert visit.start == max(ends.values()) > ends["Plan"]
    write.open()
    run.result(10)


def test_a_question_stands_in_the_row_of_the_node_that_asks() -> None:
    class Asks(Node):
        async def exec(self, prep_res: Any) -> Any:
            return await ask("Publish?", ["yes", "no"])

    class Writes(Node):
        async def exec(self, prep_res: Any) -> None:
            await asyncio.sleep(600)

    plan = Node(name="plan")
    plan >> [Writes(), Asks()]
    run = Flow(plan).launch({}, show=False)
    assert run.asking(timeout=10) is not None

    marks = RunViewModel([run]).marks()[0]

    rows = {mark[3]: mark[4] for mark in marks if mark[0] == ">"}
    (asked,) = [mark for mark in marks if mark[0] == "?"]
    assert asked[4] == rows["Asks"] != rows["Writes"]
    run.cancel()
    run.wait(10)
