"""Lesson 01, nodes and flows: exercises about nodes that read the sources of the standard library."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode, Node
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, tried, trouble, way

_SOURCE = '"""Two words."""\n\nimport sys\n\n\ndef greet(name):\n    return f"hello {name}, how are you?"\n'
_LONGEST = '    return f"hello {name}, how are you?"'
_LONG = "x = 1\n" * 3_000


@exercise(
    "01.1", "A node of your own",
    hints=(
        "`prep` returns what `exec` needs, `exec` finds the line, and `post` writes it to the store.",
        "`prep` returns `shared[\"source\"]`, and `exec` is called with just that: `max(..., key=len)` finds the longest of its lines.",
        "`def prep(self, shared): return ___`, `def exec(self, source): return max(source.splitlines(), key=___)`, and "
        "`def post(self, shared, prep_res, exec_res): shared[___] = exec_res`. Then make one: `longest = Longest()`.",
    ),
)
def _own_node(longest: object) -> Checked:
    yield slip(isinstance(longest, type), "`longest` is the class. Make a node by calling it, `Longest()`.")
    yield point(isinstance(longest, BaseNode), "`longest` is a node.", f"`longest` is {_named(longest)}, not a node.")
    run = tried(longest, {"source": _SOURCE, "name": "test"})
    asked = "exec_res" if not isinstance(run.error, AttributeError | TypeError | KeyError | NameError) else ""
    yield slip(
        isinstance(run.error, NameError) and "shared" in str(run.error),
        "`exec` has no access to the store, so `shared` is not defined in it. Let `prep` return what it needs, and `post` write the "
        "result.",
    )
    yield slip(isinstance(run.error, KeyError), f"There is no {run.error} in the store: the source of the module is under `\"source\"`.")
    yield slip(run.error is not None and not asked and "NoneType" in str(run.error), "`exec` got None: `prep` has to `return` something.")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    _, actions = way(run)
    yield slip(
        any(action not in (None, "default") for action in actions),
        "What `post` returns is an action, and not the result. Write the result to the store and return nothing.",
    )
    written = run.store.get("longest")
    yield slip("longest" not in run.store, "The store has no `\"longest\"`: `post` has to write there what `exec` returned.")
    yield slip(written == len(_LONGEST), "That is the length of the line. The line itself is asked for: `max(lines, key=len)`.")
    yield slip(written == max(_SOURCE.splitlines()), "That is the last line in alphabetical order: tell `max` what to compare, `key=len`.")
    yield slip(written == max(_SOURCE.split(), key=len), "That is the longest word. `splitlines()` gives the lines.")
    yield point(written == _LONGEST, "It finds the longest line.", f"`longest` became `{written!r}`, and should be `{_LONGEST!r}`.")
    for place in (0, 150, 400):
        others = ["x = 1"] * 400
        others.insert(place, _LONGEST)
        found = tried(longest, {"source": "\n".join(others), "module": "test"}).store.get("longest")
        yield slip(found != _LONGEST, f"In a module of 401 lines whose longest is number {place + 1}, it became `{found!r}`.")


@exercise(
    "01.2", "Wire it in",
    hints=(
        "An arrow is `>>`. Your node needs one arrow to it and one from it.",
        "Your node needs the source, which `read` writes. So it belongs between `read` and `judge`.",
        "`read >> ___ >> judge`; `judge - \"short\" >> ___`; `judge - \"long\" >> ___`; and the flow begins where it always did: "
        "`Flow(start=read)`.",
    ),
)
def _wired(flow: Any) -> Checked:
    yield slip(
        isinstance(flow, BaseNode) and not isinstance(flow, Flow),
        "`a >> b` returns `b`, a node. A flow is made by `Flow(start=...)`.",
    )
    yield point(isinstance(flow, Flow), "`my_flow` is a flow.", f"`my_flow` is {_named(flow)}: make a `Flow(start=...)`.")
    first = flow.start_node
    yield slip(type(first).__name__ == "Longest", "It starts at your node, when nothing has been read yet: `Flow(start=read)`.")
    yield point(type(first).__name__ == "Read", "It starts at `read`.", f"It starts at {_named(first)}: the source has to be read first.")
    run = tried(flow, {"module": "textwrap"})
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    names, _ = way(run)
    yield point(
        "Longest" in names, "Your node runs.",
        f"The run went {' → '.join(names)}, and not through your node: draw an arrow to `longest`.",
    )
    yield slip(names[-1] == "Longest", "The run ends at your node: draw an arrow from it to `judge`.")
    yield point(
        names[:3] == ["Read", "Longest", "Judge"], "It runs between `read` and `judge`.",
        f"The run went {' → '.join(names)}, and should begin with Read → Longest → Judge.",
    )
    for module, action, end in (("textwrap", "long", "Novel"), ("this", "short", "ShortStory")):
        names, _ = way(tried(flow, {"module": module}))
        yield slip(
            names[-1] == "Judge",
            f"On the action `\"{action}\"` the run ends at `judge`, without a verdict: `judge` needs both its arrows.",
        )
        yield slip(
            names[3:] != [end],
            f"On the action `\"{action}\"` the run went {' → '.join(names)}, and should end with Judge → {end}.",
        )
    yield point(True, "Both actions of `judge` lead where they did.", "")


@exercise(
    "01.3", "A third way out",
    hints=(
        "`post` has to return a third action, and an arrow has to have its name.",
        "In `post`: `return \"huge\"` when there are more than 2 000 lines. Outside: `my_judge - \"huge\" >> ...`.",
        "`if exec_res > 2_000: return ___` before the other two; then `my_judge - \"short\" >> short_story`, "
        "`my_judge - \"long\" >> novel`, `my_judge - ___ >> saga`, and the flow is `Flow(start=my_judge)`.",
    ),
)
def _third_way(flow: object) -> Checked:
    yield point(isinstance(flow, Flow), "It is a flow.", f"That is {_named(flow)}: make a `Flow(start=my_judge)`.")
    ends = {}
    for kind, lines in (("short", 10), ("long", 600), ("huge", 3_000)):
        run = tried(flow, {"source": "x = 1\n" * lines, "module": "test"})
        yield point(run.error is None, "", "" if run.error is None else f"{trouble(run.error)}.")
        names, actions = way(run)
        ends[kind] = (run.store.get("verdict"), actions, names)
    _, actions, names = ends["huge"]
    yield slip(
        actions[0] == "long",
        "With 3 000 lines your `post` still returns `\"long\"`: test for more than 2 000 lines first.",
    )
    yield slip(
        actions[0] == "huge" and len(names) == 1,
        "Your `post` returns `\"huge\"`, and no arrow has that name, so the flow ends there: `my_judge - \"huge\" >> saga`.",
    )
    yield point(
        actions[0] == "huge", "With 3 000 lines the action is `huge`.",
        f"With 3 000 lines `post` returned `{actions[0]!r}`, and not `'huge'`.",
    )
    yield point(names[-1] == "Saga", "`\"huge\"` leads to `saga`.", f"`\"huge\"` leads to {names[-1]}, and not to `saga`.")
    yield point(
        ends["short"][2][-1] == "ShortStory" and ends["long"][2][-1] == "Novel", "The other two actions lead where they did.",
        f"With 10 lines the run ends at {ends['short'][2][-1]}, with 600 at {ends['long'][2][-1]}: keep `\"short\"` and `\"long\"`.",
    )
    for lines, end in ((2_001, "Saga"), (2_000, "Novel"), (300, "Novel"), (299, "ShortStory")):
        names, _ = way(tried(flow, {"source": "x = 1\n" * lines, "module": "test"}))
        yield slip(names[-1] != end, f"A module of {lines} lines goes to {names[-1]}, and not to {end}: more than 2 000, fewer than 300.")


@exercise(
    "01.4", "When it fails",
    hints=(
        "A node has an option for the number of attempts, and a method that is called after the last failed one.",
        "The option is `max_retries`, given where the node is made; the method is `exec_fallback(self, prep_res, exc)`.",
        "`def exec_fallback(self, module, exc): return ___`, an empty text, and `careful = CarefulRead(max_retries=___)`.",
    ),
)
def _fails(careful: Any) -> Checked:
    yield slip(isinstance(careful, type), "`careful` is the class. Make a node of it: `CarefulRead(...)`.")
    yield point(isinstance(careful, Node), "`careful` is a node.", f"`careful` is {_named(careful)}, not a node.")
    tries = careful.max_retries
    yield slip(tries == 2, "`max_retries` counts all attempts, the first one included: three attempts are 3.")
    yield point(tries == 3, "It makes three attempts.", f"It makes {tries} attempt{'s' * (tries != 1)}: `CarefulRead(max_retries=...)`.")
    run = tried(careful, {"module": "no_such_module"})
    yield slip(
        isinstance(run.error, TypeError) and "exec_fallback" in str(run.error),
        "`exec_fallback` gets two arguments, what `prep` returned and the error: `def exec_fallback(self, prep_res, exc)`.",
    )
    yield point(
        run.error is None, "It does not fail for a module that does not exist.",
        "It still fails for a module that does not exist: what `exec_fallback` returns replaces the result of `exec`.",
    )
    yield slip(run.store.get("source") is None, "The text became `None`: `exec_fallback` has to return an empty text, `\"\"`.")
    text = run.store["source"]
    yield point(text == "", "What it cannot read is empty.", f"The text became `{text!r}`, and should be empty, `\"\"`.")
    kept = tried(careful, {"module": "textwrap"}).store.get("source", "")
    yield point("def wrap" in kept, "What it can read is read as before.", "Now `textwrap` is not read either: leave `exec` as it is.")
    again = sum(event.kind == "node_retried" for event in run.events)
    yield slip(again != 2, "Three attempts are allowed, but it makes only one: an error that `exec` catches itself causes no retry.")


def _named(thing: object) -> str:
    return "nothing" if thing is None else f"a {type(thing).__name__}"
