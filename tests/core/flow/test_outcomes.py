"""What items are, and what became of them."""

from __future__ import annotations

from typing import Any

import pytest

from pocketflex_nb.core.flow.item_failure import ItemFailure
from pocketflex_nb.core.flow.outcomes import Outcomes, given


class FalseButFull:
    """As an array with one zero in it: it is false, and has an item."""

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Any:
        return iter([0])


class HasNoTruth(FalseButFull):
    """As an array of several: nobody may ask for its truth."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


@pytest.mark.parametrize("kind", [FalseButFull, HasNoTruth])
def test_an_iterable_is_never_asked_for_its_truth(kind: Any) -> None:
    items = kind()

    assert given(items) is items


@pytest.mark.parametrize("nothing", [None, 0, False, 0.0], ids=repr)
def test_none_and_what_is_false_and_no_iterable_are_no_items(nothing: Any) -> None:
    assert given(nothing) == []


def test_outcomes_are_a_list_whose_failures_are_in_order() -> None:
    late, early = ItemFailure(3, ValueError("late")), ItemFailure(1, ValueError("early"))

    outcomes = Outcomes([0, early.cause, 2, late.cause], [late, early])

    assert outcomes == [0, early.cause, 2, late.cause]
    assert [failure.index for failure in outcomes.failures] == [1, 3]
