"""The static fallback: a still form below every displayed widget, for readers without a kernel.

The still is an output of its own, since a front end that keeps a widget's state hides what stands in the widget's bundle. The live
widget hides it by its mark; a saved notebook, its preview elsewhere and an export show it. It is written anew while things change, and
once more at the end.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.views.text.safe_text import inert

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import DisplayHandle

__all__ = ["StaticCopy", "StaticFallback", "display_with_fallback", "handle_clicks_while_busy", "has_widgets", "model_of"]

_marks = itertools.count(1)
#: seconds between two looks at whether a still has aged, at least and at most, and bytes a second that one may take: who saves the
#: notebook while something goes on, or loses the page, has a late state in the file
_EVERY, _SELDOM, _RATE = 2.0, 30.0, 1_000


def has_widgets(shell: InteractiveShell | None = None) -> bool:
    """Whether this is a kernel, so that a widget could reach a page."""
    from IPython import get_ipython

    shell = shell or get_ipython()
    return getattr(shell, "kernel", None) is not None


def model_of(view: StaticFallback) -> dict[str, object]:
    """The bundle of the live widget alone."""
    model = {"version_major": 2, "version_minor": 0, "model_id": view.model_id}
    return {"application/vnd.jupyter.widget-view+json": model, "text/plain": repr(view)}


class StaticFallback:
    """A widget that displays itself with a static fallback below it.

    Notes
    -----
    A class says what stands there in `still_bundle`, and what a terminal shows in `plain`. One that knows its end calls `on_final` then,
    and its still is written anew at that moment; before it, and where there is no end, it is looked after from time to time. A page that
    is closed when a still is written does not hear of it, and a page that is opened later cannot be told which output it was: there the
    live view shows what is so, and the file keeps the still that was written last before, with its time, until the cell runs again.
    """

    static: str
    #: what Tab offers on an instance; traits and what the refresh loop and IPython call are left out
    _offered: ClassVar[tuple[str, ...]] = ("close", "plain")
    #: a class that knows its end has this in its instances
    on_final: Callable[[], None] | None
    #: whether a call has just displayed it
    was_shown: bool = False
    #: whether it is kept up to date
    _follows: bool = True
    if TYPE_CHECKING:  # of ipywidgets, which every subclass is a widget of
        model_id: str
        comm: object | None

        def close(self) -> None:
            """Of ipywidgets: close it on every page."""

    def __dir__(self) -> list[str]:
        return [*self._offered, "layout", *(name for name in super().__dir__() if name.startswith("_"))]

    @property
    def is_last(self) -> bool:
        """Whether what it shows is over, so that its next update is its last."""
        return False

    def still_stamp(self) -> object:
        """What is another one when the still may be; None: the still itself has to be looked at."""
        return None

    def still_bundle(self) -> dict[str, str]:
        """The still form, by MIME type, carrying ``data-static=<self.static>``."""
        raise NotImplementedError

    def first_bundle(self) -> dict[str, str] | None:
        """What is shown while the view opens, when the page is busiest; None: the static form itself.

        Its first MIME type is the still form's: a page that has hidden one puts the other into the same hidden place.
        """
        return None

    def plain(self) -> str:
        """What a terminal shows."""
        return repr(self)

    def _ipython_display_(self, **_: object) -> None:
        if self.was_shown:  # by the call whose value it is: `run.show()` as a cell's last line
            self.was_shown = False
            return
        display_with_fallback(self)


def display_with_fallback(view: StaticFallback) -> None:
    """Display `view`: the widget and its static fallback; in a terminal its text."""
    from IPython.display import display

    if not has_widgets():
        print(inert(view.plain()))
        return
    if not view.static:
        view.static = f"pfs-{next(_marks)}"
    display(model_of(view), raw=True)
    told = view.first_bundle() or view.still_bundle()
    StaticCopy(view, display(told, raw=True, display_id=True), told)


def handle_clicks_while_busy(view: StaticFallback) -> None:
    """Have the clicks of `view` handled while a cell is busy, as ipykernel 7.1 to 7.3 do by themselves."""
    if view.comm is not None and hasattr(view.comm, "_reply_subshell_for"):
        view.comm._reply_subshell_for = lambda data, default: default


def _call_all(*fns: Callable[[], None] | None) -> None:
    for fn in fns:
        if fn is not None:
            fn()


class StaticCopy:
    """The still of a view in one output, followed by the refresh loop of views.

    Parameters
    ----------
    view : StaticFallback
        Whose still it is.
    handle : DisplayHandle
        The output.
    told : dict, optional
        What stands there; None: nothing yet.
    """

    def __init__(self, view: StaticFallback, handle: DisplayHandle, told: dict[str, str] | None = None) -> None:
        self._view, self._handle, self._told = view, handle, told
        self._has_end = self._is_closed = False
        self._next, self._stamp = time.monotonic() + _EVERY, object()
        if hasattr(view, "on_final"):
            before = view.on_final
            view.on_final = partial(_call_all, before, self._finish)
        if told is None:
            self._put(view.first_bundle() or view.still_bundle())
        if view._follows:
            refresh_loop.follow(self)

    def _finish(self) -> None:
        self._has_end = True
        self.write()

    def close(self) -> None:
        """Write no more: the output is another view's."""
        self._is_closed = True
        refresh_loop.close(self)

    def write(self) -> None:
        """Rewrite it if it is out of date."""
        self._put(self._view.still_bundle())

    def _put(self, told: dict[str, str]) -> None:
        if told and told != self._told and not self._is_closed:
            self._told = told
            with contextlib.suppress(Exception):  # the page may be gone
                self._handle.update(told, raw=True)

    def refresh(self) -> bool:
        """Rewrite it from time to time; False when the widget is closed, or has told its end."""
        if self._view.comm is None or self._has_end or self._is_closed:
            return False
        if self._view.is_last:  # it may have told its end before anybody listened
            self._finish()
            return False
        if time.monotonic() >= self._next:
            stamp = self._view.still_stamp()
            if stamp is None or stamp != self._stamp:
                self._stamp = stamp
                self.write()
            size = sum(map(len, self._told.values())) if self._told else 0
            self._next = time.monotonic() + min(max(_EVERY, size / _RATE), _SELDOM)
        return True
