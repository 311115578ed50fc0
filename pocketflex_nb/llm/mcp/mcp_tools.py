"""`mcp_tools`: the tools of an MCP server, for a `tool_agent`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pocketflex_nb.agents.protocol.errors import StartError
from pocketflex_nb.agents.supervision.child_spec import child
from pocketflex_nb.agents.supervision.supervisor import Supervisor
from pocketflex_nb.core.errors import MissingExtra
from pocketflex_nb.llm.errors import ToolServerError
from pocketflex_nb.llm.mcp.connection import Connection, ConnectionAgent
from pocketflex_nb.llm.mcp.server_address import ServerAddress
from pocketflex_nb.llm.tools.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["McpTools", "mcp_tools"]


class McpTools:
    """The connection behind `mcp_tools`: an async context manager that gives the list of tools."""

    def __init__(self, address: ServerAddress, *, timeout: float | None, max_retries: int) -> None:
        self._address, self._timeout, self._max_retries = address, timeout, max_retries
        self._supervisor: Any = None

    def __repr__(self) -> str:
        return f"<McpTools of {self._address.text!r}>"

    async def __aenter__(self) -> list[Tool]:
        if self._supervisor is not None:
            raise ToolServerError(f"{self!r} is connected already; make another: mcp_tools(...)")
        connection = Connection(self._address)
        supervisor = Supervisor([child(ConnectionAgent, connection, id="mcp", shutdown=15.0)])
        try:
            await supervisor.start()
        except StartError as exc:
            cause = getattr(exc.reason, "exc", None) or getattr(exc.reason, "error", None) or exc.__cause__
            raise (cause if isinstance(cause, ToolServerError) else exc) from None
        self._supervisor = supervisor
        return [self._tool(connection, each) for each in connection.specifications]

    async def __aexit__(self, *error: object) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.stop()

    def _tool(self, connection: Connection, told: Any) -> Tool:
        schema = {"type": "object", "properties": {}, **told.input_schema}
        return Tool(_caller(connection, told.name), told.name, told.description or told.title or "", schema,
                    timeout=self._timeout, max_retries=self._max_retries)


def _caller(connection: Connection, name: str) -> Callable[..., Any]:
    async def call(**arguments: Any) -> str:
        loop = connection.loop
        if loop is None or loop is asyncio.get_running_loop():
            return await connection.call(name, arguments)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(connection.call(name, arguments), loop))

    call.__name__ = call.__qualname__ = name
    return call


def mcp_tools(
    server: object, *, env: Mapping[str, str] | None = None, cwd: str | os.PathLike[str] | None = None, timeout: float | None = None,
    max_retries: int = 2,
) -> McpTools:
    """The tools of an MCP server: ``async with mcp_tools("python server.py") as tools: ...``.

    Parameters
    ----------
    server : str, sequence of str, or object
        A command that speaks MCP on its input and output, an address such as ``"http://127.0.0.1:8000/mcp"``, or a server object of the
        SDK in this process.
    env : mapping, optional
        More environment variables for a command. It gets few of this process's: no key reaches it by accident.
    cwd : path, optional
        The folder that a command starts in.
    timeout : float, optional
        Seconds that a call may take.
    max_retries : int
        Tries of a call in all: the second one meets a server that was lost and is back.

    Returns
    -------
    McpTools
        An async context manager; it gives a list of `Tool`.

    Raises
    ------
    ToolServerError
        Nobody answers there, or it is no server.
    MissingExtra
        The SDK is not installed.

    Notes
    -----
    A supervised agent owns the connection and makes it again when it breaks; a call that comes meanwhile waits up to 10 s. A call that is
    cancelled is cancelled at the server. What the server asks a person is asked by the run that called (`ask`); its progress is the run's.

    Examples
    --------
    >>> mcp_tools("python server.py")
    <McpTools of 'python …'>
    """
    if find_spec("mcp") is None:
        raise MissingExtra("mcp_tools() needs the package mcp: pip install 'pocketflex_nb[mcp]'", extra="mcp")
    if not isinstance(max_retries, int) or max_retries < 1:
        raise ValueError(f"mcp_tools(max_retries={max_retries!r}): at least 1 try is needed")
    return McpTools(ServerAddress(server, env=env, cwd=cwd), timeout=timeout, max_retries=max_retries)
