"""Branches in parallel: where they meet, what each leaves, and what one does to the others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pocketflex_nb import END, BatchNode, Flow, Node, Store, current, linear, runs
from pocketflex_nb.core.flow.nodes import Fork
from tests.engine.conftest import Way


class Step(Node):
    """Adds its name to ``shared["seen"]`` and takes an action."""

    def __init__(self, name: str, action: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.name, self.action = name, action

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["seen"].append(self.name)
        return self.action


class AsyncStep(Step):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        for _ in range(3):
            await asyncio.sleep(0)


KINDS = pytest.mark.parametrize("kind", [Step, AsyncStep])


@KINDS
def test_the_join_runs_once_when_every_branch_has_arrived(walk: Way, kind: Any) -> None:
    plan, a, b, c, join = (kind(name) for name in ("plan", "a", "b", "c", "join"))
    plan >> [a, b, c] >> join

    _, store = walk(Flow(plan), {"seen": []})

    assert (store["seen"][0], store["seen"][-1]) == ("plan", "join")
    assert sorted(store["seen"]) == ["a", "b", "c", "join", "plan"]


@KINDS
def test_a_fan_out_behind_a_fan_out_waits_for_every_branch_and_runs_once(walk: Way, kind: Any) -> None:
    plan, a, b, c, d, join = (kind(name) for name in ("plan", "a", "b", "c", "d", "join"))
    plan >> [a, b] >> [c, d] >> join

    _, store = walk(Flow(plan), {"seen": []})

    seen = store["seen"]
    assert (seen[0], sorted(seen[1:3]), sorted(seen[3:5]), seen[5:]) == ("plan", ["a", "b"], ["c", "d"], ["join"])
    assert {e.address for e in runs()[-1].events if e.kind == "node_finished"} >= {"Flow/plan#1{a}/a#1", "Flow/plan#1{c}/c#1"}


@KINDS
def test_a_fan_out_behind_nested_branches_runs_once(walk: Way, kind: Any) -> None:
    plan, a, b, a1, a2, c, d = (kind(name) for name in ("plan", "a", "b", "a1", "a2", "c", "d"))
    plan >> [a, b]
    both = a >> [a1, a2] >> [c, d]
    b.successors["default"] = both

    _, store = walk(Flow(plan), {"seen": []})

    assert sorted(store["seen"]) == ["a", "a1", "a2", "b", "c", "d", "plan"]
    assert set(store["seen"][-2:]) == {"c", "d"}


@KINDS
def test_branches_that_meet_already_go_on_behind_their_common_end(walk: Way, kind: Any) -> None:
    plan, a, b, merge, last = (kind(name) for name in ("plan", "a", "b", "merge", "last"))
    a >> merge
    b >> merge
    plan >> [a, b] >> last

    _, store = walk(Flow(plan, max_steps=20), {"seen": []})

    assert store["seen"][3:] == ["merge", "last"]
    assert last.successors == {}


def test_a_branch_that_is_the_next_target_itself_gets_no_arrow_to_itself() -> None:
    plan, a, b = Node(), Node(), Node()

    plan >> [a, b] >> b

    assert (a.successors, b.successors) == ({"default": b}, {})


def test_branches_are_at_work_together(walk: Way) -> None:
    meet = threading.Barrier(3)

    class Meets(Node):
        def exec(self, prep_res: Any) -> Any:
            meet.wait(20)

    class MeetsAsync(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            await asyncio.to_thread(meet.wait, 20)

    together = MeetsAsync if "run_async" in repr(walk) else Meets
    plan = Node()
    plan >> [together(), together(), together()]

    walk(Flow(plan), {})


@KINDS
def test_a_flow_may_begin_with_a_fan_out(walk: Way, kind: Any) -> None:
    fork = Fork([kind("a"), kind("b")])
    fork.next(kind("join"))

    _, store = walk(Flow(fork), {"seen": []})

    assert sorted(store["seen"][:2]) == ["a", "b"]
    assert store["seen"][2:] == ["join"]


@KINDS
def test_branches_of_different_length_wait_for_each_other(walk: Way, kind: Any) -> None:
    plan, short, join = kind("plan"), kind("short"), kind("join")
    steps = [kind(f"long{n}") for n in range(5)]
    linear(*steps)
    plan >> [steps[0], short]
    steps[-1] >> join
    short >> join

    _, store = walk(Flow(plan), {"seen": []})

    assert store["seen"].count("join") == 1
    assert store["seen"][-1] == "join"


@KINDS
def test_forks_within_forks_join_within_joins(walk: Way, kind: Any) -> None:
    plan, left, right, inner, outer = (kind(name) for name in ("plan", "left", "right", "inner", "outer"))
    plan >> [left, right]
    left >> [kind("l1"), kind("l2")] >> inner
    inner >> outer
    right >> outer

    _, store = walk(Flow(plan), {"seen": []})

    seen = store["seen"]
    assert sorted(seen) == ["inner", "l1", "l2", "left", "outer", "plan", "right"]
    assert seen[-1] == "outer"
    assert seen.index("inner") > max(seen.index("l1"), seen.index("l2"))


@KINDS
def test_a_branch_may_loop_while_its_siblings_go_on(walk: Way, kind: Any) -> None:
    class Loops(kind):  # type: ignore[misc,valid-type]
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            super().post(shared, prep_res, exec_res)
            return "again" if shared["seen"].count(self.name) < 4 else "done"

    plan, loops, other, join = kind("plan"), Loops("loops"), kind("other"), kind("join")
    plan >> [loops, other]
    loops - "again" >> loops
    loops - "done" >> join
    other >> join

    _, store = walk(Flow(plan), {"seen": []})

    assert store["seen"].count("loops") == 4
    assert store["seen"].count("join") == 1
    assert store["seen"][-1] == "join"


@KINDS
def test_a_loop_through_the_fork_joins_every_time(walk: Way, kind: Any) -> None:
    class Judge(kind):  # type: ignore[misc,valid-type]
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            super().post(shared, prep_res, exec_res)
            return "revise" if shared["seen"].count(self.name) < 3 else "good"

    plan, a, b, judge = kind("plan"), kind("a"), kind("b"), Judge("judge")
    plan >> [a, b] >> judge
    judge - "revise" >> plan
    judge - "good" >> END

    action, store = walk(Flow(plan), {"seen": []})

    assert action == "good"
    assert [store["seen"].count(name) for name in ("plan", "a", "b", "judge")] == [3, 3, 3, 3]
    addresses = [e.address for e in runs()[-1].events if e.kind == "node_finished"]
    assert len(set(addresses)) == len(addresses) == 12


@KINDS
def test_without_a_join_the_last_branch_in_written_order_gives_the_action(walk: Way, kind: Any) -> None:
    plan = kind("plan")
    plan >> [kind("a", "first"), kind("b", "second")]

    action, _ = walk(Flow(plan), {"seen": []})

    assert action == "second"


@KINDS
def test_a_branch_that_ends_early_does_not_keep_the_join_from_running(walk: Way, kind: Any) -> None:
    plan, early, other, join = kind("plan"), kind("early", "stop"), kind("other"), kind("join")
    plan >> [early, other] >> join
    early - "stop" >> END

    _, store = walk(Flow(plan), {"seen": []})

    assert sorted(store["seen"]) in (["early", "join", "other", "plan"], ["early", "other", "plan"])


@KINDS
def test_a_nested_flow_is_a_branch(walk: Way, kind: Any) -> None:
    first = kind("in1")
    first >> kind("in2")
    plan, join = kind("plan"), kind("join")
    plan >> [Flow(first, name="inner"), kind("other")] >> join

    _, store = walk(Flow(plan), {"seen": []})

    assert store["seen"][-1] == "join"
    assert sorted(store["seen"]) == ["in1", "in2", "join", "other", "plan"]


@KINDS
def test_a_fork_inside_a_nested_flow_joins_inside_it(walk: Way, kind: Any) -> None:
    start, inner_join, after = kind("start"), kind("inner join"), kind("after")
    start >> [kind("a"), kind("b")] >> inner_join
    inner = Flow(start, name="inner")
    inner >> after

    _, store = walk(Flow(inner), {"seen": []})

    assert store["seen"][-2:] == ["inner join", "after"]


@KINDS
def test_params_reach_every_branch(walk: Way, kind: Any) -> None:
    got: list[Any] = []

    class Reads(kind):  # type: ignore[misc,valid-type]
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            got.append(dict(self.params))

    plan = kind("plan")
    plan >> [Reads("a"), Reads("b")] >> Reads("join")
    flow = Flow(plan)
    flow.set_params({"lang": "de"})

    walk(flow, {"seen": []})

    assert got == [{"lang": "de"}] * 3


def test_addresses_name_the_branch(walk: Way) -> None:
    plan = Step("plan")
    plan >> [Step("a"), Step("b")] >> Step("join")

    walk(Flow(plan, name="report"), {"seen": []})

    addresses = sorted(e.address for e in runs()[-1].events if e.kind == "node_finished")
    assert addresses == ["report/join#1", "report/plan#1", "report/plan#1{a}/a#1", "report/plan#1{b}/b#1"]


def test_a_failing_branch_cancels_its_siblings_and_fails_the_run(walk: Way) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    class Waits(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    class Fails(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            while not begun.is_set():
                await asyncio.sleep(0)
            raise ValueError("branch")

    plan, join = Step("plan"), Step("join")
    plan >> [Waits(), Fails()] >> join
    store: Any = Store({"seen": []})

    with pytest.raises(ValueError, match="branch"):
        walk(Flow(plan), store)

    assert cancelled.is_set()
    assert store["seen"] == ["plan"]


def test_the_last_branch_does_not_overtake_the_first_failure(walk: Way) -> None:
    class Fails(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            raise ValueError("first")

    plan = Step("plan")
    plan >> [Fails(), AsyncStep("b")]

    with pytest.raises(ValueError, match="first"):
        walk(Flow(plan), {"seen": []})


def test_a_flow_bounds_how_many_branches_work_at_once(walk: Way) -> None:
    now, most = [0], [0]

    class Busy(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            now[0] += 1
            most[0] = max(most[0], now[0])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            now[0] -= 1

    plan = Step("plan")
    plan >> [Busy() for _ in range(9)] >> Step("join")

    walk(Flow(plan, max_concurrency=2), {"seen": []})

    assert 1 <= most[0] <= 2


def test_a_detached_branch_is_started_and_not_waited_for_and_ends_with_the_run(walk: Way) -> None:
    begun, ended = threading.Event(), threading.Event()

    class Watches(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    class WaitsForIt(AsyncStep):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            while not begun.is_set():
                await asyncio.sleep(0)

    plan = Step("plan")
    plan.next(Fork([WaitsForIt("main", "over")], detached=[Watches()]))

    action, store = walk(Flow(plan), {"seen": []})

    assert action == "over"
    assert ended.wait(10)
    assert store["seen"] == ["plan", "main"]


def test_a_detached_branch_that_fails_fails_nobody(walk: Way) -> None:
    failed = threading.Event()

    class Fails(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            failed.set()
            raise ValueError("aside")

    class WaitsForIt(AsyncStep):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            while not failed.is_set():
                await asyncio.sleep(0)

    plan = Step("plan")
    plan.next(Fork([WaitsForIt("main", "over")], detached=[Fails()]))

    action, _ = walk(Flow(plan), {"seen": []})

    assert action == "over"


def test_a_batch_in_a_branch_keeps_its_items_apart(walk: Way) -> None:
    class Items(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(4)

        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            await asyncio.sleep(0)
            return current().address

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["seen"].extend(exec_res)

    plan = Step("plan")
    left, right = Items(max_concurrency=None), Items(max_concurrency=None)
    left.name, right.name = "left", "right"
    plan >> [left, right] >> Step("join")

    _, store = walk(Flow(plan, name="f"), {"seen": []})

    wanted = {f"f/plan#1{{{side}}}/{side}#1[{n}]" for side in ("left", "right") for n in range(4)}
    assert wanted <= set(store["seen"])


def test_writes_of_parallel_branches_are_all_kept(walk: Way) -> None:
    class Writes(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            await asyncio.sleep(0)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared[self.key] = True  # type: ignore[attr-defined]

    branches = []
    for n in range(50):
        branch: Any = Writes()
        branch.key = f"k{n}"
        branches.append(branch)
    plan = Step("plan")
    plan >> branches >> Step("join")
    store = Store({"seen": []})

    walk(Flow(plan), store)

    assert all(store[f"k{n}"] for n in range(50))


@pytest.mark.parametrize("wrong", [[1], ["a"], [Node]])
def test_a_fan_out_to_something_else_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="node or a flow"):
        Node() >> wrong


def test_a_fan_out_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Node() >> []


def test_a_fan_out_of_one_is_a_walk_like_any_other(walk: Way) -> None:
    plan = Step("plan")
    plan >> [Step("a")] >> Step("join")

    _, store = walk(Flow(plan), {"seen": []})

    assert store["seen"] == ["plan", "a", "join"]


def test_a_join_behind_branches_one_after_the_other_is_no_part_of_the_last_branch(walk: Way) -> None:
    class Where(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["where"] = current().branch, current().address

    plan = Node()
    plan >> [AsyncStep("a"), AsyncStep("b")] >> Where()

    _, store = walk(Flow(plan, max_concurrency=1), {"seen": []})

    assert store["where"] == (None, "Flow/Where#1")
