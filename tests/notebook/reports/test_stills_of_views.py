"""The still forms of the other views: a supervisor's tree, a trace, a store, a launcher; whole, bounded, masked and escaped."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pocketflex_nb import Agent, Flow, Store, Supervisor, child, launch, node, trace
from pocketflex_nb.notebook import Launcher, StoreInspector
from pocketflex_nb.notebook.reports.still_form import BOUND
from pocketflex_nb.notebook.widgets.agents_view.agents_view import SupervisorView, TraceView
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticCopy
from tests.notebook.reports.test_still_form import _EVIL, _KEY, _Page, _run, _saved_size


class Counter(Agent):
    async def handle_call(self, message: Any, caller: Any) -> Any:
        return message


def _team() -> tuple[Any, list[str]]:
    team = Supervisor([child(Counter, id="alpha <b>")], name="team").start_sync()
    for text in ("hello", f"api_key={_KEY}"):
        team["alpha <b>"].call_sync(text)
    return SupervisorView(team), ["team", "alpha <b>", "hello", "what happened", "messages", "start"]


def _traced() -> tuple[Any, list[str]]:
    return TraceView(trace()), ["Trace"]


def _inspected() -> tuple[Any, list[str]]:
    store = Store({f"key {number}": _EVIL for number in range(80)} | {"api_key": _KEY, "nested": {"deep": ["down", _KEY]}})
    return StoreInspector(store), ["82 keys", "key 0", "<script>alert(1)", "32 more rows", "as JSON"]


def _form() -> tuple[Any, list[str]]:
    flow = Flow(node(lambda shared: print(_EVIL)), name="said")
    form = Launcher("flow", names={"flow": flow})
    run = _run(fails=True)
    form._launched.add([run], "flow", SimpleNamespace())  # type: ignore[arg-type]  # the options are for starting it again only
    form._next_rows = 0.0
    form._push()
    return form, ["%pf run flow", run.name, "no | tea", "line 2", "judge"]


@pytest.mark.parametrize("made", [_team, _traced, _inspected, _form])
def test_a_still_tells_the_view_bounded_masked_and_escaped(made: Callable[[], tuple[Any, list[str]]]) -> None:
    view, parts = made()
    view.static = "pfs-1"

    bundle = view.still_bundle()
    view.close()
    getattr(view, "_supervisor", SimpleNamespace(stop_sync=lambda: None)).stop_sync()

    page = _Page(bundle["text/html"])
    assert next(iter(bundle)) == "text/html" and 'data-static="pfs-1"' in bundle["text/html"]
    assert [part for part in parts if part not in page.said] == []
    assert page.wrong == [] and page.open == [] and not page.seen & {"script", "b"}
    assert _saved_size(bundle) <= BOUND and _KEY not in str(bundle)


def test_a_store_that_was_let_go_keeps_its_still() -> None:
    run = launch(Flow(node(lambda shared: shared.update(found="tea"))), {"topic": "x"}, show=False).wait(10)
    view = StoreInspector(run)
    view.static = "pfs-1"
    before = view.still_bundle()

    view._let_go({run.number})

    assert view.still_bundle() == before and "found" in before["text/markdown"]
    view.close()


def test_a_still_is_written_again_only_when_something_changed() -> None:
    store = Store({"n": 1})
    view = StoreInspector(store)
    refresh_loop.close(view)
    view.static = "pfs-1"
    written: list[dict[str, str]] = []
    still = StaticCopy(view, SimpleNamespace(update=lambda told, raw: written.append(told)), {})  # type: ignore[arg-type]
    refresh_loop.close(still)

    def look() -> int:
        still._next = 0.0
        view.refresh()
        still.refresh()
        return len(written)

    first, again = look(), look()
    store["n"] = 2
    changed = look()
    still.close()
    store["n"] = 3

    assert (first, again, changed, look()) == (1, 1, 2, 2)
    assert "2" in written[-1]["text/plain"]
    view.close()
