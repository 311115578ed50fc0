"""`tool_agent`: a model with tools, as a flow of visible nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pocketflex_nb.core.errors import StoreError, nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import END
from pocketflex_nb.core.flow.retry_policy import Retry
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.llm.agent.think import AgentPlan, Think, tool_message
from pocketflex_nb.llm.agent.tool_nodes import node_of
from pocketflex_nb.llm.chat import checked_key
from pocketflex_nb.llm.conversation import append_messages, conversation_of, open_calls
from pocketflex_nb.llm.errors import BadTool, ModelBusy, ModelUnreachable
from pocketflex_nb.llm.messages import Message, Model
from pocketflex_nb.llm.model_call import check_model, takes_keyword, tell_message
from pocketflex_nb.llm.structured import Shape
from pocketflex_nb.llm.tools.tool import Tool, ToolTarget, as_tools

__all__ = ["ToolAgent", "tool_agent"]

#: how a busy provider is asked again, unless said otherwise
_PATIENCE = Retry(4, wait=1.0, backoff=2.0, jitter=0.2, on=(ModelBusy, ModelUnreachable))
#: an arrow of `think`, so no name for a tool
_RESERVED = "default"


class ToolAgent(Flow):
    """The flow that `tool_agent` makes.

    Attributes
    ----------
    plan : AgentPlan
        Model, instructions and tools.
    reads, writes : str
        Keys of the store: the question and the answer.
    """

    def __init__(self, plan: AgentPlan, reads: str, retry: Retry | None, name: str | None) -> None:
        think = Think(plan, retry)
        for each in plan.tools.values():
            node = node_of(each, plan.messages)
            think - each.name >> node
            node >> think
        think >> END
        super().__init__(think, name=name)
        self.plan, self.reads, self.writes = plan, reads, plan.writes
        self._pfx_reads, self._pfx_writes = [reads], [plan.writes, plan.messages]

    def prep(self, shared: Any) -> None:
        """Append the question to the conversation; calls that an earlier run left without a result get one."""
        if self.reads not in shared:
            known = [key for key in shared if isinstance(key, str)]
            raise StoreError(
                f"tool_agent(reads={self.reads!r}): the store has no such key{nearest(self.reads, known)}; run it on "
                f"{{{self.reads!r}: 'what is asked'}}"
            )
        key = self.plan.messages
        before = conversation_of(shared, key, "tool_agent")
        question: Message = {"role": "user", "content": str(shared[self.reads])}
        if self.plan.system and not before:
            tell_message({"role": "system", "content": self.plan.system})
        tell_message(question)
        lost = [tool_message(call, "", "no result: the run ended before") for call in open_calls(before)]
        append_messages(shared, key, [*lost, question])

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        """The default action: the answer is in the store."""


def tool_agent(
    model: Model, system: str, *, tools: Iterable[Tool | ToolTarget], reads: str = "question", writes: str = "answer",
    messages: str = "messages", returns: type | None = None, max_steps: int = 8, retry: Retry | None = _PATIENCE, name: str | None = None,
) -> ToolAgent:
    """A flow in which a model thinks, calls tools, and thinks again until it answers.

    Its nodes are `think` and one node for each tool: they are drawn, stepped, paused, journalled and budgeted like any others. Calls that
    the model makes at once run in parallel. A tool that fails, a tool that does not exist, arguments that do not fit or are cut off: the
    model is told, and thinks again. A tool may `ask` a person.

    Parameters
    ----------
    model : Model
        What `openai_model` gives, or any function ``(messages, *, tools=None, schema=None) -> Reply``.
    system : str
        Its instructions; ``""`` for none.
    tools : list of Tool, function, Flow or AgentRef
        What it may call.
    reads, writes : str
        Keys of the store: the question, and the answer.
    messages : str
        The key of the conversation, which is kept and gone on with.
    returns : type, optional
        A dataclass, `TypedDict` or pydantic model that the answer must fit.
    max_steps : int
        Replies of the model for one question; when it has not answered by then, the run fails with `StepLimit`.
    retry : Retry, optional
        For calls of the model; by default a busy or unreachable provider is asked up to 4 times, after its Retry-After.
    name : str, optional
        The flow's name.

    Returns
    -------
    Flow

    Raises
    ------
    BadTool
        One of the tools is none, or two have the same name.
    TypeError, ValueError
        The model cannot be called or takes no tools, or another argument is wrong. Nothing was called.

    Examples
    --------
    >>> from pocketflex_nb.llm import Reply, tool, tool_agent
    >>> @tool
    ... def add(a: int, b: int) -> int:
    ...     '''Add two numbers.'''
    ...     return a + b
    >>> def model(messages, *, tools=None, schema=None):
    ...     if messages[-1]["role"] == "tool":
    ...         return Reply(f"It is {messages[-1]['content']}.")
    ...     return Reply(tool_calls=[("add", {"a": 2, "b": 3})])
    >>> desk = tool_agent(model, "You calculate.", tools=[add])
    >>> desk.run(store := {"question": "What is 2 + 3?"})
    >>> store["answer"]
    'It is 5.'
    """
    check_model(model, "tool_agent")
    if not isinstance(system, str):
        raise TypeError(f"tool_agent(system={value_text(system, 60)}): the instructions are a text")
    found = as_tools(tools, "tool_agent")
    if found and not takes_keyword(model, "tools"):
        mend = "give it the keyword: def model(messages, *, tools=None)"
        raise TypeError(f"tool_agent: the model {value_text(model, 60)} takes no tools; {mend}")
    if any(each.name == _RESERVED for each in found):
        raise BadTool(f"tool_agent: a tool cannot be named {_RESERVED!r}, which leads to the end; give it another: tool(fn, name=...)")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise ValueError(f"tool_agent(max_steps={max_steps!r}): a whole number of at least 1")
    for option, key in (("reads", reads), ("writes", writes), ("messages", messages)):
        checked_key(key, "tool_agent", option)
    shape = None if returns is None else Shape(returns, "tool_agent")
    plan = AgentPlan(model, system, {each.name: each for each in found}, writes, messages, shape, max_steps)
    return ToolAgent(plan, reads, retry, name)
