"""The columns of a lane: visits that go on at the same time stand side by side, all others below each other."""

from __future__ import annotations

import threading

from pocketflex_nb import BatchNode, Flow, Node, emit, launch
from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel


class Say(Node):
    blocking = False

    async def exec(self, prep_res: object) -> None:
        emit("token", "one ")
        emit("log", "two")


class Meet(Node):
    """Streams while the others that meet it do."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__()
        self.barrier = barrier

    def exec(self, prep_res: object) -> None:
        for word in ("first ", "second ", "third "):
            emit("token", word)
            self.barrier.wait(10)


class Left(Meet):
    pass


class Right(Meet):
    pass


class End(Say):
    pass


def _lines(flow: Flow) -> list[list[object]]:
    run = launch(flow, {}, show=False).wait(20)
    lines: list[list[object]] = RunViewModel([run]).lanes(40)[0]["lines"]
    return lines


def test_branches_that_stream_together_have_a_column_each() -> None:
    begin, end, barrier = Say(), End(), threading.Barrier(2)
    begin >> [Left(barrier), Right(barrier)] >> end

    told = _lines(Flow(begin))

    assert [line[2] for line in told][:2] == ["Say", "Say"]
    assert {(line[1], line[2], *line[4:]) for line in told[2:4]} == {
        ("first second third ", node, column) for node, column in zip([line[2] for line in told[2:4]], (0, 1), strict=True)
    }
    assert told[2][3] == told[3][3]
    assert [line[2:] for line in told[4:]] == [["End"], ["End"]]


def test_nodes_in_turn_and_loops_have_no_columns() -> None:
    class Loop(Say):
        def post(self, shared: dict[str, int], prep_res: object, exec_res: object) -> str:
            shared["n"] = shared.get("n", 0) + 1
            return "again" if shared["n"] < 5 else "on"

    loop = Loop()
    loop - "again" >> loop
    loop - "on" >> End()

    assert all(len(line) == 3 for line in _lines(Flow(loop)))


def test_items_that_stream_together_have_a_column_each() -> None:
    barrier = threading.Barrier(3)

    class Items(BatchNode):
        max_concurrency = None

        def prep(self, shared: object) -> list[int]:
            return [1, 2, 3]

        def exec(self, item: int) -> None:
            for _ in range(3):
                emit("token", f"{item} ")
                barrier.wait(10)

    told = _lines(Flow(Items(max_concurrency=None)))

    assert sorted(str(line[1]) for line in told) == ["1 1 1 ", "2 2 2 ", "3 3 3 "]
    assert [line[4] for line in told] == [0, 1, 2]


def test_a_crowd_of_visits_leaves_a_bounded_memory() -> None:
    class Loop(Say):
        def post(self, shared: dict[str, int], prep_res: object, exec_res: object) -> str | None:
            shared["n"] = shared.get("n", 0) + 1
            return "again" if shared["n"] < 6_000 else None

    loop = Loop()
    loop - "again" >> loop
    run = launch(Flow(loop), {}, show=False)
    picture = RunViewModel([run])
    while not run.done():
        picture.lanes(12)
        run.wait(0.05)
    picture.lanes(12)

    columns = picture._columns[run.number]
    assert len(columns._places) <= 4_000
    assert len(columns._widths) <= 4_001
