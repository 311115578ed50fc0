"""`NotAModel`: a local server that speaks OpenAI's chat completions, and is not a model. For tests, lessons and benchmarks.

It streams, calls tools in parallel, is busy, cuts off, stalls and sends broken JSON when its script says so. Without a script it follows
simple rules, and says that it is not a model. It listens on the loopback interface only.

``python -m pocketflex_nb.testing.not_a_model --delay 0.01`` serves in a process of its own, and prints its address.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pocketflex_nb.concurrency.loop_thread import LoopThread
from pocketflex_nb.core.value_text import cut_text, value_text
from pocketflex_nb.llm.messages import Reply, TokenUsage, ToolCall

__all__ = ["Busy", "CutStream", "NotAModel", "Stall"]

_SAYS = "I am not a model:"
_WORDS = re.compile(r"\s*\S+\s*")
#: characters of a text that fills a schema
_TOLD = 60
#: words of a docstring that are read aloud
_READ = 24
_servers = LoopThread("pocketflex-not-a-model")


@dataclass(frozen=True, slots=True)
class Busy:
    """An entry of a script: the answer is an error's status.

    Parameters
    ----------
    retry_after : float, optional
        Seconds, for the header Retry-After.
    status : int
        HTTP status.
    message : str
        What the error says.

    Examples
    --------
    >>> Busy(retry_after=0.5).status
    429
    """

    retry_after: float | None = None
    status: int = 429
    message: str = "too many requests"


@dataclass(frozen=True, slots=True)
class CutStream:
    """An entry of a script: the connection breaks off after some pieces of the text.

    Parameters
    ----------
    text : str
        What would have been said.
    pieces : int
        Words that are sent.

    Examples
    --------
    >>> CutStream("The tides follow the moon.", pieces=2).pieces
    2
    """

    text: str
    pieces: int = 2


@dataclass(frozen=True, slots=True)
class Stall:
    """An entry of a script: after some pieces of the text nothing comes any more, until the client hangs up.

    Parameters
    ----------
    text : str
        What would have been said.
    pieces : int
        Words that are sent.

    Examples
    --------
    >>> Stall("The tides follow the moon.").pieces
    2
    """

    text: str
    pieces: int = 2


class NotAModel:
    """A server on this machine that speaks OpenAI's chat completions, and is not a model.

    Parameters
    ----------
    script : iterable or callable, optional
        What it answers, one entry a request: a text, a `Reply`, a `Busy`, a `CutStream`, a `Stall`, or bytes that are sent as they are; or
        a function of the request (a dict) that gives one of these. When the script is over, and without one, it follows its rules: it
        calls each tool whose name stands in the question, with what the question has in double quotes, tells the results, fills a
        schema, and reads the documentation of the module that is named last.
    delay : float
        Seconds between two pieces of a stream.
    models : iterable of str
        The names it knows.
    key : str, optional
        The API key it wants; without one it takes any.

    Attributes
    ----------
    url : str
        What to give as ``base_url``.
    requests : list of dict
        The bodies it was sent, oldest first.
    hung_up : int
        Streams that clients left before the end.

    Examples
    --------
    >>> from urllib.request import Request, urlopen
    >>> with NotAModel(["The moon."]) as server:
    ...     body = b'{"model": "not-a-model", "messages": [{"role": "user", "content": "What makes tides?"}]}'
    ...     answer = urlopen(Request(f"{server.url}/chat/completions", body, {"Content-Type": "application/json"})).read()
    >>> json.loads(answer)["choices"][0]["message"]["content"]
    'The moon.'
    """

    def __init__(
        self, script: Iterable[object] | Callable[[dict[str, Any]], object] | None = None, *, delay: float = 0.0,
        models: Iterable[str] = ("not-a-model",), key: str | None = None,
    ) -> None:
        self.delay, self.models, self.key = delay, tuple(models), key
        self.requests: list[dict[str, Any]] = []
        self.hung_up = 0
        self.url = ""
        self._rule = script if callable(script) else None
        self._script: Iterator[object] = iter(()) if script is None or callable(script) else iter(script)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def __repr__(self) -> str:
        return f"<NotAModel{f' at {self.url}' if self.url else ''}, {len(self.requests)} requests>"

    def start(self, port: int = 0) -> NotAModel:
        """Listen; returns the server itself.

        Parameters
        ----------
        port : int
            0 takes a free one.
        """
        if self._server is None:
            _servers.run(self._start(port))
        return self

    def close(self) -> None:
        """Stop listening, and break off what is open."""
        if self._server is not None:
            _servers.run(self._close())

    def __enter__(self) -> NotAModel:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def _start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", port, backlog=2_048)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    # HTTP ------------------------------------------------------------------------------------------------------------
    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, *_ = head[0].split(" ")
        path = path.partition("?")[0]
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            return _send_error(writer, 401, f"Incorrect API key provided: {headers.get('authorization', '')[7:]}.")
        if method == "GET" and path.endswith("/models"):
            return _send_json(writer, 200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})
        if not path.endswith("/chat/completions"):
            return _send_error(writer, 404, f"no such path: {path}")
        asked = json.loads(body)
        self.requests.append(asked)
        if asked.get("model") not in self.models:
            return _send_error(writer, 404, f"The model {asked.get('model')!r} does not exist")
        return await self._answer(asked, reader, writer)

    async def _answer(self, asked: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        entry = self._rule(asked) if self._rule is not None else next(self._script, None)
        if callable(entry):
            entry = entry(asked)
        if entry is None:
            entry = _by_rules(asked)
        if isinstance(entry, Busy):
            after = {} if entry.retry_after is None else {"Retry-After": f"{entry.retry_after:g}"}
            return _send_error(writer, entry.status, entry.message, after)
        if not isinstance(entry, (str, Reply, CutStream, Stall, bytes)):
            return _send_error(writer, 500, f"the script of NotAModel has an entry that it cannot say: {value_text(entry, 60)}")
        if not asked.get("stream"):
            return _send_json(writer, 200, _whole(asked, entry if isinstance(entry, Reply) else Reply(str(getattr(entry, "text", entry)))))
        gone = asyncio.ensure_future(reader.read(1))  # a client that hangs up: nothing else is sent while an answer streams
        stream = asyncio.ensure_future(self._stream(asked, entry, writer))
        try:
            await asyncio.wait([gone, stream], return_when=asyncio.FIRST_COMPLETED)
            if not stream.done():
                self.hung_up += 1
            return stream.done() and await stream
        finally:
            for task in (gone, stream):
                task.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await task

    async def _stream(self, asked: dict[str, Any], entry: Any, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for data in self._events(asked, entry):
            if data is None:
                return False
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _events(self, asked: dict[str, Any], entry: Any) -> AsyncIterator[bytes | None]:
        """The lines of a stream; None breaks it off."""
        if isinstance(entry, bytes):
            yield b"data: " + entry + b"\n\n"
            yield b"data: [DONE]\n\n"
            return
        reply = entry if isinstance(entry, Reply) else Reply(entry if isinstance(entry, str) else entry.text)
        for sent, choice in enumerate(_choices(reply)):
            if isinstance(entry, (CutStream, Stall)) and sent > entry.pieces:
                if isinstance(entry, Stall):
                    await asyncio.Event().wait()
                yield None
                return
            yield _line(asked, {"choices": [choice]})
            if self.delay:
                await asyncio.sleep(self.delay)
        if (asked.get("stream_options") or {}).get("include_usage"):
            yield _line(asked, {"choices": [], "usage": _usage(asked, reply)})
        yield b"data: [DONE]\n\n"


def _choices(reply: Reply) -> Iterator[dict[str, Any]]:
    """The pieces of a streamed reply: one a word, and two for each call."""
    yield {"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}
    for piece in _WORDS.findall(reply.text):
        yield {"index": 0, "delta": {"content": piece}, "finish_reason": None}
    if reply.refusal:
        yield {"index": 0, "delta": {"refusal": reply.refusal}, "finish_reason": None}
    for number, call in enumerate(reply.tool_calls):
        half = len(call.arguments) // 2
        head = {"index": number, "id": call.id or f"call_{number}", "type": "function",
                "function": {"name": call.name, "arguments": call.arguments[:half]}}
        yield {"index": 0, "delta": {"tool_calls": [head]}, "finish_reason": None}
        tail = {"index": number, "function": {"arguments": call.arguments[half:]}}
        yield {"index": 0, "delta": {"tool_calls": [tail]}, "finish_reason": None}
    yield {"index": 0, "delta": {}, "finish_reason": _finish(reply)}


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.tool_calls and reply.finish == "stop" else reply.finish


def _line(asked: Mapping[str, Any], more: Mapping[str, Any]) -> bytes:
    record = {"id": "not-a-model", "object": "chat.completion.chunk", "created": 0, "model": asked["model"], **more}
    return b"data: " + json.dumps(record).encode() + b"\n\n"


def _whole(asked: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    """The answer to a request without ``stream``."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": reply.refusal or None}
    if reply.tool_calls:
        message["tool_calls"] = [
            {"id": call.id or f"call_{number}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for number, call in enumerate(reply.tool_calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    return {
        "id": "not-a-model", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice],
        "usage": _usage(asked, reply),
    }


