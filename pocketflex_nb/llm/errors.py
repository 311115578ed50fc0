"""The errors of language models and their tools, each with its mend.

::

    ModelError(RuntimeError)             in :mod:`pocketflex_nb.core.errors`
    ├── ModelSetup(ValueError)           no endpoint, no key, no such model: nothing was asked
    ├── ModelBusy                        the provider asks to come later: `.retry_after` seconds
    ├── ModelUnreachable(ConnectionError)  nobody answers there, or the stream broke off
    └── NoAnswer                         the model replied, and the reply is no answer: `.text`
        ├── EmptyReply                   neither text nor a tool call
        ├── Refusal                      it refuses
        ├── CutOff                       the reply ended at the limit of its length
        └── WrongShape(ValueError)       it does not fit what `returns=` asks for
    BadTool(PocketflexError, TypeError)  what cannot be a tool, or is one twice
    ToolServerError(PocketflexError)     an MCP server cannot be used, or its tool reports an error
    └── ToolServerLost(ConnectionError)  the connection broke off: the call may have been made
"""

from __future__ import annotations

from pocketflex_nb.core.errors import ModelError, PocketflexError

__all__ = [
    "BadTool", "CutOff", "EmptyReply", "ModelBusy", "ModelError", "ModelSetup", "ModelUnreachable", "NoAnswer", "Refusal",
    "ToolServerError", "ToolServerLost", "WrongShape",
]


class ModelSetup(ModelError, ValueError):
    """A model that cannot be asked as it is set up: no endpoint, no key, no such name.

    Examples
    --------
    >>> from pocketflex_nb.llm import openai_model
    >>> openai_model("small", base_url="ftp://127.0.0.1")
    Traceback (most recent call last):
        ...
    pocketflex_nb.llm.errors.ModelSetup: openai_model(base_url='ftp://127.0.0.1'): an address such as 'http://127.0.0.1:8080/v1' is needed
    """


class ModelBusy(ModelError):
    """The provider is busy, or a limit of requests is reached: later it may answer.

    Attributes
    ----------
    retry_after : float or None
        Seconds after which the provider wants to be asked again; a `Retry` waits at least that long.
    status : int
        HTTP status, 0 if there is none.

    Examples
    --------
    >>> from pocketflex_nb import Retry
    >>> patient = Retry(4, wait=1, backoff=2, on=ModelBusy)
    >>> patient.delay(0, after=ModelBusy("later", retry_after=20).retry_after)
    20.0
    """

    def __init__(self, message: str, *, retry_after: float | None = None, status: int = 0) -> None:
        super().__init__(message)
        self.retry_after, self.status = retry_after, status


class ModelUnreachable(ModelError, ConnectionError):
    """Nobody answers at the model's address, or the connection broke off before the reply was whole.

    Examples
    --------
    >>> from pocketflex_nb import Flow
    >>> from pocketflex_nb.llm import Chat, openai_model
    >>> model = openai_model("small", base_url="http://127.0.0.1:9/v1")
    >>> run = Flow(Chat(model, "hello")).launch().wait(10)
    >>> isinstance(run.error, ModelUnreachable)
    True
    """


class NoAnswer(ModelError):
    """The model replied, and the reply cannot be taken for an answer.

    Attributes
    ----------
    text : str
        What it said.

    Examples
    --------
    >>> from pocketflex_nb import Flow
    >>> from pocketflex_nb.llm import Chat, Reply
    >>> chat = Chat(lambda messages: Reply("Once upon a", finish="length"), "Tell a tale.")
    >>> run = Flow(chat).launch().wait(10)
    >>> isinstance(run.error, NoAnswer), run.error.text
    (True, 'Once upon a')
    """

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class EmptyReply(NoAnswer):
    """A reply with neither text nor a tool call.

    Examples
    --------
    >>> from pocketflex_nb import Flow
    >>> from pocketflex_nb.llm import Chat
    >>> isinstance(Flow(Chat(lambda messages: "", "hello")).launch().wait(10).error, EmptyReply)
    True
    """


class Refusal(NoAnswer):
    """The model refuses to answer; `text` says why.

    Examples
    --------
    >>> from pocketflex_nb import Flow
    >>> from pocketflex_nb.llm import Chat, Reply
    >>> Flow(Chat(lambda messages: Reply(refusal="I cannot help with that."), "hello")).launch().wait(10).error.text
    'I cannot help with that.'
    """


class CutOff(NoAnswer):
    """The reply ended at the limit of its length; `text` is the part that came.

    Examples
    --------
    >>> from pocketflex_nb import Flow
    >>> from pocketflex_nb.llm import Chat, Reply
    >>> isinstance(Flow(Chat(lambda messages: Reply("Once", finish="length"), "hello")).launch().wait(10).error, CutOff)
    True
    """


class WrongShape(NoAnswer, ValueError):
    """The reply does not fit what `returns=` asks for, also after the model was told so.

    Examples
    --------
    >>> from typing import TypedDict
    >>> from pocketflex_nb import Flow
    >>> from pocketflex_nb.llm import Chat
    >>> Verdict = TypedDict("Verdict", {"ok": bool})
    >>> isinstance(Flow(Chat(lambda messages: "maybe", "Is it?", returns=Verdict)).launch().wait(10).error, WrongShape)
    True
    """


class BadTool(PocketflexError, TypeError):
    """What cannot be a tool: no function, a parameter without an annotation, a name that is taken. Nothing was called.

    Examples
    --------
    >>> from pocketflex_nb.llm import tool
    >>> @tool
    ... def search(query):
    ...     pass
    Traceback (most recent call last):
        ...
    pocketflex_nb.llm.errors.BadTool: tool 'search': parameter 'query' has no annotation; write `query: str`, or what it is
    """


class ToolServerError(PocketflexError, RuntimeError):
    """An MCP server cannot be used, or one of its tools reports an error: the message is the server's.

    Examples
    --------
    >>> from pocketflex_nb.llm import mcp_tools
    >>> mcp_tools(7)
    Traceback (most recent call last):
        ...
    pocketflex_nb.llm.errors.ToolServerError: mcp_tools(7): a command such as 'python server.py', an address or a server object is needed
    """


class ToolServerLost(ToolServerError, ConnectionError):
    """The connection to an MCP server broke off; whether the call was made is not known. The connection is being made again.

    Examples
    --------
    >>> issubclass(ToolServerLost, (ToolServerError, ConnectionError))
    True
    """
