"""The view model of the launcher: the notebook's flows and variables, and how each field of the form is interpreted."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Container, Mapping

from IPython.core.error import UsageError

from pocketflex_nb.core.errors import CheckError
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import nodes_by_path
from pocketflex_nb.core.flow.input_keys import InputField, input_fields
from pocketflex_nb.notebook.requests.run_options import CONFIG
from pocketflex_nb.notebook.widgets.launcher.form_model import FILES, LIMITS, LaunchForm, is_hidden, kind_of_text
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.value_preview import preview, type_label

__all__ = ["checked_lines", "fields_now", "flows_in", "page_of", "runs_asked", "variables_in"]

#: what has items for runs
_LISTS = (list, tuple, range, set, frozenset, deque)
#: nodes that can be chosen to pause before; entries of menus
_NODES, _MENU = 40, 200


def flows_in(names: Mapping[str, object], hidden: Container[str] = ()) -> dict[str, Flow]:
    """The flows bound in a notebook, each once, by the name bound first; ``_flow`` is where a diagram without a name lands."""
    found: dict[str, Flow] = {}
    seen: set[int] = set()
    for name, value in list(names.items()):
        if isinstance(value, Flow) and (not name.startswith("_") or name == "_flow") and name not in hidden and id(value) not in seen:
            seen.add(id(value))
            found[name] = value
    return found


def variables_in(names: Mapping[str, object], hidden: Container[str] = ()) -> dict[str, Collection[object]]:
    """The lists, tuples, sets and ranges of a notebook that hold something."""
    return {
        name: value for name, value in list(names.items())
        if isinstance(value, _LISTS) and not name.startswith("_") and name not in hidden and len(value) > 0
    }


def fields_now(flow: Flow | None) -> list[InputField]:
    """The keys that a form asks for; the number that ``-n`` gives each run is not one of them."""
    try:
        return [field for field in input_fields(flow) if field.key != "agent"] if flow is not None else []
    except Exception:  # a node whose attributes raise: the form asks for nothing, keys can be added by hand
        return []


def runs_asked(form: LaunchForm, variables: Mapping[str, Collection[object]]) -> int:
    """How many runs a filled-in form would start."""
    if form.mode == "rows":
        return len(form.filled_rows())
    if form.mode == "variable":
        return len(variables.get(form.variable, ()))
    return form.agents


def page_of(
    form: LaunchForm, flows: Mapping[str, Flow], variables: Mapping[str, Collection[object]],
    fields: list[InputField], *, changed: list[str]
) -> dict[str, object]:
    """The form as the page draws it. Nothing that would be a secret is in it: it is saved with the notebook."""
    number = runs_asked(form, variables)
    problems = form.problems()
    line = ""
    try:
        line = form.line(number) if form.flow else ""
    except UsageError as exc:
        problems = problems or {"line": str(exc)}
    flow = flows.get(form.flow)
    keys = _keys(form, fields)
    return {
        "flows": [[name, len(nodes_by_path(flow))] for name, flow in list(flows.items())[:_MENU]], "flow": form.flow,
        "changed": [clean(name, 80) for name in changed[:8]], "agents": form.agents, "at_once": form.at_once,
        "most": CONFIG["j"], "name": _plain(form.name), "mode": form.mode,
        "fields": [_field(form, key, known, problems) for key, known in keys.items()],
        "rows": [[_cell(form, n, key, problems) for key in keys] for n in range(len(form.rows))],
        "variables": [[name, type_label(value)] for name, value in list(variables.items())[:_MENU]],
        "variable": form.variable, "key": form.key, "items": _items(form, variables),
        "limits": {what: _plain(form.limits.get(what, "")) for what in LIMITS}, "on_error": form.on_error,
        "files": {what: _plain(form.files.get(what, "")) for what in FILES}, "durability": form.durability,
        "watch": [_plain(text) for text in form.watch], "breaks": form.breaks,
        "nodes": list(nodes_by_path(flow))[:_NODES] if flow is not None else [],
        "runs": number, "line": line, "problems": {place: clean(text, 300) for place, text in problems.items()},
    }


def _keys(form: LaunchForm, fields: list[InputField]) -> dict[str, InputField | None]:
    """The keys that nodes read, then those that were added by hand."""
    keys: dict[str, InputField | None] = {field.key: field for field in fields}
    for key in [*form.values, *(key for row in form.rows for key in row)]:
        keys.setdefault(key, None)
    return keys


def _field(form: LaunchForm, key: str, known: InputField | None, problems: Mapping[str, str]) -> dict[str, object]:
    text = form.values.get(key, "")
    return {
        "key": key, "needed": known is not None and known.is_needed, "default": clean(known.default, 60) if known else "",
        "node": clean(known.node, 80) if known else "", "own": known is None,
        "text": "" if is_hidden(key, text) else text, "kind": kind_of_text(key, text),
        "secret": is_hidden(key, "x"), "problem": problems.get(f"value {key}", ""),
    }


def _plain(text: str) -> str:
    return "" if is_hidden("", text) else text


def _cell(form: LaunchForm, row: int, key: str, problems: Mapping[str, str]) -> list[str]:
    text = form.rows[row].get(key, "")
    return ["" if is_hidden(key, text) else text, kind_of_text(key, text), problems.get(f"row {row} {key}", "")]


def _items(form: LaunchForm, variables: Mapping[str, Collection[object]]) -> str:
    """What the chosen variable holds, in a line."""
    value = variables.get(form.variable)
    if value is None:
        return ""
    return clean(preview(list(value)[:5], 120, key=form.key or form.variable) + (" …" if len(value) > 5 else ""), 140)


def checked_lines(form: LaunchForm, flow: Flow, fields: list[InputField], plan: str) -> list[tuple[str, str]]:
    """What a dry check says: (level, text) with level ``"error"``, ``"warning"`` or ``"good"``."""
    found: list[tuple[str, str]] = []
    try:
        found += [("warning", str(problem)) for problem in flow.check()]
    except CheckError as exc:
        found += [(problem.level, str(problem)) for problem in exc.problems]
    given = {key for key, text in form.values.items() if text.strip()}
    if form.mode == "rows" and form.filled_rows():
        given |= set.intersection(*({key for key, text in row.items() if text.strip()} for row in form.filled_rows()))
    for field in fields:
        brought = form.mode == "variable" and (field.key == form.key or not form.key)
        if field.is_needed and not brought and field.key not in given:
            found.append(("warning", f"{field.node or 'the flow'} reads {field.key!r}, and no input gives it"))
    if not any(level == "error" for level, _ in found):
        found.append(("good" if not found else "plan", plan))
    return [(level, clean(text, 2_000)) for level, text in found]
