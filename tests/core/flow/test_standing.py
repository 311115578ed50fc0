"""A node in several flows: who takes a copy, who warns, and what is kept."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from pocketflex_nb import END, Flow, Node, linear
from pocketflex_nb.core.flow import membership as standing


class Says(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared.setdefault("seen", []).append(self.name)


def says(names: str) -> list[Any]:
    return [Says(name=name) for name in names]


def seen(flow: Flow) -> str:
    flow.run(store := {})
    return "".join(store["seen"])


def told(act: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    return [str(warning.message) for warning in caught]


# linear takes a copy -----------------------------------------------------------------------------------------------------------
def test_linear_takes_a_copy_of_a_node_that_stands_in_another_flow() -> None:
    a, b, c = says("abc")
    one = linear(a, b, name="one")

    two = linear(b, c, a, name="two")

    assert (seen(one), seen(two)) == ("ab", "bca")
    assert (one.start_node, two.start_node is b) == (a, False)
    assert two.start_node.successors["default"] is c  # which stood nowhere


@pytest.mark.parametrize("name", ["one", None])
@pytest.mark.parametrize("make", [linear, lambda a, b, name: Flow(a, name=name)])
def test_neither_names_nor_who_made_the_flow_matter_in_a_program(name: Any, make: Any) -> None:
    a, b = says("ab")
    a >> b
    one = Flow(a, name=name) if make is not linear else Flow(a)

    two = linear(b, a, name=name)

    assert (seen(one), seen(two)) == ("ab", "ba")


def test_a_copy_shares_what_the_node_holds() -> None:
    a, b = says("ab")
    a.lock = threading.Lock()
    linear(a, name="one").run({})
    one = linear(a, b)

    assert one.start_node is a or one.start_node.lock is a.lock


def test_a_copy_keeps_the_named_arrows_within_the_copies_and_drops_the_default_one() -> None:
    write, review, publish = says("wrp")
    review - "revise" >> write
    review.on_error(write)
    one = linear(write, review, publish, name="one")

    two = linear(write, review, name="two")

    mine = two.start_node.successors["default"]
    assert mine.successors == {"revise": two.start_node}
    assert mine._pfx_on_error is two.start_node
    assert seen(one) == "wrp"
    with pytest.warns(UserWarning, match="Flow ends: 'None' not found in \\['revise'\\]"):
        assert seen(two) == "wr"


def test_a_node_that_is_named_twice_is_walked_twice() -> None:
    a, b = says("ab")
    flow = linear(a, b, a, name="twice")

    assert seen(flow) == "aba"
    assert seen(linear(flow, b, flow)) == "abababa"


def test_nodes_that_stand_nowhere_are_taken_as_they_are_with_their_arrows() -> None:
    a, b, c = says("abc")
    b >> c

    flow = linear(a, b)

    assert (flow.start_node, seen(flow)) == (a, "abc")


def test_a_node_whose_flow_is_gone_stands_nowhere() -> None:
    a, b = says("ab")
    linear(a, b)
    gc.collect()
    a.successors.clear()

    assert linear(a, b).start_node is a


def test_what_is_wired_after_the_flow_was_made_stands_in_it() -> None:
    a, b, c, d, e = says("abcde")
    one = Flow(a, name="one")
    two = Flow(name="two")
    a >> [b, c] >> d
    d.on_error(e)
    two.start(e)

    copies = [linear(node).start_node is not node for node in (b, c, d, e)]

    assert copies == [True] * 4
    assert one.start_node is a


def test_copies_of_flows_are_flows_too() -> None:
    a, b = says("ab")
    flow = linear(a, b, name="one")
    twin, swapped = flow.copy("two"), flow.with_nodes()

    for one in (twin, swapped):
        assert linear(one.start_node).start_node is not one.start_node


# >> warns ----------------------------------------------------------------------------------------------------------------------
def test_an_arrow_into_another_flow_warns_once_with_both_names() -> None:
    a, b, x, y = says("abxy")
    a >> b
    one, two = Flow(a, name="one"), Flow(x, name="two")

    first = told(lambda: x >> b)
    later = told(lambda: b >> y) + told(lambda: x - "again" >> b)

    assert len(first) == 1
    assert first[0].startswith("node 'b' stands in the flows 'one' and 'two', ")
    assert "flow.copy()" in first[0] and "linear()" in first[0]
    assert later == []
    assert seen(one) == "aby" and seen(two) == "xby"


def test_a_flow_made_after_the_arrow_warns_with_both_names() -> None:
    a, b, x = says("abx")
    one = linear(a, b, name="one")

    drawn = told(lambda: x >> b)
    made = told(lambda: Flow(x, name="two"))

    assert drawn == []
    assert [text[:45] for text in made] == ["node 'b' stands in the flows 'one' and 'two',"]
    assert seen(one) == "ab"


def test_an_arrow_from_a_node_of_two_flows_warns() -> None:
    a, b = says("ab")
    fast, slow = Flow(a, name="fast"), Flow(a, name="slow")

    assert [text[:47] for text in told(lambda: a >> b)] == ["node 'a' stands in the flows 'fast' and 'slow',"]
    assert told(lambda: a - "more" >> fast) == []
    assert seen(slow) == "ab"


def test_the_warning_stands_at_the_line_that_drew_the_arrow() -> None:
    a, b, x = says("abx")
    flows = linear(a, b, name="one"), Flow(x, name="two")

    for act in (lambda: x.on("go", b), lambda: x.branch({"stop": b}), lambda: x - "no" >> b):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            standing._nodes.pop(id(b)).flows.clear()
            flows = linear(a, b, name="one"), Flow(x, name="two")
            act()
        assert [warning.filename for warning in caught if "stands in" in str(warning.message)] in ([__file__], [])
    assert flows


def test_flows_may_share_a_start_and_nodes_without_a_word() -> None:
    a, b = says("ab")
    a >> b

    assert told(lambda: [Flow(a, name="fast"), Flow(a, name="slow"), Flow(b, name="short")]) == []


def test_wiring_a_flow_that_stands_already_is_not_told() -> None:
    def wire() -> None:
        a, b, c = says("abc")
        flow = Flow(a, name="one")
        a >> b >> c
        c - "again" >> a
        assert flow.start_node is a

    assert told(wire) == []


def test_a_program_in_pocketflows_spelling_is_told_nothing_that_pocketflow_does_not_tell() -> None:
    def wire() -> None:
        a, b, x, y = says("abxy")
        a >> b
        one, two = Flow(start=a), Flow(start=x)
        x >> b >> y
        three = Flow(start=y)
        three.name = "set by hand"
        y >> a
        for flow in (one, two):
            flow.start_node = flow.start_node

    assert told(wire) == []

    a, b, c = says("abc")
    a >> b
    kept = Flow(start=a)
    assert told(lambda: a >> c) == ["Overwriting successor for action 'default'"]
    assert kept


# what is kept ------------------------------------------------------------------------------------------------------------------
def test_neither_nodes_nor_flows_are_kept_alive() -> None:
    a, b = says("ab")
    flow = linear(a, b, name="one")
    watches = [weakref.ref(thing) for thing in (a, b, flow)]
    before = len(standing._nodes)

    del a, b, flow
    gc.collect()

    assert [watch() for watch in watches] == [None] * 3
    assert len(standing._nodes) <= before - 2


def test_a_node_of_very_many_flows_remembers_only_those_that_live() -> None:
    a = Says(name="a")
    for _ in range(100):
        Flow(a)
    a >> END

    assert len(standing._nodes[id(a)].flows) <= 2
    assert id(END) not in standing._nodes


def test_what_a_node_holds_under_names_of_ours_is_not_mistaken() -> None:
    class Odd(Says):
        def __init__(self, name: str) -> None:
            super().__init__(name=name)
            self.heads = [1, 2]

    a, b = Odd("a"), Odd("b")

    assert seen(linear(a, b)) == "ab"


def test_flows_are_made_in_many_threads_at_once() -> None:
    shared, errors = Says(name="s"), []

    def make() -> None:
        try:
            for _ in range(200):
                linear(Says(name="a"), shared)
                Flow(shared)
        except Exception as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
