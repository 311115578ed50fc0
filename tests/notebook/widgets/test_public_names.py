"""What Tab offers on a view: the names that users type; neither traits nor what the refresh loop, IPython and the page call."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pocketflex_nb import Flow, Store, Supervisor, child, launch, node, trace
from pocketflex_nb.agents import Agent
from pocketflex_nb.notebook import Launcher, RunView, StoreInspector
from pocketflex_nb.notebook.widgets.agents_view.agents_view import SupervisorView, TraceView
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticFallback
from pocketflex_nb.notebook.widgets.engine_panel.engine_panel import EnginePanel


@node
def draft(shared: dict[str, str]) -> None:
    shared["text"] = "..."


class Clerk(Agent):
    """Does nothing."""


def _supervisor_view() -> SupervisorView:
    supervisor = Supervisor([child(Clerk)])
    supervisor.start_sync()
    view = SupervisorView(supervisor)
    supervisor.stop_sync()
    return view


def _trace_view() -> TraceView:
    with trace() as seen:
        return TraceView(seen)


VIEWS: dict[str, tuple[Callable[[], StaticFallback], str]] = {
    "RunView": (lambda: RunView(launch(Flow(draft), show=False).wait(10)), "add at close plain runs snapshot summary title to_html"),
    "StoreInspector": (lambda: StoreInspector(Store({"n": 1})), "close go_to plain seed still"),
    "Launcher": (lambda: Launcher("flow", names={"flow": Flow(draft)}), "check close fill flows line plain runs start stop"),
    "EnginePanel": (EnginePanel, "close plain"),
    "SupervisorView": (_supervisor_view, "close plain still"),
    "TraceView": (_trace_view, "close plain still"),
}
CLASSES = {cls.__name__: cls for cls in (RunView, StoreInspector, Launcher, EnginePanel, SupervisorView, TraceView)}


@pytest.mark.parametrize("name", VIEWS)
def test_tab_offers_what_users_type_on_a_view(name: str) -> None:
    make, typed = VIEWS[name]
    view = make()

    offered = {found for found in dir(view) if not found.startswith("_")}

    assert offered == {*typed.split(), "layout"}
    assert all(hasattr(view, found) for found in offered)
    view.close()


@pytest.mark.parametrize("name", VIEWS)
def test_what_tab_offers_is_documented(name: str) -> None:
    cls, typed = CLASSES[name], VIEWS[name][1]

    assert [found for found in typed.split() if not (getattr(cls, found).__doc__ or "").strip()] == []
