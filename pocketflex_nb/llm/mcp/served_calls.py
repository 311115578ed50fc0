"""Calls of served tools: a run each, its progress told, its questions asked at the client, cancelled with the call.

From protocol version 2026-07-28 on a question is the answer to the call, which the client makes again with the reply; the run waits in
between. Older clients are asked beside the call, which goes on.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.value_text import cut_text
from pocketflex_nb.engine.control.question import Question
from pocketflex_nb.engine.launch import launch
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.llm.tools.json_schema import object_schema
from pocketflex_nb.llm.tools.tool import BadArguments, Tool, result_text

__all__ = ["ServedCalls"]

#: seconds that a run waits for a reply to its question
_PATIENCE = 600.0
#: characters of an error that the client gets
_SAID = 2_000
#: the first protocol version whose questions are answers
_ASKS_BY_RESULT = "2026-07-28"


class ServedCalls:
    """The handlers of a server's requests.

    Attributes
    ----------
    tools : mapping of str to Tool
        By name.
    name : str
        The server's.
    """

    def __init__(self, tools: Mapping[str, Tool], name: str) -> None:
        self.tools, self.name = tools, name
        self._waiting: dict[str, _Call] = {}

    async def list_tools(self, context: Any, params: Any) -> Any:
        """Answer ``tools/list``."""
        from mcp import types

        listed = [types.Tool(name=each.name, description=each.description, input_schema=each.schema) for each in self.tools.values()]
        return types.ListToolsResult(tools=listed)

    async def call_tool(self, context: Any, params: Any) -> Any:
        """Answer ``tools/call``: with the result, an error for the model, or a question."""
        try:
            if params.request_state is not None:
                call = self._waiting.pop(params.request_state, None)
                if call is None:
                    return _failed("the question is not waited for any more; call the tool anew")
                call.reply((params.input_responses or {}).get("question"))
            else:
                called = self.tools.get(params.name)
                if called is None:
                    return _failed(f"there is no tool {params.name!r}; there are {', '.join(self.tools)}")
                given = called.converted(called.arguments(json.dumps(params.arguments or {})))
                if not isinstance(called.target, Flow):
                    return _done(await _plain(called, given))
                call = _Call(launch(called.target, given, name=called.name, show=False), called)
        except (BadArguments, ValueError) as exc:
            return _failed(str(exc))
        except Exception as exc:
            return _failed(f"{type(exc).__name__}: {exc}")
        question = await call.go_on(context)
        return call.outcome() if question is None else self._ask_by_result(call, question)

    def _ask_by_result(self, call: _Call, question: Question) -> Any:
        from mcp import types

        state = secrets.token_urlsafe(18)
        self._waiting[state] = call
        asyncio.get_running_loop().call_later(_PATIENCE, self._give_up, state)
        return types.InputRequiredResult(input_requests={"question": _request(question, call.complaint)}, request_state=state)

    def close(self) -> None:
        """Cancel the runs whose question waits for a reply, which cannot come any more."""
        for state in list(self._waiting):
            self._give_up(state)

    def _give_up(self, state: str) -> None:
        call = self._waiting.pop(state, None)
        if call is not None:
            call.run.cancel()


async def _plain(called: Tool, given: dict[str, Any]) -> object:
    if called.is_async:
        return await called(**given)
    return await asyncio.wrap_future(engine_thread.in_pool(partial(called, **given)))


class _Call:
    """One call: its run, and what is to be told of it."""

    def __init__(self, run: Run, called: Tool) -> None:
        self.run, self.called, self.complaint = run, called, ""
        self._question: Question | None = None
        self._steps = 0

    async def go_on(self, context: Any) -> Question | None:
        """Follow the run until it is over (None) or asks what the result has to ask."""
        news: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        stop = self.run.subscribe(lambda event: loop.call_soon_threadsafe(news.put_nowait, event))
        seen = self._steps
        try:
            if self._question is not None and self._question.is_open:
                return self._question  # the reply did not fit
            while not _is_end(event := await news.get()):
                if event.kind in ("node_finished", "progress"):
                    seen -= 1
                    if seen < 0:
                        await self._tell(context, event)
                elif event.kind == "asked":
                    question: Question | None = await self.run.asking(timeout=1)
                    if question is not None and question is not self._question and await self._ask(context, question):
                        return question
            await self.run.wait_async()
        except BaseException:
            self.run.cancel()
            raise
        finally:
            stop()
        return None

    async def _tell(self, context: Any, event: Event) -> None:
        self._steps += 1
        node = event.address.rpartition("/")[2] or event.run
        text = f"{node}: {event['done']} of {event['total']}" if event.get("total") else node
        await context.session.report_progress(self._steps, None, text)

    async def _ask(self, context: Any, question: Question) -> bool:
        """Ask the client's person; whether the result has to."""
        self._question = question
        capabilities = context.session.client_capabilities
        elicitation = None if capabilities is None else capabilities.elicitation
        if elicitation is None or (elicitation.form is None and elicitation.url is not None):
            self.complaint = f"this flow asks a person ({question.text!r}), and the client cannot: it lacks the capability elicitation"
            self.run.cancel()
            return False
        if context.protocol_version >= _ASKS_BY_RESULT:
            return True
        while question.is_open:
            request = _request(question, self.complaint).params
            self.reply(await context.session.elicit_form(request.message, request.requested_schema, context.request_id))
        return False

    def reply(self, response: Any) -> None:
        """Take the person's reply; what does not fit is asked again, and a refusal cancels the run."""
        question = self._question
        assert question is not None
        if response is None or response.action != "accept":
            self.complaint = f"the person gave no answer to {question.text!r}"
            self.run.cancel()
            question.end(None, "cancel")
            return
        try:
            self.run.answer(_answer_of(question, response.content or {}), question)
            self.complaint = ""
        except ValueError as exc:
            self.complaint = str(exc)

    def outcome(self) -> Any:
        """The result of the call."""
        if self.run.status == "done":
            return _done(_written(self.called, self.run))
        if self.complaint:
            return _failed(self.complaint)
        return _failed(f"{type(self.run.error).__name__}: {self.run.error}" if self.run.error is not None else "the run was cancelled")


