"""Nodes and arrows: what PocketFlow's users write, and what is new beside it."""

from __future__ import annotations

import copy
import enum
import pickle
import warnings
from typing import Any

import pytest

from pocketflex_nb import END, BaseNode, BatchNode, Flow, Node, Retry, node
from pocketflex_nb.core.flow.function_nodes import AsyncFunctionNode, FunctionNode
from pocketflex_nb.core.flow.nodes import Fork


class Way(enum.StrEnum):
    YES = "yes"


def test_arrows_give_their_target_so_that_they_chain() -> None:
    a, b, c = Node(), Node(), Node()

    assert (a >> b) is b
    assert (b - "again" >> a) is a
    assert b.next(c, "done") is c
    assert a.successors == {"default": b}
    assert b.successors == {"again": a, "done": c}


def test_on_and_branch_give_the_node_itself_so_that_they_chain() -> None:
    a, b, c, d = Node(), Node(), Node(), Node()

    assert a.on("b", b).on("c", c).branch({"d": d, "e": END}) is a

    assert a.successors == {"b": b, "c": c, "d": d, "e": END}


def test_on_error_gives_the_handler_and_stays_out_of_the_successors() -> None:
    a, handler = Node(), Node()

    assert a.on_error(handler) is handler
    assert a.successors == {}


def test_drawing_an_action_twice_warns_and_the_last_wins() -> None:
    a, b, c = Node(), Node(), Node()
    a >> b

    with pytest.warns(UserWarning, match="Overwriting successor for action 'default'"):
        a >> c

    assert a.successors == {"default": c}


def test_an_action_must_be_a_string_and_a_str_enum_is_one() -> None:
    a, b = Node(), Node()

    with pytest.raises(TypeError, match=r"^Action must be a string$"):
        a - 3
    a - Way.YES >> b

    assert a.successors["yes"] is b


def test_an_arrow_to_none_is_legal() -> None:
    a = Node()
    a >> None

    assert a.successors == {"default": None}


def test_nodes_are_told_apart_by_identity_and_are_always_true() -> None:
    a, b = Node(), Node()

    assert a != b
    assert len({a, b, copy.copy(a)}) == 3
    assert all([a, b, Flow(), Fork([a]), END])


def test_any_attribute_may_be_set() -> None:
    a = Node()
    a._pocketflow_traced = a.anything = True  # type: ignore[attr-defined]

    assert a.anything  # type: ignore[attr-defined]


def test_a_subclass_may_leave_out_the_arguments_of_init() -> None:
    class Bare(Flow):
        def __init__(self) -> None:
            super().__init__(start=Node())

    assert isinstance(Bare().start_node, Node)


def test_a_node_run_alone_warns_of_its_successors() -> None:
    a = Node()
    a >> Node()

    with pytest.warns(UserWarning, match=r"^Node won't run successors\. Use Flow\.$"):
        a.run({})


def test_a_node_run_alone_is_no_copy() -> None:
    class Keeps(Node):
        def prep(self, shared: Any) -> Any:
            self.kept = shared

    keeps, store = Keeps(), {"a": 1}
    keeps.run(store)

    assert keeps.kept is store


def test_a_visit_in_a_flow_is_a_shallow_copy() -> None:
    class Counts(Node):
        def __init__(self) -> None:
            super().__init__()
            self.scalar, self.list = 0, []

        def prep(self, shared: Any) -> Any:
            self.scalar += 1
            self.list.append(self.scalar)
            return self.scalar

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return "again" if len(self.list) < 3 else "done"

    counts = Counts()
    counts - "again" >> counts
    counts - "done" >> END

    Flow(counts).run({})

    assert (counts.scalar, counts.list) == (0, [1, 1, 1])


@pytest.mark.parametrize("name", ["prep", "exec", "post", "exec_fallback"])
def test_an_instance_attribute_beats_the_method(name: str) -> None:
    a, seen = Node(), []

    def patched(*args: Any) -> Any:
        seen.append(len(args))

    setattr(a, name, patched)
    if name == "exec_fallback":
        def broken(prep_res: Any) -> Any:
            raise ValueError

        a.exec = broken  # type: ignore[method-assign]
    Flow(a).run({})

    assert seen == [{"prep": 1, "exec": 1, "post": 3, "exec_fallback": 2}[name]]


def test_flows_deep_copy_and_pickle_with_forks_ends_and_error_edges() -> None:
    a, b, c, d = Node(), BatchNode(max_concurrency=3), Node(retry=Retry(3)), Node()
    a >> [b, c] >> d
    d >> END
    d - "stop" >> END
    a.on_error(d)
    flow = Flow(a, name="kept", max_steps=7)

    for twin in (copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        start = twin.start_node
        fork = start.successors["default"]
        assert type(fork) is Fork
        join = fork.heads[0].successors["default"]
        assert join is fork.heads[1].successors["default"] is start._pfx_on_error
        assert join.successors["stop"] is END
        assert (twin.name, twin._pfx_max_steps) == ("kept", 7)
        assert start is not a
        twin.run({})


def test_a_fan_out_of_fan_outs_wires_its_tails() -> None:
    a, b, c, join = Node(), Node(), Node(), Node()
    b >> c

    a >> [b, Node()] >> join

    assert c.successors["default"] is join


def test_a_branch_that_loops_must_be_wired_by_hand() -> None:
    a, b = Node(), Node()
    a >> b >> a

    with pytest.raises(ValueError, match="loops through default actions"):
        Node() >> [a, Node()] >> Node()


# functions -----------------------------------------------------------------------------------------------------------------
def test_a_function_becomes_a_node_named_after_it() -> None:
    @node
    def research(shared: Any) -> str:
        """Look it up."""
        return "found"

    assert isinstance(research, FunctionNode)
    assert (research.name, research.__doc__) == ("research", "Look it up.")
    assert Flow(research).run({}) == "found"


def test_an_async_function_becomes_a_node_too() -> None:
    @node(max_retries=2)
    async def research(shared: Any) -> None:
        shared["done"] = True

    store: dict[str, Any] = {}
    Flow(research).run(store)

    assert isinstance(research, AsyncFunctionNode)
    assert (store, research.max_retries) == ({"done": True}, 2)


def test_a_function_may_take_nothing() -> None:
    assert Flow(node(lambda: "went")).run({}) == "went"


def test_a_function_node_that_returns_something_else_names_the_mend() -> None:
    @node
    def research(shared: Any) -> Any:
        return ["a", "result"]

    with pytest.raises(TypeError, match="write results to the store"):
        Flow(research).run({})


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="function"):
        node(3)  # type: ignore[call-overload]


@pytest.mark.parametrize("make", [Node, BatchNode, BaseNode, Flow])
def test_a_node_tells_its_class_and_name(make: Any) -> None:
    thing = make()
    assert repr(thing) == f"<{make.__name__}>"
    thing.name = "search"
    assert repr(thing) == f"<{make.__name__} 'search'>"


def test_nothing_warns_when_a_flow_is_wired_and_run() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a, b = Node(), Node()
        a >> b
        Flow(a).run({})
