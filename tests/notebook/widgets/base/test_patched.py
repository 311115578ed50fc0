"""What a page is told: differences, in one message, counted, and no more of them than the page can take."""

from __future__ import annotations

from typing import Any

import pytest
import traitlets

from pocketflex_nb.notebook.widgets.base.delta_widget import BURST, DeltaWidget


class Board(DeltaWidget):
    """Two traits, and what was sent about them."""

    _esm = "export default {}"
    words: Any = traitlets.List().tag(sync=True)
    count = traitlets.Int().tag(sync=True)

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.whole: list[Any] = []
        super().__init__()

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append(content)

    def send_state(self, key: Any = None) -> None:
        self.whole.append(key)


@pytest.fixture
def board() -> Board:
    made = Board()
    made.whole.clear()
    return made


def test_one_message_holds_what_differs(board: Board) -> None:
    board.push(words=["a" * 60], count=1)

    sizes = board.push(words=["a" * 60, "b"], count=1)

    assert board.sent[-1] == {"patch": {"words": [2, 0, [], {}, ["b"], 2]}, "revision": 2}
    assert board.words == ["a" * 60, "b"]
    assert board.whole == []
    assert set(sizes) == {"words"}


def test_nothing_is_sent_where_nothing_differs(board: Board) -> None:
    board.push(count=3)

    board.push(count=3)

    assert len(board.sent) == 1


def test_a_page_that_missed_something_gets_the_whole(board: Board) -> None:
    board.push(count=3)

    board.resync(board.revision)
    board.resync(0)

    assert [sorted(names) for names in board.whole] == [["count", "revision"]]


def test_observers_in_the_kernel_hear_of_every_change(board: Board) -> None:
    heard: list[int] = []
    board.observe(lambda change: heard.append(change.new), "count")

    board.push(count=1)
    board.push(count=2)

    assert heard == [1, 2]


def test_who_has_said_much_is_silent_for_a_while(board: Board) -> None:
    assert board.has_budget()

    board.push(words=["x" * 100] * (BURST // 50))

    assert not board.has_budget()
