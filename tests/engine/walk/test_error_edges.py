"""Where does a walk go when a node fails for good?"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, current, linear, node
from tests.engine.conftest import Way


class Fails(Node):
    def __init__(self, where: str = "exec", error: BaseException | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.where, self.error = where, error or ValueError("broken")

    def _maybe(self, where: str) -> None:
        if where == self.where:
            raise self.error

    def prep(self, shared: Any) -> Any:
        self._maybe("prep")

    def exec(self, prep_res: Any) -> Any:
        self._maybe("exec")

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["written"] = True
        self._maybe("post")


class FailsAsync(Fails):
    async def prep(self, shared: Any) -> Any:  # type: ignore[override]
        Fails.prep(self, shared)

    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        Fails.exec(self, prep_res)

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:  # type: ignore[override]
        Fails.post(self, shared, prep_res, exec_res)


class Mends(Node):
    """Notes what failed."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["error"] = repr(current().error)
        return "mended"


@pytest.mark.parametrize("where", ["prep", "exec", "post"])
@pytest.mark.parametrize("kind", [Fails, FailsAsync])
def test_a_failed_node_goes_along_its_error_edge(walk: Way, kind: Any, where: str) -> None:
    broken = kind(where)
    broken.on_error(Mends())

    action, store = walk(Flow(broken), {})

    assert action == "mended"
    assert store["error"] == "ValueError('broken')"


def test_the_handler_sees_the_error_in_a_pool_thread_too(walk: Way) -> None:
    class Looks(Node):
        def exec(self, prep_res: Any) -> Any:
            return str(current().error)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["error"] = exec_res

    broken = Fails()
    broken.on_error(Looks(timeout=20))

    _, store = walk(Flow(broken), {})

    assert store["error"] == "broken"


def test_tries_and_fallback_come_before_the_error_edge(walk: Way) -> None:
    seen: list[str] = []

    class Tries(Node):
        def exec(self, prep_res: Any) -> Any:
            seen.append("try")
            raise ValueError("a")

        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            seen.append("fallback")
            raise KeyError("b") from exc

    broken = Tries(max_retries=2)
    broken.on_error(Mends())

    _, store = walk(Flow(broken), {})

    assert seen == ["try", "try", "fallback"]
    assert store["error"] == "KeyError('b')"


def test_a_handler_that_fails_is_not_its_own_handler(walk: Way) -> None:
    broken, handler = Fails(), Fails(error=KeyError("handler"))
    broken.on_error(handler)

    with pytest.raises(KeyError, match="handler"):
        walk(Flow(broken), {})


def test_handlers_chain(walk: Way) -> None:
    first, second = Fails(), Fails(error=KeyError("again"))
    first.on_error(second).on_error(Mends())

    _, store = walk(Flow(first), {})

    assert store["error"] == "KeyError('again')"


def test_a_nested_flow_that_fails_goes_along_its_own_edge(walk: Way) -> None:
    inner = Flow(Fails(), name="inner")
    inner.on_error(Mends())

    action, store = walk(Flow(inner), {})

    assert (action, store["error"]) == ("mended", "ValueError('broken')")


def test_a_nested_handler_reads_the_error_of_the_flow_around_it(walk: Way) -> None:
    broken = Fails()
    broken.on_error(Flow(Mends(), name="rescue"))

    _, store = walk(Flow(broken), {})

    assert store["error"] == "ValueError('broken')"


def test_a_walk_may_go_back_from_the_handler(walk: Way) -> None:
    class Second(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["tries"] = shared.get("tries", 0) + 1
            if shared["tries"] < 3:
                raise ValueError("not yet")
            return "worked"

    work, again = Second(), Mends()
    work.on_error(again)
    again - "mended" >> work

    action, store = walk(Flow(work), {})

    assert (action, store["tries"]) == ("worked", 3)


def test_what_a_failing_node_wrote_stays(walk: Way) -> None:
    broken = Fails("post")
    broken.on_error(Mends())

    _, store = walk(Flow(broken), {})

    assert store["written"] is True


def test_one_handler_for_a_whole_path(walk: Way) -> None:
    @node
    def fine(shared: Any) -> None: ...

    _, store = walk(linear(fine, Fails(), on_error=Mends()), {})

    assert store["error"] == "ValueError('broken')"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_what_is_no_error_takes_no_error_edge(error: BaseException) -> None:
    broken = Fails(error=error)
    broken.on_error(Mends())
    store: dict[str, Any] = {}

    with pytest.raises(type(error)):
        Flow(broken).run(store)

    assert "error" not in store


def test_the_log_tells_that_a_failure_was_handled(walk: Way) -> None:
    from pocketflex_nb import runs

    broken = Fails()
    broken.on_error(Mends())

    walk(Flow(broken), {})

    run = runs()[-1]
    failure = next(e for e in run.events if e.kind == "node_failed")
    assert (failure["handled"], failure["error"]) == (True, "ValueError: broken")
    assert run.status == "done"
    assert run.state().edges["Fails", "!error"] == 1


def test_a_branch_may_fail_into_its_own_handler_and_still_join(walk: Way) -> None:
    @node
    def plan(shared: Any) -> None: ...

    @node
    def fine(shared: Any) -> None:
        shared["fine"] = True

    @node
    def write(shared: Any) -> None:
        shared["wrote"] = shared.get("wrote", 0) + 1

    broken, mends = Fails(), Mends()
    plan >> [broken, fine] >> write
    broken.on_error(mends)
    mends - "mended" >> write

    _, store = walk(Flow(plan), {})

    assert (store["error"], store["fine"], store["wrote"]) == ("ValueError('broken')", True, 1)


def test_a_failed_fork_inside_a_flow_takes_the_flows_edge(walk: Way) -> None:
    @node
    def plan(shared: Any) -> None: ...

    plan >> [Fails(), Fails(error=ValueError("broken"))]
    inner = Flow(plan, name="inner")
    inner.on_error(Mends())

    _, store = walk(Flow(inner), {})

    assert store["error"] == "ValueError('broken')"


def test_an_error_edge_may_lead_to_a_fork(walk: Way) -> None:
    from pocketflex_nb.core.flow.nodes import Fork

    broken = Fails()
    done: list[str] = []

    @node
    def left(shared: Any) -> None:
        done.append(repr(current().error))

    @node
    def right(shared: Any) -> None:
        done.append(repr(current().error))

    broken.on_error(Fork([left, right]))

    walk(Flow(broken), {})

    assert done == ["ValueError('broken')"] * 2
