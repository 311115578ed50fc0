"""Lesson 10, tools, MCP and a person: exercises about a tool that asks, a flow that is a tool, and serving it."""

from __future__ import annotations

from time import monotonic
from typing import Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.lessons.exercise import CHECK_TIMEOUT, Checked, exercise, point, slip, trouble
from pocketflex_nb.llm.mcp.mcp_tools import mcp_tools
from pocketflex_nb.llm.mcp.serve_mcp import McpServer
from pocketflex_nb.llm.tools.tool import Tool

_AMOUNT = 40


@exercise(
    "10.1", "A tool that asks",
    hints=(
        "The tool `send` above shows the form: an `async def` that awaits `ask`.",
        "`ask` takes the question and the choices `[\"yes\", \"no\"]`; what the tool returns is what the model is told.",
        "`answer = await ask(f\"Pay {amount}?\", [\"yes\", \"no\"])`, then `return \"paid\" if answer == ___ else \"not paid\"`.",
    ),
)
def _pay(pay: Any) -> Checked:
    yield slip(callable(pay) and not isinstance(pay, Tool), "That is a function, and no tool yet: put `@tool` above its `def`.")
    yield point(isinstance(pay, Tool), "A tool.", f"`pay` is a {type(pay).__name__}, and not a tool.")
    fields = pay.schema["properties"]
    yield point(list(fields) == ["amount"], "It takes an `amount`.", f"It takes {', '.join(fields) or 'nothing'}: one `amount` is wanted.")
    yield slip(fields["amount"].get("type") != "integer", "The annotation of `amount` has to be `int`.")
    yes, asked = _paid(pay, "yes")
    yield slip(yes.error is not None and not asked, "" if yes.error is None else f"{trouble(yes.error)}.")
    yield point(asked, "It asks.", "Nobody was asked. (In an `async def`, `ask` needs `await`.)")
    yield slip(asked[0]["choices"] is None, "Any text is accepted as an answer: give `ask` the choices.")
    yield point(
        set(asked[0]["choices"]) == {"yes", "no"}, "Two buttons, yes and no.",
        f"The buttons are {', '.join(map(repr, asked[0]['choices']))}, and should be yes and no.",
    )
    yield slip(yes.error is not None, "" if yes.error is None else f"{trouble(yes.error)}.")
    yield point(str(_AMOUNT) in asked[0]["question"], "The person sees the amount.", "The question does not show the amount.")
    yield slip(yes.store["said"] is None, "It returns nothing: the model has to be told what happened.")
    yield point(yes.store["said"] == "paid", "Yes pays.", f"Answered yes, it returned {yes.store['said']!r}, and not `paid`.")
    no, _ = _paid(pay, "no")
    said = no.store.get("said")
    yield slip(said == "paid", "Answered no, it said `paid`: look at the answer.")
    yield point(said == "not paid", "No does not.", f"Answered no, it returned {said!r}, and not `not paid`.")


@exercise(
    "10.2", "A flow as a tool",
    hints=(
        "A flow that is a tool says what the model fills, and what it gets back.",
        "`Flow` takes `inputs=` and `outputs=`: lists of keys of the store. It needs a `name=` too.",
        "`outline = Flow(Plan(), name=\"outline\", inputs=[\"topic\"], outputs=[___])`.",
    ),
)
def _outline(outline: Any) -> Checked:
    yield slip(isinstance(outline, Tool), "That is the tool already: the flow itself is wanted here.")
    yield slip(isinstance(outline, Node), "That is a node: put it into a `Flow`.")
    yield point(isinstance(outline, Flow), "A flow.", f"`outline` is a {type(outline).__name__}, and not a `Flow`.")
    yield point(outline.__dict__.get("name") == "outline", "Its name is `outline`.", "Its name has to be `outline`: `name=`.")
    private = outline._pfx_private
    takes = sorted(map(str, private.takes)) if private is not None else []
    yield slip(not takes, "What it takes is not declared: `inputs=` says what the model fills.")
    yield point(takes == ["topic"], "The model fills `topic`.", f"The model would fill {', '.join(takes)}: only `topic`.")
    run = _tried(outline)
    yield slip(run.error is not None, "" if run.error is None else f"{trouble(run.error)}.")
    gives = set(run.store) - {"topic"}
    yield slip("notes" in gives, "It gives its private notes away: `outputs=` names what it gives.")
    yield point(gives == {"outline"}, "It gives its outline, and keeps its notes.", f"It gives {', '.join(sorted(gives)) or 'nothing'}.")


@exercise(
    "10.3", "Serve it",
    hints=(
        "`serve_mcp` takes a dict: what each tool is called, and the flow that it runs.",
        "Over http it returns a server with a `url`; over stdio it would wait for a client, and hold the cell.",
        "`server = serve_mcp({\"outline\": ___})`.",
    ),
)
def _server(server: Any) -> Checked:
    yield slip(server is None, "That served standard input and output, until it ended: leave `transport` out, and it serves http.")
    yield slip(isinstance(server, dict), "That is the dict alone: give it to `serve_mcp`.")
    yield slip(isinstance(server, str), "That is only an address: keep the server itself, so that it goes on serving.")
    yield point(isinstance(server, McpServer), "A server.", f"`server` is a {type(server).__name__}, and not what `serve_mcp` returns.")
    yield slip("closed" in repr(server), "It is closed: leave it open. (A `with` block closes it at its end.)")
    yield point("outline" in server.tools, "It serves `outline`.", f"It serves {', '.join(server.tools)}, and not `outline`.")
    yield slip(len(server.tools) > 1, "It serves more than that: the outline is enough.")
    try:
        said = engine_thread.submit(_called(server.url)).result(CHECK_TIMEOUT)
    except Exception as error:  # whatever a client meets
        yield point(False, "", f"A client that called it got `{type(error).__name__}: {error}`.")
        return
    yield point("tides" in said, "A client that calls it gets an outline.", f"A client that calls it gets {said[:60]!r}.")


async def _called(url: str) -> str:
    async with mcp_tools(url) as tools:
        (outline,) = [each for each in tools if each.name == "outline"]
        return str(await outline(topic="tides"))


class _Call(Node):
    """Calls a tool as an agent would."""

    def __init__(self, called: Tool) -> None:
        super().__init__()
        self.called = called

    async def exec(self, prep_res: object) -> object:
        made = self.called(amount=_AMOUNT)
        return await made if self.called.is_async else made

    def post(self, shared: Any, prep_res: object, exec_res: object) -> None:
        shared["said"] = exec_res


def _paid(called: Tool, answer: str) -> tuple[Any, list[Any]]:
    """The ended run that calls the tool, every question answered so, and its questions."""
    run: Run = Flow(_Call(called)).launch({"said": None}, show=False, timeout=CHECK_TIMEOUT)
    deadline = monotonic() + CHECK_TIMEOUT
    while not run.done() and monotonic() < deadline:
        try:
            if run.status == "asking":
                run.answer(answer)
        except LookupError:  # it has just been closed
            pass
        except ValueError:  # not among the choices: the check says so
            run.cancel()
        run.wait(0.005)
    return run, [event for event in run.events if event.kind == "asked"]


def _tried(flow: Flow) -> Any:
    """The run of a flow inside another, which sees what it gives."""
    return Flow(flow.copy()).launch({"topic": "tides"}, show=False, timeout=CHECK_TIMEOUT).wait(CHECK_TIMEOUT)