def _usage(asked: Mapping[str, Any], reply: Reply) -> dict[str, int]:
    """A word is a token here."""
    sent = sum(len(str(message.get("content") or "").split()) for message in asked["messages"])
    came = len(reply.text.split()) + sum(len(call.arguments.split()) + 1 for call in reply.tool_calls)
    used = reply.usage or TokenUsage(sent, came)
    return {"prompt_tokens": used.input_tokens, "completion_tokens": used.output_tokens, "total_tokens": used.tokens}


def _send_json(writer: asyncio.StreamWriter, status: int, content: object, headers: Mapping[str, str] | None = None) -> bool:
    data = json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} -", "Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + data)
    return True


def _send_error(writer: asyncio.StreamWriter, status: int, message: str, headers: Mapping[str, str] | None = None) -> bool:
    return _send_json(writer, status, {"error": {"message": message, "type": "error", "code": status}}, headers)


# rules ---------------------------------------------------------------------------------------------------------------
def _by_rules(asked: Mapping[str, Any]) -> Reply:
    """What it answers without a script."""
    messages = asked["messages"]
    last = messages[-1]
    if last["role"] == "tool":
        results = [str(message["content"]) for message in messages[_question_at(messages) :] if message["role"] == "tool"]
        return Reply(f"{_SAYS} these are the results. {'; '.join(results)}")
    question = str(last.get("content") or "")
    quoted = re.findall(r'"([^"]+)"', question)
    subject = quoted[0] if quoted else question
    calls = [
        ToolCall(each["function"]["name"], _filled(each["function"]["parameters"], subject)) for each in asked.get("tools") or ()
        if each["function"]["name"].replace("_", " ") in question.replace("_", " ")
    ]
    if calls:
        return Reply(tool_calls=calls)
    wanted = (asked.get("response_format") or {}).get("json_schema")
    if wanted is not None:
        return Reply(json.dumps(_filled(wanted["schema"], cut_text(question, _TOLD))))
    return Reply(f"{_SAYS} {_documentation(question)}")


