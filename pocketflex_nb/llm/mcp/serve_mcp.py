"""`serve_mcp`: flows as tools of an MCP server, over standard input and output or http."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any
from weakref import finalize

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import Latch, wait_in_slices
from pocketflex_nb.core.errors import MissingExtra, nearest
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.llm.mcp.served_calls import ServedCalls
from pocketflex_nb.llm.mcp.served_tools import served_tools

__all__ = ["McpServer", "serve_mcp"]

_TRANSPORTS = ("stdio", "http")
#: seconds for requests that are still answered when the server is closed
_GRACE = 2


class McpServer:
    """A server that `serve_mcp` started over http; it serves until `close`, or until it is garbage.

    Attributes
    ----------
    url : str
        Where clients find it.
    tools : tuple of str
        Names of its tools.
    """

    def __init__(self, calls: ServedCalls, host: str, port: int) -> None:
        self.tools = tuple(calls.tools)
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{listening.getsockname()[1]}/mcp"
        http = _http_server(calls, host)
        self._over = Latch()
        engine_thread.submit(http.serve(sockets=[listening])).add_done_callback(self._over.open)
        self._end = finalize(self, _stop, http, calls)

    def __repr__(self) -> str:
        return f"<McpServer at {self.url}: {', '.join(self.tools)}{'' if self._end.alive else ', closed'}>"

    def __enter__(self) -> McpServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def wait(self) -> None:
        """Block until it is closed; the stop button or Ctrl-C closes it."""
        try:
            wait_in_slices(self._over.wait)
        finally:
            self.close()

    def close(self) -> None:
        """Stop serving; runs that are still being waited for are cancelled."""
        self._end()
        if not engine_thread.is_here:
            wait_in_slices(self._over.wait)


def _stop(http: Any, calls: ServedCalls) -> None:
    http.should_exit = True
    calls.close()


def _http_server(calls: ServedCalls, host: str) -> Any:
    import uvicorn

    app = _sdk_server(calls).streamable_http_app(host=host)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=_GRACE, ws="none")
    return uvicorn.Server(config)


def _sdk_server(calls: ServedCalls) -> Any:
    from mcp.server import Server

    return Server(calls.name, version=version("pocketflex_nb"), on_list_tools=calls.list_tools, on_call_tool=calls.call_tool)


async def _serve_stdio(calls: ServedCalls) -> None:
    from mcp.server.stdio import stdio_server

    server = _sdk_server(calls)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def serve_mcp(
    flows: Mapping[str, Any], transport: str = "http", *, host: str = "127.0.0.1", port: int = 0, name: str = "pocketflex_nb",
) -> McpServer | None:
    """Serve flows as tools of the Model Context Protocol.

    Parameters
    ----------
    flows : mapping of str to Flow
        Name of each tool, and the flow that a call runs on a store of its own; what `tool` takes is served too. A flow's parameters are
        its ``inputs=``, else the keys that it reads; its result is its ``outputs=``, else the keys that it wrote.
    transport : "http" or "stdio"
        ``"http"`` serves on the engine thread and returns at once. ``"stdio"`` serves the process's standard input and output, and
        returns when the client is gone: for a script that a client starts, such as ``python -m pocketflex_nb serve module:flow``. What
        steps print goes to the standard error output then.
    host, port : str, int
        Where to listen; port 0 takes a free one. Whoever reaches another host than the loopback address can call the tools.
    name : str
        The server's name.

    Returns
    -------
    McpServer or None
        With `url` and ``close()``; None after ``"stdio"``.

    Raises
    ------
    BadTool
        One cannot be a tool.
    MissingExtra
        The SDK is not installed.

    Notes
    -----
    Finished nodes and ``emit("progress", ...)`` are told as progress. `ask` becomes an elicitation, and a client that cannot ask a person
    gets an error that says so. A call that the client cancels cancels its run. Runs are in `runs()`, as any other.

    Examples
    --------
    >>> from pocketflex_nb import Flow, node
    >>> from pocketflex_nb.llm import mcp_tools, serve_mcp
    >>> @node
    ... def double(shared):
    ...     shared["twice"] = 2 * shared["number"]
    >>> async def main(url):
    ...     async with mcp_tools(url) as (twice,):
    ...         return await twice(number=21)
    >>> import asyncio
    >>> with serve_mcp({"twice": Flow(double)}) as server:
    ...     asyncio.run(main(server.url))
    '42'
    """
    if find_spec("mcp") is None:
        raise MissingExtra("serve_mcp() needs the package mcp: pip install 'pocketflex_nb[mcp]'", extra="mcp")
    if transport not in _TRANSPORTS:
        raise ValueError(f"serve_mcp(transport={value_text(transport, 60)}){nearest(str(transport), _TRANSPORTS)}")
    calls = ServedCalls(served_tools(flows), name)
    if transport == "http":
        return McpServer(calls, host, port)
    asyncio.run(_serve_stdio(calls))
    return None
