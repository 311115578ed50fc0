"""`Chat`: a node that asks a model."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.core.flow.retry_policy import Retry
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.llm.conversation import append_messages, conversation_of
from pocketflex_nb.llm.errors import WrongShape
from pocketflex_nb.llm.messages import Message, Model, Reply, assistant_message
from pocketflex_nb.llm.model_call import (
    TOLD_BY,
    ask_model,
    check_model,
    identity_of,
    recorded,
    takes_keyword,
    tell_message,
)
from pocketflex_nb.llm.prompt import Prompt
from pocketflex_nb.llm.replies import problem_of
from pocketflex_nb.llm.structured import Shape

__all__ = ["Chat", "checked_key"]

#: times that a model is told why its reply does not fit
_CORRECTIONS = 2
_NODE_OPTIONS = list(inspect.signature(Node).parameters)


class Chat(Node):
    """A node that fills a prompt from the store, asks a model, and writes the answer to the store.

    Its text streams into the lane of the node, its usage counts against budgets, and each message is an event of kind ``message``.

    Parameters
    ----------
    model : Model
        What `openai_model` gives, or any function ``(messages, *, tools=None, schema=None) -> Reply``.
    prompt : str
        A text with keys of the store in braces: ``"Write about {topic}"``; params of the node come before the store.
    system : str, optional
        Instructions, a prompt too.
    writes : str
        The key that gets the answer.
    returns : type, optional
        A dataclass, `TypedDict` or pydantic model: the answer is one of its values. A reply that does not fit is sent back to the model
        with the reason, twice at most.
    messages : str, optional
        The key of a conversation in the store, with which the model goes on, and to which prompt and answer are appended.
    **node_options
        As for `Node`: ``name``, ``max_retries``, ``wait``, ``timeout``, ``retry``. Between tries a provider's Retry-After is honoured.

    Raises
    ------
    TypeError, ValueError
        The model cannot be called, the prompt cannot be read, or `returns` is no such type: when the node is made.
    StoreError
        The prompt names a key that the store does not have.
    NoAnswer
        The reply is empty, refused, cut off, or does not fit: as `EmptyReply`, `Refusal`, `CutOff` and `WrongShape`.

    Examples
    --------
    >>> from pocketflex_nb import Flow
    >>> from pocketflex_nb.llm import Chat, Reply
    >>> def model(messages, *, tools=None, schema=None):
    ...     return Reply(messages[-1]["content"].upper(), usage={"input_tokens": 5, "output_tokens": 3})
    >>> write = Chat(model, "a line about {topic}", writes="draft")
    >>> Flow(write).run(store := {"topic": "tides"})
    >>> store["draft"]
    'A LINE ABOUT TIDES'
    """

    def __init__(
        self, model: Model, prompt: str, *, system: str | None = None, writes: str = "answer", returns: type | None = None,
        messages: str | None = None, **node_options: Any,
    ) -> None:
        if unknown := [name for name in node_options if name not in _NODE_OPTIONS]:
            known = [*inspect.signature(Chat).parameters, *_NODE_OPTIONS]
            raise TypeError(f"Chat() has no option {unknown[0]!r}{nearest(unknown[0], known)}")
        if "retry" not in node_options and node_options.get("max_retries", 1) > 1:  # a policy, so that Retry-After is honoured
            node_options["retry"] = Retry(node_options["max_retries"], node_options.get("wait", 0))
        super().__init__(**node_options)
        what = f"Chat {self.name!r}" if self.name else "Chat"
        check_model(model, what)
        self.model, self.prompt = model, Prompt(prompt, what)
        self.system = None if system is None else Prompt(system, what)
        self.writes, self.messages = checked_key(writes, what, "writes"), messages
        if messages is not None:
            checked_key(messages, what, "messages")
        self.shape = None if returns is None else Shape(returns, what)
        self._what = what
        texts = [self.prompt] if self.system is None else [self.system, self.prompt]
        self._pfx_reads = [key for text in texts for key in text.keys]
        self._pfx_writes = [writes] if messages is None else [writes, messages]

    def prep(self, shared: Any) -> list[Message]:
        """The conversation so far, with the filled prompt as its last message.

        Parameters
        ----------
        shared : dict or Store
            Where the prompt's keys are.
        """
        params = getattr(self, "params", None) or {}
        before = [] if self.messages is None else conversation_of(shared, self.messages, self._what)
        system = [] if self.system is None else [{"role": "system", "content": self.system.fill(shared, params)}]
        return [*system, *before, {"role": "user", "content": self.prompt.fill(shared, params)}]

    async def exec(self, prep_res: list[Message]) -> Reply:
        """Ask the model; a reply that does not fit `returns` is sent back.

        Parameters
        ----------
        prep_res : list of dict
            The conversation.
        """
        if not self.cur_retry:
            tell_message(prep_res[-1])
        if self.shape is None:
            reply = await ask_model(self.model, prep_res)
            self._check(reply)
            return reply
        return await self._shaped(self.shape, prep_res)

    async def _shaped(self, shape: Shape, conversation: list[Message]) -> Reply:
        takes = takes_keyword(self.model, "schema")
        asked = conversation if takes else [*conversation[:-1], _with(conversation[-1], shape.request())]
        for number in range(_CORRECTIONS + 1):
            ask = partial(ask_model, self.model, asked, schema=shape.schema if takes else None)
            reply = await recorded(f"call {self.cur_retry}.{number}", ask)
            self._check(reply)
            try:
                shape.value(reply.text)
                return reply
            except WrongShape as exc:
                if number == _CORRECTIONS:
                    raise WrongShape(f"{self._what}: after {number + 1} tries, {exc}", text=reply.text) from None
                correction = {"role": "user", "content": shape.correction(exc), TOLD_BY: self._what}
                tell_message(correction)
                asked = [*asked, assistant_message(reply), correction]
        raise AssertionError("the last try returns or raises")

    def _check(self, reply: Reply) -> None:
        if reply.tool_calls and not reply.text:
            name = reply.tool_calls[0].name
            mend = "use tool_agent(model, ..., tools=[...])"
            raise WrongShape(f"{self._what}: the model called the tool {name!r}, and a Chat has none; {mend}")
        if (problem := problem_of(reply, self._what)) is not None:
            raise problem

    def cache_key(self, prep_res: list[Message]) -> object:
        """What the reply depends on: the model, the conversation and the shape of the answer; None for a model that cannot be told.

        Parameters
        ----------
        prep_res : list of dict
            The conversation.
        """
        return identity_of(self.model, prep_res, None if self.shape is None else self.shape.schema)

    def post(self, shared: Any, prep_res: list[Message], exec_res: Reply) -> None:
        """Write the answer, and what was said to the conversation.

        Parameters
        ----------
        shared : dict or Store
            Where the answer goes.
        prep_res : list of dict
            The conversation.
        exec_res : Reply
            What the model said.
        """
        if self.messages is not None:
            append_messages(shared, self.messages, [prep_res[-1], {"role": "assistant", "content": exec_res.text}])
        shared[self.writes] = exec_res.text if self.shape is None else self.shape.value(exec_res.text)


def checked_key(key: object, what: str, option: str) -> str:
    """`key`; raises unless it is the name of a store key."""
    if not isinstance(key, str) or not key:
        raise TypeError(f"{what}({option}={value_text(key, 60)}): the name of a key of the store is needed")
    return key


def _with(message: Message, more: str) -> Message:
    return {**message, "content": f"{message['content']}\n\n{more}"}