def _question_at(messages: list[Any]) -> int:
    return max((at for at, message in enumerate(messages) if message["role"] == "user"), default=0)


def _documentation(question: str) -> str:
    """The beginning of the documentation of the module that the question names last."""
    for word in reversed(re.findall(r"[a-z_]{3,}", question)):
        if word in sys.stdlib_module_names:
            with suppress(Exception):  # whatever a module raises that cannot be imported here
                return " ".join((inspect.getdoc(importlib.import_module(word)) or "").split()[:_READ])
    return "I read the beginning of a module's documentation when you name one, such as heapq."


def _filled(schema: Mapping[str, Any], text: str) -> Any:
    """A value that fits a schema: the text where one is asked for, else the first that is allowed."""
    if "enum" in schema:
        return next((value for value in schema["enum"] if str(value).lower() in text.lower()), schema["enum"][0])
    if "anyOf" in schema:
        return _filled(schema["anyOf"][0], text)
    kind = schema.get("type", "string")
    if kind == "object":
        wanted = schema.get("required") or ()
        return {name: _filled(field, text) for name, field in (schema.get("properties") or {}).items() if name in wanted}
    if kind == "array":
        return [_filled(schema.get("items") or {}, text)]
    words = text.split()
    return {"string": text, "integer": len(words), "number": float(len(words)), "boolean": "not" not in words}.get(kind)


def _main() -> None:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m pocketflex_nb.testing.not_a_model", description="A server that is not a model.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds between two pieces of a stream")
    parser.add_argument("--say", default=None, help="what it answers, always")
    options = parser.parse_args()
    server = NotAModel(None if options.say is None else lambda asked: options.say, delay=options.delay).start(options.port)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until whoever started it closes its end


if __name__ == "__main__":
    _main()
