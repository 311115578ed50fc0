"""The detail drawer: answers what a page asks about a visit. It keeps nothing: each request says what it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pocketflex_nb.core.errors import PocketflexError
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.frozen.frozen_tree import Opaque
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.run_data.detail_tabs import event_place, store_of, store_then, version_then
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel
from pocketflex_nb.notebook.run_data.value_image import image_of
from pocketflex_nb.notebook.run_data.visit_card import PARTS, visit_card, words_between
from pocketflex_nb.notebook.run_data.visits import Visit, part_of, visit_at, visits_of
from pocketflex_nb.notebook.widgets.run_view.fork_form import begin_fork, fork_form, refusal
from pocketflex_nb.notebook.widgets.run_view.step_code import cell_text, node_of, source_of
from pocketflex_nb.views.text.markdown_tree import LONGEST, markdown_tree
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.redaction import SECRET_MASK, redacted_head
from pocketflex_nb.views.text.safe_text import shown
from pocketflex_nb.views.values.change_lines import compare_lines
from pocketflex_nb.views.values.value_page import copied_text, plain_text, value_page, value_within

__all__ = ["Drawer"]

#: lines of a comparison
_LINES = 80


class Drawer:
    """The kernel's side of the detail drawer of one run view.

    Parameters
    ----------
    model : callable
        Gives the view model of the runs that are shown.
    flows : callable
        Gives the flows of the diagrams, in the order of their tabs.
    add : callable
        Shows a run that began here.

    Notes
    -----
    A request has ``what`` and ``ask``, which its answer has too, so that of several pages the one that asked knows it. A visit is named
    by ``run``, its place among the runs, and ``address``; or, with ``what="visit"``, by what was clicked: a node of the diagram
    (``flow``, ``node``), a bar (``run``, ``node``, ``ms``), a line of a lane (``run``, ``node``, ``text``), the step of the diff
    (``step``), a row of events (``moment``, ``where``), or a turn of the conversation (``turn``, ``by``).
    """

    def __init__(self, model: Callable[[], RunViewModel], flows: Callable[[], list[Flow]], add: Callable[[Run], object]) -> None:
        self._model, self._flows, self._add = model, flows, add

    def answer(self, request: Mapping[str, Any]) -> dict[str, object]:
        """The answer to a request; ``problem`` says why there is none."""
        answers = _ANSWERS.get(str(request.get("what")))
        try:
            if answers is None:
                raise LookupError("the page asked for what is not there")
            told = answers(self, request)
        except (PocketflexError, LookupError, ValueError, TypeError) as exc:
            told = {"problem": clean(str(exc.args[0]) if isinstance(exc, KeyError) and exc.args else str(exc), 600)}
        return {"what": request.get("what"), "ask": request.get("ask"), **told}

    # which visit -----------------------------------------------------------------------------------------------------
    def _visit(self, request: Mapping[str, Any]) -> Visit:
        """The visit that a request is about."""
        run = self._run(request)
        found = visit_at(run, str(request["address"]), self._model().time_travel)
        if found is None:
            raise LookupError("this visit is no longer in the run's log")
        return found

    def _run(self, request: Mapping[str, Any]) -> ViewedRun:
        index = int(request["run"])
        if not 0 <= index < len(self._model().runs):
            raise LookupError("there is no such run any more")
        return self._model().runs[index]

    def _clicked(self, request: Mapping[str, Any]) -> Visit:
        model = self._model()
        if "address" in request:
            return self._visit(request)
        if request.get("step"):
            last = model.last()
            if last is None:
                raise LookupError("No step is finished yet.")
            return self._at(last[0], last[1].address)
        if "turn" in request:
            return self._of_turn(str(request["turn"]), str(request.get("by", "")))
        if "moment" in request:
            return self._of_row(str(request["moment"]), str(request.get("where", "")))
        if "ms" in request:
            return self._of_bar(self._run(request), str(request["node"]), float(request["ms"]))
        if "run" in request:
            return self._of_line(self._run(request), str(request["node"]), str(request.get("text", "")))
        return self._of_node(self._flows()[int(request.get("flow", 0))], str(request["node"]))

    def _at(self, run: ViewedRun, address: str) -> Visit:
        return self._visit({"run": self._model().runs.index(run), "address": address})

    def _of_node(self, flow: Flow, node: str) -> Visit:
        """The latest visit of a node of a diagram, in the run in focus if there is one; one that goes on before those that are over."""
        model = self._model()
        found = []
        for run in [run for run in model.chosen() if run.flow is flow][:_LINES]:
            path = next((path for path in run.state().nodes if shown(path) == node), node)
            found += visits_of(run, path, model.time_travel)[-1:]
        if model.moment is not None:
            earlier = [visit for run in model.chosen() if run.flow is flow for visit in visits_of(run, node, model.time_travel)
                       if visit.start <= model.moment]
            found = [max(earlier, key=lambda visit: visit.start)] if earlier else found
        if not found:
            raise LookupError(f"{clean(node, 120)} was not visited yet.")
        return max(found, key=lambda visit: (visit.end is None, visit.start))

    def _of_bar(self, run: ViewedRun, node: str, ms: float) -> Visit:
        model = self._model()
        paths = [path for path in run.state().nodes if clean(path, 80) == node]
        visits = [visit for path in paths for visit in visits_of(run, path, model.time_travel)]
        if not visits:
            raise LookupError("this visit is no longer in the run's log")
        return min(visits, key=lambda visit: abs((visit.start - model.zero()) / 1e6 - ms))

    def _of_line(self, run: ViewedRun, node: str, text: str) -> Visit:
        """The visit that said a line of a lane: the latest of that node whose text has it."""
        state = run.state()
        begin = text.strip()[:60]
        for (_, _, said, path), (address, _) in zip(reversed(state.lines), reversed(state.origins), strict=False):
            if clean(path, 60) == node and (not begin or begin in clean(said, 4_000)):
                return self._at(run, address)
        paths = [path for path in state.nodes if clean(path, 60) == node]
        visits = [visit for path in paths for visit in visits_of(run, path, self._model().time_travel)]
        if not visits:
            raise LookupError("this visit is no longer in the run's log")
        return visits[-1]

    def _of_turn(self, place: str, by: str) -> Visit:
        """The visit that a turn of the conversation names, as ``think#2``, in the run of that name."""
        model = self._model()
        for run in model.chosen():
            if by and by not in (model.label(run), clean(run.name, 120)):
                continue
            for event in reversed(model.time_travel.events_of(run).read()):
                if "/" in event.address and clean(event.address.rpartition("/")[2], 80) == place:
                    return self._at(run, event.address)
        raise LookupError("this visit is no longer in the run's log")

    def _of_row(self, moment: str, where: str) -> Visit:
        model = self._model()
        found = event_place(model.chosen(), moment, where, model.time_travel)
        if found is None or "/" not in found[1]:
            raise LookupError("This row belongs to the run as a whole, and to no visit.")
        return self._at(*found)

    # answers ---------------------------------------------------------------------------------------------------------
    def _tell_visit(self, request: Mapping[str, Any]) -> dict[str, object]:
        visit, model = self._clicked(request), self._model()
        index = model.runs.index(visit.run)
        card = visit_card(visit, index, model.label(visit.run), model.time_travel)
        code = "" if source_of(node_of(visit)) else "The code of this step is not known: it was made without a file or a cell."
        return {"card": card, "refused": {"fork": refusal(visit.run), "code": code}, "several": len(model.runs) > 1}

    def _value(self, request: Mapping[str, Any]) -> tuple[object, str]:
        """The value that a request names, and a remark."""
        part = str(request.get("part"))
        if part not in PARTS:
            raise LookupError("the page asked for what is not there")
        value, how, kept = part_of(self._visit(request), part)
        if how in ("gone", "none"):
            raise LookupError("This value is no longer kept.")
        value, _ = value_within(value, [int(place) for place in request.get("places") or ()])
        if isinstance(value, Opaque) and kept is not None:
            value, how = kept.read(value)
        return value, "changed in place since; as it is now" if how == "changed" else ""

    def _tell_value(self, request: Mapping[str, Any]) -> dict[str, object]:
        value, note = self._value(request)
        image = image_of(value)
        page: dict[str, object] = {"form": "image", "image": image} if image else dict(value_page(value, int(request.get("offset", 0))))
        return {"page": page, "note": note, "texts": isinstance(value, str) and value != SECRET_MASK}

    def _tell_markdown(self, request: Mapping[str, Any]) -> dict[str, object]:
        text = plain_text(self._value(request)[0])
        more = len(text) - LONGEST
        return {"tree": markdown_tree(redacted_head(text, LONGEST)), "note": f"{more:,} more characters: see the text." if more > 0 else ""}

    def _tell_copy(self, request: Mapping[str, Any]) -> dict[str, object]:
        return {"page": copied_text(self._value(request)[0], int(request.get("offset", 0)))}

    def _tell_differences(self, request: Mapping[str, Any]) -> dict[str, object]:
        """How the values of one visit differ from those of another: per part sign, place and text, and the words of texts."""
        here, there = self._visit(request), self._visit(request["with"])
        told: list[list[object]] = []
        for part, name in PARTS.items():
            (new, how, _), (old, was, _) = part_of(here, part), part_of(there, part)
            if how in ("gone", "none") or was in ("gone", "none"):
                continue
            lines = [[line.sign, clean(line.where or "value"), clean(line.text)] for line in compare_lines(old, new, limit=_LINES)]
            told.append([part, name, lines, words_between(old, new)])
        return {"differences": told}

    def _tell_form(self, request: Mapping[str, Any]) -> dict[str, object]:
        visit = self._visit(request)
        if why := refusal(visit.run):
            raise ValueError(why)
        return {"form": fork_form(visit)}

    def _fork(self, request: Mapping[str, Any]) -> dict[str, object]:
        visit = self._visit(request)
        if why := refusal(visit.run):
            raise ValueError(why)
        made = begin_fork(visit, [edit for edit in request.get("edits") or () if isinstance(edit, (list, tuple)) and len(edit) == 3])
        self._add(made)
        return {"begun": clean(made.name, 120)}

    def _tell_code(self, request: Mapping[str, Any]) -> dict[str, object]:
        visit, travel = self._visit(request), self._model().time_travel
        card = visit_card(visit, 0, "", travel)
        place, store = store_of(visit.run, visit.address)
        content: Any = store_then(visit.run, place, store, visit.start, travel)[0]
        version = version_then(visit.run, "", visit.start, travel) if not place and isinstance(store, Store) else None
        return {"code": cell_text(visit, card["visit"], content if hasattr(content, "keys") else {}, version)}


#: what a page asks for to what answers it
_ANSWERS: dict[str, Callable[[Drawer, Mapping[str, Any]], dict[str, object]]] = {
    "visit": Drawer._tell_visit, "value": Drawer._tell_value, "markdown": Drawer._tell_markdown, "copy": Drawer._tell_copy,
    "differences": Drawer._tell_differences, "form": Drawer._tell_form, "fork": Drawer._fork, "code": Drawer._tell_code,
}
