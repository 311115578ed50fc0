"""The join of a fan-out: the nearest common post-dominator of its heads."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pocketflex_nb.core.flow.joins import join_of
from pocketflex_nb.core.flow.nodes import END, Fork, Node


def wire(text: str) -> dict[str, Node]:
    """Nodes by letter from ``"p>a,b; a>j; b>j"``: ``x:act>y`` an action, ``x!y`` an error arrow, ``x>~y`` detached, ``$`` END."""
    nodes: dict[str, Node] = {"$": END}

    def named(letter: str) -> Node:
        return nodes.setdefault(letter, Node()) if letter != "$" else END

    for part in filter(None, (p.strip() for p in text.split(";"))):
        if "!" in part:
            left, right = part.split("!")
            named(left).on_error(named(right))
            continue
        left, right = part.split(">")
        source, _, action = left.partition(":")
        heads = [named(t) for t in right.split(",") if "~" not in t]
        detached = [named(t[1:]) for t in right.split(",") if "~" in t]
        target = Fork(heads, detached) if len(heads) > 1 or detached else heads[0]
        named(source).successors[action or "default"] = target
    return nodes


def join(text: str, owner: str = "p", action: str = "default") -> str | None:
    nodes = wire(text)
    found = join_of(nodes[owner].successors[action])
    return next((name for name, node in nodes.items() if node is found), None)


def test_branches_of_a_diamond_meet_at_its_foot() -> None:
    assert join("p>a,b; a>j; b>j; j>k") == "j"


def test_branches_of_different_length_meet_at_the_nearest_node() -> None:
    assert join("p>c,d; c>e; d>f; e>g; f>g; g>h") == "g"


def test_branches_that_never_meet_have_no_join() -> None:
    assert join("p>a,b; a>x; b>y") is None


def test_a_branch_that_may_end_early_has_no_join() -> None:
    assert join("p>a,b; a>j; a:stop>$; b>j") is None


def test_an_arrow_to_nothing_is_an_end() -> None:
    nodes = wire("p>a,b; a>j; b>j")
    nodes["a"].successors["stop"] = None

    assert join_of(nodes["p"].successors["default"]) is None


def test_a_head_that_the_others_lead_to_is_the_join() -> None:
    assert join("p>a,b; a>b; b>c") == "b"


def test_a_loop_inside_a_branch_does_not_hide_the_join() -> None:
    assert join("p>a,b; a:ok>c; a:again>a; c:more>a; c:ok>j; b>j") == "j"


def test_an_error_arrow_to_a_dead_end_hides_the_join() -> None:
    assert join("p>a,b; a>j; b>j; a!e") is None


def test_an_error_arrow_that_comes_back_keeps_the_join() -> None:
    assert join("p>a,b; a>j; b>j; a!e; e>j") == "j"


def test_an_error_arrow_alone_leaves_the_node_a_way_out() -> None:
    assert join("p>a,b; b>j; a!j") is None


def test_detached_nodes_take_no_part() -> None:
    assert join("p>a,b,~x; a>j; b>j; x>y") == "j"


def test_detached_arrows_inside_a_branch_take_no_part() -> None:
    assert join("p>a,b; a>j,~x; b>j; x>y") == "j"


def test_a_single_branch_beside_detached_ones_joins_at_its_head() -> None:
    assert join("p>a,~x; a>j") == "a"


def test_only_detached_nodes_have_no_join() -> None:
    assert join("p>~x") is None


def test_a_branch_to_end_has_no_join() -> None:
    assert join("p>a,$; a>b") is None


def test_nested_forks_join_inside_out() -> None:
    text = "p>a,b; a>c,d; c>i; d>i; i>j; b>j"

    assert (join(text), join(text, owner="a")) == ("j", "i")


def test_nested_forks_may_share_their_join() -> None:
    text = "p>a,b; a>c,d; c>j; d>j; b>j"

    assert (join(text), join(text, owner="a")) == ("j", "j")


def test_a_nested_branch_that_ends_alone_hides_the_outer_join() -> None:
    assert join("p>a,b; a>c,d; c>j; b>j") is None


def test_a_loop_back_before_the_fork_keeps_the_join() -> None:
    assert join("p>a,b; a>j; b>j; j:again>p; j>k") == "j"


def test_the_error_loop_of_the_magics_page_joins_at_write() -> None:
    assert join("p:ok>s,r; s>w; r>w; s!p; w:revise>p", action="ok") == "w"


def test_an_endless_loop_through_the_fork_still_joins() -> None:
    assert join("p>a,b; a>j; b>j; j>p") == "j"
    assert join("p:go>a,b; a:ok>j; b:ok>j; j:more>p", action="go") == "j"


def test_branches_that_both_go_back_to_the_owner_join_there() -> None:
    assert join("p>a,b; a>p; b>p") == "p"
    assert join("p>a,b; p:done>$; a>p; b>p") == "p"


def test_a_join_is_never_behind_the_fork_begun_anew() -> None:
    assert join("p:ok>s,r; s>w; r>w; s!e; w:revise>p", action="ok") is None


def test_an_endless_loop_behind_the_join_does_not_hide_it() -> None:
    assert join("p>a,b; a>c; b>c; c>d; d>c") == "c"


def test_an_endless_loop_inside_a_branch_ends_alone() -> None:
    assert join("p>a,b; a>x; x>a; b>j") is None


def test_the_join_does_not_depend_on_the_order_of_the_heads() -> None:
    assert join("p>a,b,c; a>j; b>j; c>k; k>j; j>z") == join("p>c,b,a; a>j; b>j; c>k; k>j; j>z") == "j"


def test_ten_thousand_nodes_in_a_chain_need_no_recursion() -> None:
    a, b, last = [Node() for _ in range(10_000)], [Node() for _ in range(10_000)], Node()
    for chain in (a, b):
        for here, there in zip(chain, [*chain[1:], last], strict=True):
            here.successors["default"] = there

    assert join_of(Fork([a[0], b[0]])) is last


def test_ten_thousand_branches_meet() -> None:
    heads, last = [Node() for _ in range(10_000)], Node()
    for head in heads:
        head.successors["default"] = last

    assert join_of(Fork(heads)) is last


def _ways_avoid(start: Node, barred: Node, seen: set[int]) -> bool:
    """Whether an end can be reached from `start` without `barred`: the plain definition, to compare with."""
    stack = [start]
    while stack:
        node = stack.pop()
        if node is barred or id(node) in seen:
            continue
        seen.add(id(node))
        if not node.successors:
            return True
        stack += node.successors.values()
    return False


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 9), st.data())
def test_the_join_is_what_the_definition_says_on_any_graph_whose_nodes_can_end(size: int, data: st.DataObject) -> None:
    nodes = [Node() for _ in range(size)]
    for node in nodes[:-1]:
        for number, target in enumerate(data.draw(st.lists(st.integers(0, size - 1), max_size=3, unique=True))):
            node.successors[f"a{number}"] = nodes[target]
    assume(all(_ways_avoid(node, Node(), set()) for node in nodes))
    heads = [nodes[n] for n in data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=3, unique=True))]

    found = join_of(Fork(heads))

    common = [n for n in nodes if not any(_ways_avoid(h, n, set()) for h in heads)]
    nearest = [n for n in common if not any(_ways_avoid(n, m, set()) for m in common)]
    assert [found] == (nearest or [None])
