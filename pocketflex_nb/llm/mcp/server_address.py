"""Where an MCP server is: a command to start, an address, or an object of this process. The file that imports the SDK's transports."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.llm.errors import ToolServerError

__all__ = ["ServerAddress"]


class ServerAddress:
    """A server that can be connected to, again and again.

    Parameters
    ----------
    source : str, sequence of str, or object
        A command (``"python server.py"``, or its words), an address (``"http://127.0.0.1:8000/mcp"``), or a server of the SDK.
    env : mapping, optional
        More environment variables for a command.
    cwd : path, optional
        The folder that a command starts in.

    Attributes
    ----------
    text : str
        For messages: without what may be secret.
    mend : str
        What to look at when nobody answers.
    """

    def __init__(self, source: Any, *, env: Mapping[str, str] | None = None, cwd: str | os.PathLike[str] | None = None) -> None:
        self.source, self.env, self.cwd = source, env, cwd
        self.words: list[str] = []
        if isinstance(source, str) and urlsplit(source).scheme in ("http", "https"):
            parts = urlsplit(source)
            self.text = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
            self.mend = "is it up, and does the address end in /mcp?"
        elif isinstance(source, str) or (isinstance(source, Sequence) and source and all(isinstance(word, str) for word in source)):
            self.words = shlex.split(source, posix=os.name != "nt") if isinstance(source, str) else list(source)
            if not self.words:
                raise ToolServerError("mcp_tools(''): a command such as 'python server.py', an address or a server object is needed")
            self.text = self.words[0] if len(self.words) == 1 else f"{self.words[0]} …"
            self.mend = "does the command run in a terminal, and does it speak MCP on its output?"
        elif hasattr(source, "_lowlevel_server") or hasattr(source, "get_capabilities"):
            self.text, self.mend = f"{type(source).__name__} {getattr(source, 'name', '')!r}", "is it a server of the SDK?"
        else:
            raise ToolServerError(
                f"mcp_tools({value_text(source, 60)}): a command such as 'python server.py', an address or a server object is needed"
            )

    @asynccontextmanager
    async def target(self, ended: Callable[[], object]) -> AsyncIterator[Any]:
        """What the SDK's client takes; `ended` is called when a started command ends by itself."""
        if not self.words:
            yield self.source
            return
        from mcp import StdioServerParameters

        folder = None if self.cwd is None else os.fspath(self.cwd)
        parameters = StdioServerParameters(command=self.words[0], args=self.words[1:], env=dict(self.env or {}), cwd=folder)
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            try:
                yield _watched(parameters, said, ended)
            except Exception as exc:
                said.seek(0)
                if words := said.read().strip():
                    raise ToolServerError(f"{exc or type(exc).__name__}; it said: {words[-400:]}") from exc
                raise


@asynccontextmanager
async def _watched(parameters: Any, said: Any, ended: Callable[[], object]) -> AsyncIterator[tuple[Any, Any]]:
    from mcp import stdio_client

    async with stdio_client(parameters, errlog=said) as (read, write):
        yield _Watched(read, ended), write


class _Watched:
    """A stream of messages that tells when it ends."""

    def __init__(self, stream: Any, ended: Callable[[], object]) -> None:
        self._stream, self._ended = stream, ended

    async def __aenter__(self) -> Any:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
