"""`Think`: the node of a `tool_agent` that asks the model what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketflex_nb.core.errors import StepLimit, nearest
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.core.flow.retry_policy import Retry
from pocketflex_nb.engine.records.emit import emit
from pocketflex_nb.llm.conversation import append_messages, conversation_of, model_steps, ordered
from pocketflex_nb.llm.errors import CutOff, EmptyReply, NoAnswer, Refusal, WrongShape
from pocketflex_nb.llm.messages import Message, Model, Reply, ToolCall, assistant_message
from pocketflex_nb.llm.model_call import TOLD_BY, ask_model, identity_of, takes_keyword, tell_message
from pocketflex_nb.llm.replies import problem_of
from pocketflex_nb.llm.structured import Shape
from pocketflex_nb.llm.tools.tool import BadArguments, Tool

__all__ = ["AgentPlan", "Think", "tool_message"]

#: replies in a row that are sent back to the model before the run fails
_SENT_BACK = 2


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """What the nodes of one agent share.

    Attributes
    ----------
    model : Model
        What is asked.
    system : str
        Its instructions.
    tools : mapping of str to Tool
        By name.
    writes, messages : str
        Keys of the store: the answer, and the conversation.
    shape : Shape or None
        What the answer must fit.
    max_steps : int
        Replies of the model for one question.
    """

    model: Model
    system: str
    tools: Mapping[str, Tool]
    writes: str
    messages: str
    shape: Shape | None
    max_steps: int


class Think(Node):
    """Asks the model; its tool calls are a fan-out, its answer ends the flow."""

    def __init__(self, plan: AgentPlan, retry: Retry | None) -> None:
        super().__init__(retry=retry, name="think")
        self.plan = plan

    def prep(self, shared: Any) -> list[Message]:
        """The conversation; raises `StepLimit` when the model has replied as often as it may."""
        plan = self.plan
        conversation = ordered(conversation_of(shared, plan.messages, "tool_agent"))
        steps, _ = model_steps(conversation)
        if steps >= plan.max_steps:
            raise StepLimit(
                f"the model has replied {steps} times without an answer, as often as max_steps={plan.max_steps} allows; the conversation "
                f"is kept in store[{plan.messages!r}]; give tool_agent(max_steps=...) more, or the model better tools",
                hot=[("think", steps)],
            )
        return conversation

    async def exec(self, prep_res: list[Message]) -> Reply:
        """Ask the model; raises when it refuses, or when several replies in a row are no use."""
        plan = self.plan
        _, sent_back = model_steps(prep_res)
        wants_shape = plan.shape is not None and sent_back > 0 and takes_keyword(plan.model, "schema")
        system = plan.system
        if plan.shape is not None and not wants_shape:
            system = f"{system}\n\nWhen you have the answer: {plan.shape.request()}".strip()
        asked = [{"role": "system", "content": system}, *prep_res] if system else prep_res
        tools = [each.specification() for each in plan.tools.values()]
        if wants_shape and plan.shape is not None:
            reply = await ask_model(plan.model, asked, schema=plan.shape.schema)
        else:
            reply = await ask_model(plan.model, asked, tools=tools)
        problem = self._problem(reply)
        if isinstance(problem, Refusal) or (problem is not None and sent_back >= _SENT_BACK):
            raise problem
        return reply

    def cache_key(self, prep_res: list[Message]) -> object:
        """What the reply depends on."""
        plan = self.plan
        tools = [each.specification() for each in plan.tools.values()]
        return identity_of(plan.model, prep_res, plan.system, tools, None if plan.shape is None else plan.shape.schema)

    def post(self, shared: Any, prep_res: list[Message], exec_res: Reply) -> Any:
        """Start the tools that the model calls, in parallel; or write the answer."""
        plan, reply = self.plan, exec_res
        if reply.tool_calls:
            return self._dispatch(shared, reply)
        problem = self._problem(reply)
        if problem is not None:
            said = [assistant_message(reply)] if reply.text.strip() else []
            correction = {"role": "user", "content": self._correction(problem), TOLD_BY: "tool_agent"}
            tell_message(correction)
            append_messages(shared, plan.messages, [*said, correction])
            return []  # nothing to do: think again
        append_messages(shared, plan.messages, [assistant_message(reply)])
        shared[plan.writes] = reply.text if plan.shape is None else plan.shape.value(reply.text)
        return None

    def _dispatch(self, shared: Any, reply: Reply) -> list[tuple[str, dict[str, Any]]]:
        """The calls as branches, each with its params; those that cannot be made are answered at once."""
        begun: list[tuple[str, dict[str, Any]]] = []
        results: list[Message] = []
        for call in reply.tool_calls:
            try:
                arguments = self._arguments(call, is_cut=reply.finish == "length" and call is reply.tool_calls[-1])
            except BadArguments as exc:
                emit("tool", name=call.name, arguments=call.arguments, error=str(exc), seconds=0.0, id=call.id)
                results.append(tool_message(call.id, call.name, f"Error: {exc}"))
            else:
                begun.append((call.name, {**arguments, "call": {"id": call.id, "name": call.name, "arguments": arguments}}))
        append_messages(shared, self.plan.messages, [assistant_message(reply), *results])
        return begun

    def _arguments(self, call: ToolCall, *, is_cut: bool) -> dict[str, Any]:
        found = self.plan.tools.get(call.name)
        if found is None:
            raise BadArguments(f"there is no tool {call.name!r}{nearest(call.name, self.plan.tools)}")
        try:
            return found.arguments(call.arguments)
        except BadArguments as exc:
            if is_cut:
                raise BadArguments(f"{exc}. Your reply was cut off at the limit of its length: call it again, with less") from None
            raise

    def _problem(self, reply: Reply) -> NoAnswer | None:
        problem = problem_of(reply, "tool_agent")
        if problem is None and not reply.tool_calls and self.plan.shape is not None:
            try:
                self.plan.shape.value(reply.text)
            except WrongShape as exc:
                return exc
        return problem

    def _correction(self, problem: NoAnswer) -> str:
        if isinstance(problem, EmptyReply):
            return "Your reply was empty. Answer, or call a tool."
        if isinstance(problem, CutOff):
            return "Your reply was cut off at the limit of its length. Answer again, shorter."
        shape = self.plan.shape
        return shape.correction(problem) if shape is not None and isinstance(problem, WrongShape) else str(problem)


def tool_message(number: str, name: str, text: str) -> Message:
    """The result of a call as a message of the conversation."""
    return {"role": "tool", "tool_call_id": number, "name": name, "content": text}
