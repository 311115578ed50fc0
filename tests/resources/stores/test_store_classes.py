"""Are objects of a user's own classes at home in a shared store? pydantic models, and what happens when a class has changed."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from pocketflex_nb import Flow, Node
from pocketflex_nb.core.errors import DecodingError, EncodingError
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.resources.stores.open_store import open_store
from pocketflex_nb.resources.stores.shared_store import SharedStore

Pair = tuple[SharedStore, SharedStore]


class Tag(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)

    name: str


class Draft(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", validate_assignment=True)

    title: str
    tags: set[Tag] = set()
    pages: list[int] = []
    _reviews: int = pydantic.PrivateAttr(default=0)


@dataclass
class Point:
    x: int


class Colour(enum.Enum):
    RED = 1


def test_models_go_through_every_verb(pair: Pair) -> None:
    mine, yours = pair
    draft = Draft(title="sun", tags={Tag(name="a"), Tag(name="b")}, note="extra")
    draft._reviews = 2
    mine["draft"] = draft

    assert (yours["draft"], yours["draft"]._reviews, yours["draft"].model_fields_set) == (draft, 2, {"title", "tags", "note"})
    assert yours.update("draft", lambda old: old.model_copy(update={"title": "rain"})).title == "rain"
    assert mine.cas("draft", draft.model_copy(update={"title": "rain"}), draft)
    assert not mine.cas("draft", Draft(title="other"), draft)
    assert not yours.insert_new("draft", draft)
    assert yours.insert_new(Tag(name="key"), [draft])
    assert mine[Tag(name="key")] == [draft]
    assert [("sun" in repr(change.old), "sun" in repr(change.new)) for change in mine.history("draft")] == [
        (False, True), (True, False), (False, True),
    ]
    assert (mine.at(1)["draft"], yours.who("draft").version) == (draft, 3)


def test_models_that_a_node_changes_in_place_are_sent_and_others_are_not(pair: Pair) -> None:
    mine, yours = pair
    tags = {Tag(name="a"), Tag(name="b")}
    mine.update({"draft": Draft(title="sun", tags=tags), "deep": {"list": [Draft(title="in")]}, "still": Tag(name="c")})

    class Edit(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["draft"].pages.append(1)
            shared["draft"].title = "rain"
            shared["deep"]["list"][0].pages.append(2)
            assert shared["still"].name == "c"

    Flow(start=Edit()).run(yours)

    assert (mine["draft"].title, mine["draft"].pages, mine["deep"]["list"][0].pages) == ("rain", [1], [2])
    assert [mine.who(key).node for key in ("draft", "deep", "still")] == ["Edit", "Edit", ""]
    assert len(mine.history()) == 5


def test_a_model_that_holds_what_cannot_be_kept_is_refused_with_its_path(pair: Pair) -> None:
    mine, yours = pair
    mine["draft"] = Draft(title="sun")

    with pytest.raises(EncodingError, match=r"draft\.call cannot be kept"):
        mine["draft"] = Draft(title="rain", call=print)

    assert mine["draft"] == yours["draft"] == Draft(title="sun")


def test_values_whose_class_has_changed_leave_the_rest_of_the_store_usable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(url) as mine:
        mine.update({"point": Point(1), "colour": {Colour.RED: 1}, "draft": Draft(title="sun"), Colour.RED: 2, "n": 1})
    point, colour, draft = Point, Colour, Draft
    fields = {"__module__": __name__}
    monkeypatch.setitem(globals(), "Point", dataclass(type("Point", (), {**fields, "__annotations__": {"x": int, "y": int}})))
    monkeypatch.setitem(globals(), "Colour", enum.Enum("Colour", ["BLUE"], module=__name__))
    monkeypatch.setitem(globals(), "Draft", type("Draft", (pydantic.BaseModel,), {**fields, "__annotations__": {"title": str, "by": str}}))

    with open_store(url) as yours:
        assert (yours["n"], len(yours), len(yours.items()), len(yours.at(5)), len(yours.diff(0))) == (1, 5, 5, 5, 5)
        assert isinstance(yours.copy(), Store)
        for key in ("point", "colour", "draft"):
            with pytest.raises(DecodingError, match=r"(class has|have) changed") as caught:
                yours[key]
            assert f"{key!r} of the store" in caught.value.__notes__[0]
        with pytest.raises(DecodingError):
            yours.pop("point")
        with pytest.raises(DecodingError):
            yours.update("draft", lambda old: old)
        assert {"point", "draft"} <= {*yours}, "what could not be read is still there"

        monkeypatch.undo()

        assert dict(yours) == {"point": point(1), "colour": {colour.RED: 1}, "draft": draft(title="sun"), colour.RED: 2, "n": 1}
        del yours["point"]
        assert "point" not in yours
