"""What ends a run or an attempt that takes too much? And who is let in to a provider?"""

from __future__ import annotations

import asyncio
import copy
import threading
from typing import Any

import pytest

from pocketflex_nb import Breaker, Flow, Limiter, Node, ask, emit, node
from pocketflex_nb.core.errors import BreakerOpen, BudgetSpent, NodeTimeout, RunTimeout, StepLimit
from tests.engine.conftest import Way

FOREVER = threading.Event()


class Hangs(Node):
    """Plain code that never ends by itself, until the test sets `free`."""

    def __init__(self, free: threading.Event, **options: Any) -> None:
        super().__init__(**options)
        self.free = [free]

    def exec(self, prep_res: Any) -> Any:
        self.free[0].wait(30)

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Waits(Node):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        await asyncio.Event().wait()


@pytest.fixture
def free() -> Any:
    event = threading.Event()
    yield event
    event.set()


def test_a_plain_exec_that_takes_too_long_is_given_up(walk: Way, free: threading.Event) -> None:
    with pytest.raises(NodeTimeout, match="Hangs") as caught:
        walk(Flow(Hangs(free, timeout=0.05)), {})

    assert isinstance(caught.value, TimeoutError)


def test_an_async_exec_that_takes_too_long_is_given_up(walk: Way) -> None:
    with pytest.raises(NodeTimeout, match="Waits"):
        walk(Flow(Waits(timeout=0.05)), {})


