"""Objects of any class in a store: their attributes are seen, and no code of theirs holds anybody up."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
import types
from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr

from pocketflex_nb.core import safe_repr as foreign_repr
from pocketflex_nb.core.frozen.freezer import Opaque, freeze, is_plain, thaw
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.value_text import value_text


@dataclasses.dataclass
class Data:
    items: list[Any] = dataclasses.field(default_factory=list)


class Sub(Data):
    def __init__(self) -> None:
        super().__init__()
        self.own: list[Any] = []


@dataclasses.dataclass(slots=True)
class Slotted:
    items: list[Any] = dataclasses.field(default_factory=list)


class Open(BaseModel, extra="allow"):
    pass


class Hidden(BaseModel):
    _kept: list[int] = PrivateAttr(default_factory=list)


class Plain:
    def __init__(self) -> None:
        self.items: list[Any] = []


class Outer:
    def __init__(self) -> None:
        self.inner = Plain()


class Slots:
    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: list[Any] = []


class Tags(set):  # type: ignore[type-arg]
    pass


class Line(collections.deque):  # type: ignore[type-arg]
    pass


def put(name: str, value: Any) -> Any:
    return lambda thing: setattr(thing, name, value)


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (Data(), lambda v: v.items.append(1)),
        (Data(), put("undeclared", 1)),
        (Sub(), lambda v: v.own.append(1)),
        (Slotted(), lambda v: v.items.append(1)),
        (Open(tags=[]), lambda v: v.tags.append(1)),
        (Open(), put("new", 1)),
        (Hidden(), lambda v: v._kept.append(1)),
        (types.SimpleNamespace(), put("new", 1)),
        (Plain(), lambda v: v.items.append(1)),
        (Plain(), put("new", 1)),
        (Outer(), lambda v: v.inner.items.append(1)),
        (Slots(), lambda v: v.items.append(1)),
        (Tags(), lambda v: v.add(1)),
        (Line(), lambda v: v.append(1)),
        ({"deep": [Plain()]}, lambda v: v["deep"][0].items.append(1)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_change_inside_of_an_object_is_seen(value: Any, change: Any) -> None:
    store = Store({"v": value})
    assert store["v"] is value

    change(store["v"])

    assert len(store.history("v")) == 1
    assert store.diff(0)
    assert store.snapshot()["v"] is store.snapshot()["v"]


RECORDS = [Sub(), Slotted([1]), Open(tags=[1]), Hidden(), types.SimpleNamespace(a=1)]


@pytest.mark.parametrize("value", RECORDS, ids=lambda v: type(v).__name__)
def test_record_comes_back_with_all_its_attributes(value: Any) -> None:
    if isinstance(value, Sub):
        value.own.append(2)
    if isinstance(value, Hidden):
        value._kept.append(3)

    plain = thaw(freeze(value))

    assert type(plain) is type(value) and plain is not value
    assert plain == value
    if isinstance(value, Sub):
        assert plain.own == [2]


def endless(*_: Any) -> Any:
    while True:
        time.sleep(0.01)


def slow_class(**methods: Any) -> Any:
    return type("Slow", (), {**methods, "__module__": __name__})


@pytest.mark.parametrize(
    "value",
    [
        slow_class(__repr__=endless)(),
        slow_class(__eq__=endless, __hash__=None)(),
        slow_class(__bool__=endless, __len__=endless, __iter__=endless)(),
        slow_class(shape=property(endless), kind=property(endless))(),
        slow_class(__getattr__=lambda self, name: endless())(),
        type("SlowText", (str,), {"__eq__": endless, "__hash__": str.__hash__})("a"),
        type("SlowList", (list,), {"__iter__": endless, "__len__": endless, "__eq__": endless})([1]),
        type("SlowDict", (dict,), {"__iter__": endless, "keys": endless, "items": endless, "__len__": endless})(a=1),
        frozenset({type("SlowItem", (), {"__eq__": endless, "__hash__": lambda self: 1})()}),
        {type("SlowItem", (), {"__eq__": endless, "__hash__": lambda self: 1})()},
    ],
    ids=lambda v: type(v).__name__,
)
@pytest.mark.timeout(10)
def test_code_of_a_value_never_holds_up_the_store(value: Any) -> None:
    store = Store({"other": [value]})

    store["v"] = value
    store["v"] = [value, [value]]
    store["other"].append(1)
    store["v"].append(2)

    assert [change.key for change in store.history()][-2:] in (["other", "v"], ["v", "other"])
    assert store.at(store.version)["v"][0] is not None


@pytest.mark.timeout(10)
def test_class_whose_repr_never_ends_is_told_by_name_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_repr, "REPR_TIMEOUT", 0.02)
    asked = []
    gate = threading.Event()

    class Forever:
        def __repr__(self) -> str:
            asked.append(1)
            gate.wait()
            return "at last"

    first = value_text([Forever(), Forever()])
    gate.set()

    assert first == "[<Forever>, <Forever>]"
    assert len(asked) == 1


def test_repr_that_raises_is_told_and_the_next_one_is_asked() -> None:
    class Bad:
        def __repr__(self) -> str:
            raise ValueError

    class Good:
        def __repr__(self) -> str:
            return "good"

    assert value_text(Bad()) == "<Bad: cannot be shown, ValueError>"
    assert value_text([Good()]) == "[good]"


def test_object_that_is_gone_is_told_by_its_attributes() -> None:
    class Client:
        def __init__(self) -> None:
            self.name = "x"

        def __repr__(self) -> str:
            return "the client"

    client = Client()
    lives, gone = freeze(client), freeze(Client())

    assert repr(lives) == "the client"
    assert repr(gone) == "Client({'name': 'x'})"


def test_error_in_a_store_is_told_with_its_message() -> None:
    assert repr(freeze(ValueError("no such row", 3))) == "ValueError('no such row', 3)"


def test_objects_of_libraries_are_told_by_name_only() -> None:
    lock, thread = threading.Lock(), threading.Thread()

    assert freeze(lock).fields is None and freeze(thread).fields is None
    assert isinstance(freeze(Plain()), Opaque) and not is_plain(Plain())