def _is_end(event: Event) -> bool:
    return event.kind == "run_finished" and event.depth == 0


def _written(called: Tool, run: Run) -> object:
    """What the flow gives: its declared outputs, else what it wrote."""
    private = called.target._pfx_private if isinstance(called.target, Flow) else None
    names = list(map(str, private.gives.values())) if private is not None and private.gives else []
    store: Mapping[Any, Any] = run.store
    given = called.schema["properties"]
    found = {key: store[key] for key in names if key in store} if names else {k: v for k, v in store.items() if k not in given}
    return next(iter(found.values())) if len(found) == 1 else found


def _request(question: Question, complaint: str) -> Any:
    """A question as the form that clients show."""
    from mcp import types

    text = f"{complaint}\n{question.text}" if complaint else question.text
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=text, requested_schema=_form(question)))


def _form(question: Question) -> dict[str, Any]:
    if question.choices is not None:
        field = {"type": "string", "enum": list(map(str, question.choices))}
        return {"type": "object", "properties": {"answer": field}, "required": ["answer"]}
    if isinstance(question.schema, Mapping):
        kinds: dict[str, object] = {str(name): kind for name, kind in question.schema.items()}
    else:
        kinds = {"answer": str if question.schema is None else question.schema}
    whole = object_schema(kinds, kinds, {}, {})
    return {name: whole[name] for name in ("type", "properties", "required")}


def _answer_of(question: Question, content: Mapping[str, Any]) -> object:
    if question.choices is None and isinstance(question.schema, Mapping):
        return dict(content)
    given = content.get("answer")
    return next((choice for choice in question.choices or () if str(choice) == given), given)


def _done(value: object) -> Any:
    from mcp import types

    return types.CallToolResult(content=[types.TextContent(text=result_text(value))])


def _failed(text: str) -> Any:
    from mcp import types

    return types.CallToolResult(content=[types.TextContent(text=cut_text(text, _SAID))], is_error=True)