def test_a_time_limit_bounds_each_try_and_is_retried(walk: Way) -> None:
    tries: list[int] = []

    class Third(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            tries.append(self.cur_retry)
            if len(tries) < 3:
                await asyncio.Event().wait()
            return "worked"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return exec_res

    action, _ = walk(Flow(Third(max_retries=3, timeout=0.05)), {})

    assert (action, tries) == ("worked", [0, 1, 2])


def test_a_timeout_goes_to_the_fallback_and_the_error_edge(walk: Way) -> None:
    class Falls(Waits):
        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return type(exc).__name__

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return exec_res

    action, _ = walk(Flow(Falls(timeout=0.02)), {})

    assert action == "NodeTimeout"


def test_a_users_own_timeout_error_is_passed_on_as_it_is(walk: Way) -> None:
    mine = TimeoutError("mine")

    class Raises(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            raise mine

    with pytest.raises(TimeoutError) as caught:
        walk(Flow(Raises(timeout=20)), {})

    assert caught.value is mine


def test_a_wrong_timeout_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout"):
        Node(timeout=0)
    with pytest.raises(ValueError, match="timeout"):
        Flow(timeout=-1)


def test_a_run_that_takes_too_long_ends_with_its_store_kept(walk: Way) -> None:
    from pocketflex_nb import runs

    @node
    def first(shared: Any) -> None:
        shared["kept"] = True

    first >> Waits()

    with pytest.raises(RunTimeout, match="took longer than"):
        walk(Flow(first, timeout=0.1), {})

    run = runs()[-1]
    assert run.store["kept"] is True
    assert run.status == "failed"


def test_a_plain_run_of_plain_steps_ends_at_its_time_limit_before_the_next_node() -> None:
    spins = node(lambda shared: FOREVER.wait(0.001) or "again")
    spins - "again" >> spins

    with pytest.raises(RunTimeout):
        Flow(spins, timeout=0.05).run({})


def test_launch_has_time_limits_of_its_own() -> None:
    run = Flow(Waits()).launch({}, timeout=0.05, show=False)

    with pytest.raises(RunTimeout):
        run.result(10)


def test_max_steps_stops_a_loop_and_names_the_hot_path(walk: Way) -> None:
    @node
    def ping(shared: Any) -> None:
        shared["n"] = shared.get("n", 0) + 1

    @node
    def pong(shared: Any) -> None: ...

    ping >> pong >> ping

    with pytest.raises(StepLimit, match=r"ping \(\d+x\)") as caught:
        walk(Flow(ping, max_steps=11), {})

    assert sum(times for _, times in caught.value.hot) == 11
    assert {path for path, _ in caught.value.hot} == {"ping", "pong"}


def test_a_flow_that_needs_exactly_its_steps_is_done(walk: Way) -> None:
    @node
    def one(shared: Any) -> None: ...

    @node
    def two(shared: Any) -> str:
        return "end"

    one >> two

    action, _ = walk(Flow(one, max_steps=2), {})

    assert action == "end"


def test_steps_of_branches_and_nested_flows_count(walk: Way) -> None:
    @node
    def a(shared: Any) -> None: ...

    @node
    def b(shared: Any) -> None: ...

    @node
    def loop(shared: Any) -> None: ...

    loop >> loop
    inner = Flow(loop, name="inner")
    a >> [b, inner]

    with pytest.raises(StepLimit, match="inner/loop"):
        walk(Flow(a, max_steps=30), {})


@pytest.mark.parametrize(("what", "budget"), [("tokens", {"tokens": 25}), ("cost", {"cost": 0.25})])
def test_a_spent_budget_stops_the_run_with_its_store_kept(walk: Way, what: str, budget: dict[str, float]) -> None:
    from pocketflex_nb import runs

    @node
    def calls(shared: Any) -> None:
        emit("usage", tokens=10, cost=0.1)
        shared["calls"] = shared.get("calls", 0) + 1

    calls >> calls

    with pytest.raises(BudgetSpent, match=what) as caught:
        walk(Flow(calls, budget=budget), {})

    assert caught.value.what == what
    assert runs()[-1].store["calls"] == 3


def test_a_budget_of_steps_and_seconds_stops_too(walk: Way) -> None:
    @node
    def spins(shared: Any) -> None:
        FOREVER.wait(0.001)

    spins >> spins

    with pytest.raises(BudgetSpent, match="steps"):
        walk(Flow(spins, budget={"steps": 5}), {})
    with pytest.raises(BudgetSpent, match="seconds"):
        walk(Flow(spins, budget={"seconds": 0.05}), {})


@pytest.mark.parametrize("wrong", [{"timeout": "soon"}, {"budget": 5}], ids=str)
def test_a_limit_of_the_wrong_kind_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        Flow(**wrong)


@pytest.mark.parametrize("steps", [0, 1.5, float("nan")])
def test_a_wrong_number_of_steps_is_refused(steps: Any) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Flow(max_steps=steps)


@pytest.mark.parametrize("budget", [{"dollars": 1}, {"cost": 0}, {"steps": "many"}, {"cost": float("nan")}], ids=str)
def test_a_wrong_budget_is_refused(budget: Any) -> None:
    with pytest.raises(ValueError, match="budget"):
        Flow(budget=budget)


def test_a_limit_passed_is_no_failure_that_an_error_edge_takes(walk: Way) -> None:
    @node
    def spins(shared: Any) -> None: ...

    spins >> spins
    spins.on_error(node(lambda shared: "handled"))

    with pytest.raises(StepLimit):
        walk(Flow(spins, max_steps=5), {})


def test_asking_time_counts_for_no_limit(eventually: Any) -> None:
    @node(timeout=0.3)
    async def asks(shared: Any) -> str:
        return str(await ask("well?"))

    run = Flow(asks).launch({}, timeout=0.3, show=False)
    eventually(lambda: run.status == "asking")
    FOREVER.wait(0.5)
    run.answer("so")

    assert run.result(10) == "so"


def test_paused_time_counts_for_no_limit(eventually: Any) -> None:
    @node
    async def one(shared: Any) -> None: ...

    @node
    async def two(shared: Any) -> str:
        return "over"

    one >> two
    run = Flow(one).launch({}, timeout=0.3, show=False)
    run.pause()
    FOREVER.wait(0.5)
    run.resume()

    assert run.result(10) == "over"


# who is let in ----------------------------------------------------------------------------------------------------------
class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_limiter_lets_in_so_many_per_window() -> None:
    limiter = Limiter(3, per=10, clock=Clock())

    waits = [limiter.reserve() for _ in range(8)]

    assert waits == [0, 0, 0, 10, 10, 10, 20, 20]


def test_a_limiters_window_slides() -> None:
    clock = Clock()
    limiter = Limiter(2, per=10, clock=clock)

    limiter.reserve()
    clock.now += 6
    limiter.reserve()
    clock.now += 5

    assert [limiter.reserve(), limiter.reserve()] == [0, 5]


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": 1, "per": 0}], ids=str)
def test_a_wrong_limiter_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Limiter"):
        Limiter(**wrong)


def test_a_limiter_is_shared_between_runs_and_threads(walk: Way) -> None:
    limiter = Limiter(1000, per=60)

    @node
    def plain(shared: Any) -> None:
        with limiter:
            shared["plain"] = True

    @node
    async def awaited(shared: Any) -> None:
        async with limiter:
            shared["async"] = True

    plain >> awaited

    _, store = walk(Flow(plain), {})

    assert store["plain"] is store["async"] is True
    assert len(limiter._slots) == 2


def fail(breaker: Breaker, error: Exception) -> None:
    with pytest.raises(type(error)), breaker:
        raise error


def test_a_breaker_opens_after_failures_in_a_row_and_refuses() -> None:
    breaker = Breaker(failures=2, reset_after=30, clock=Clock())

    fail(breaker, ValueError())
    with breaker:
        pass
    fail(breaker, ValueError())
    assert breaker.state == "closed"
    fail(breaker, ValueError())

    assert breaker.state == "open"
    with pytest.raises(BreakerOpen, match="30 s") as caught, breaker:
        pass
    assert caught.value.retry_in == 30


def test_a_half_open_breaker_lets_one_try_and_closes_when_it_works() -> None:
    clock = Clock()
    breaker = Breaker(failures=1, reset_after=30, clock=clock)
    fail(breaker, ValueError())
    clock.now += 30

    with breaker:
        assert breaker.state == "half-open"
        with pytest.raises(BreakerOpen), breaker:
            pass

    assert breaker.state == "closed"


def test_a_half_open_breaker_opens_again_when_its_try_fails() -> None:
    clock = Clock()
    breaker = Breaker(failures=3, reset_after=30, clock=clock)
    for _ in range(3):
        fail(breaker, ValueError())
    clock.now += 31

    fail(breaker, ValueError())

    assert breaker.state == "open"
    clock.now += 29
    assert breaker.state == "open"
    clock.now += 1
    assert breaker.state == "half-open"


def test_a_breaker_counts_only_the_named_errors() -> None:
    breaker = Breaker(failures=1, reset_after=30, on=ConnectionError)

    fail(breaker, ValueError())
    assert breaker.state == "closed"
    fail(breaker, ConnectionResetError())

    assert breaker.state == "open"


def test_an_error_that_does_not_count_lets_the_next_call_try() -> None:
    clock = Clock()
    breaker = Breaker(failures=1, reset_after=30, on=ConnectionError, clock=clock)
    fail(breaker, ConnectionError())
    clock.now += 30

    fail(breaker, ValueError())

    with breaker:
        pass
    assert breaker.state == "closed"


def test_a_call_that_began_before_the_breaker_opened_does_not_end_the_try() -> None:
    clock = Clock()
    breaker = Breaker(failures=1, reset_after=30, clock=clock)
    slow = breaker.before()
    fail(breaker, ValueError())
    clock.now += 30
    trying = breaker.before()

    breaker.after(None, slow)

    with pytest.raises(BreakerOpen):
        breaker.before()
    breaker.after(None, trying)
    assert breaker.state == "closed"


def test_a_flow_whose_nodes_hold_a_breaker_and_a_limiter_can_be_copied() -> None:
    calls = Node()
    calls.breaker, calls.limiter = Breaker(), Limiter(3)  # type: ignore[attr-defined]

    twin = copy.deepcopy(Flow(calls)).start_node

    assert twin is not calls
    assert (twin.breaker, twin.limiter) == (calls.breaker, calls.limiter)  # type: ignore[attr-defined]


def test_a_breaker_in_nodes_goes_to_the_fallback_without_a_call(walk: Way) -> None:
    breaker, calls = Breaker(failures=2, reset_after=60), []

    class Calls(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            async with breaker:
                calls.append(1)
                raise ConnectionError

        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return type(exc).__name__

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["seen"].append(exec_res)

    first, second, third = Calls(), Calls(), Calls()
    first >> second >> third

    _, store = walk(Flow(first), {"seen": []})

    assert store["seen"] == ["ConnectionError", "ConnectionError", "BreakerOpen"]
    assert len(calls) == 2


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"reset_after": 0}], ids=str)
def test_a_wrong_breaker_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Breaker"):
        Breaker(**wrong)
