"""The lines of a run's state: what streams side by side is one text for each visit."""

from __future__ import annotations

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.lane_text import LINES, TOKENS
from pocketflex_nb.core.state import State, replay


def _said(*told: tuple[str, str, str]) -> State:
    """The state after outputs, each a stream, a node and a text."""
    return replay(
        Event(
            seq=n, ns=n, kind="output", run="r", node=node.partition("#")[0], address=f"r/{node}", depth=0,
            data={"stream": stream, "text": text},
        )
        for n, (stream, node, text) in enumerate(told)
    )


def _texts(state: State) -> list[tuple[str, str]]:
    return [(node, text) for _, _, text, node in state.lines]


def test_two_nodes_that_stream_in_turn_are_two_texts() -> None:
    state = _said(*[("token", node, f"{k} ") for k in range(3) for node in ("A#1", "B#1", "C#1")])

    assert _texts(state) == [("A", "0 1 2 "), ("B", "0 1 2 "), ("C", "0 1 2 ")]
    assert list(state.origins) == [("r/A#1", 0), ("r/B#1", 1), ("r/C#1", 2)]


def test_items_of_a_batch_and_visits_of_a_node_are_texts_of_their_own() -> None:
    state = _said(("token", "A#1[0]", "a"), ("token", "A#1[1]", "b"), ("token", "A#1[0]", "a"), ("token", "A#2", "c"))

    assert _texts(state) == [("A", "aa"), ("A", "b"), ("A", "c")]


def test_a_text_ends_where_its_own_visit_says_something_else() -> None:
    state = _said(("token", "A#1", "a"), ("print", "B#1", "b"), ("token", "A#1", "a"), ("print", "A#1", "said"), ("token", "A#1", "c"))

    assert _texts(state) == [("A", "aa"), ("B", "b"), ("A", "said"), ("A", "c")]


def test_a_text_that_is_full_or_gone_is_begun_anew() -> None:
    full = _said(("token", "A#1", "a" * TOKENS), ("token", "B#1", "b"), ("token", "A#1", "c"))
    gone = _said(("token", "A#1", "a"), *[("print", "B#1", str(n)) for n in range(LINES)], ("token", "A#1", "c"))

    assert _texts(full)[1:] == [("B", "b"), ("A", "c")]
    assert (_texts(gone)[-1], len(gone.lines), len(gone.origins), gone.said) == (("A", "c"), LINES, LINES, LINES + 2)


def test_what_is_remembered_of_streams_is_bounded() -> None:
    state = _said(*[("token", f"A#{n}", "x") for n in range(4 * LINES)])

    assert len(state.streams) <= LINES + 1
    assert state.said == 4 * LINES
