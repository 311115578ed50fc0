"""One connection to an MCP server, kept by a supervised agent: made again when it breaks. The file that imports the SDK's client.

The SDK's cancel scopes must be left in the task that entered them, so one task of the agent's loop enters and leaves the connection;
calls are tasks of their own beside it.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from pocketflex_nb.agents.actor.agent import Agent
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.errors import CannotAsk
from pocketflex_nb.core.value_text import cut_text
from pocketflex_nb.engine.control.ask import ask_awaited
from pocketflex_nb.engine.records.emit import emit
from pocketflex_nb.llm.errors import ToolServerError, ToolServerLost
from pocketflex_nb.llm.mcp.server_address import ServerAddress

__all__ = ["Connection", "ConnectionAgent"]

#: seconds between two attempts to connect again: at first, and at most
_WAITS = (0.1, 5.0)
#: seconds that a call waits for a connection that is being made again
_PATIENCE = 10.0
#: characters of what a server says of an error
_SAID = 400
#: types of a form's fields
_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool}


class Connection:
    """A client of one server, while `hold` runs.

    Attributes
    ----------
    address : ServerAddress
        Where the server is.
    loop : asyncio.AbstractEventLoop or None
        The loop that it lives on, once it has been made.
    specifications : list
        The server's tools, as it names them.
    """

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.loop: asyncio.AbstractEventLoop | None = None
        self.specifications: list[Any] = []
        self._client: Any = None
        self._up, self._lost, self._stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._calls: dict[int, contextvars.Context] = {}

    async def hold(self, first: asyncio.Future[None]) -> None:
        """Keep the connection until `stop`; `first` is settled when it is made, or cannot be."""
        wait = _WAITS[0]
        self._stopped.clear()
        while not self._stopped.is_set():
            try:
                async with self._connected() as client:
                    self.specifications = await _tools_of(client)
                    self._client, wait = client, _WAITS[0]
                    self._up.set()
                    if not first.done():
                        first.set_result(None)
                    await _either(self._lost, self._stopped)
            except Exception as exc:
                if not first.done():
                    first.set_exception(self._cannot_connect(exc))
                    return
            finally:
                self._client = None
                self._up.clear()
                self._lost.clear()
            if not self._stopped.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), wait)
                wait = min(2 * wait, _WAITS[1])

    def stop(self) -> None:
        """Let `hold` leave the connection and end."""
        self._stopped.set()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        from mcp import Client

        self.loop = asyncio.get_running_loop()
        async with self.address.target(self._break_off) as target, Client(target, elicitation_callback=self._ask) as client:
            yield client

    def _break_off(self) -> None:
        """The connection is of no use any more: calls wait from now on, and `hold` makes another."""
        self._up.clear()
        self._lost.set()

    def _cannot_connect(self, exc: BaseException) -> ToolServerError:
        while isinstance(exc, BaseExceptionGroup):
            exc = exc.exceptions[0]
        return ToolServerError(f"mcp_tools({self.address.text!r}): no MCP server answers ({_words(exc)}); {self.address.mend}")

    # calls -----------------------------------------------------------------------------------------------------------
    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What a tool of the server gives, as text.

        Raises
        ------
        ToolServerLost
            The connection broke off, and was not back in time.
        ToolServerError
            The tool, or the server, reports an error.
        """
        if not self._up.is_set():
            await self._wait_for_it(name)
        number = id(asyncio.current_task())
        self._calls[number] = contextvars.copy_context()
        try:
            result = await self._client.call_tool(name, dict(arguments), progress_callback=_tell_progress)
        except Exception as exc:
            raise self._failed(name, exc) from None
        finally:
            del self._calls[number]
        text = _text_of(result)
        if result.is_error:
            raise ToolServerError(text or f"{name} reports an error without a text")
        return text

    async def _wait_for_it(self, name: str) -> None:
        try:
            await asyncio.wait_for(self._up.wait(), _PATIENCE)
        except TimeoutError:
            gone = f"{name}: the MCP server {self.address.text!r} is gone, and was not back in {_PATIENCE:g} s"
            raise ToolServerLost(f"{gone}; {self.address.mend}") from None

    def _failed(self, name: str, exc: Exception) -> Exception:
        from mcp.shared.exceptions import MCPError
        from mcp.types import CONNECTION_CLOSED

        if isinstance(exc, MCPError) and exc.code != CONNECTION_CLOSED and "terminated" not in exc.message.lower():
            return ToolServerError(f"{name}: {_words(exc)}")
        self._break_off()
        return ToolServerLost(f"{name}: the connection to the MCP server {self.address.text!r} broke off ({_words(exc)}); call it again")

    # questions -------------------------------------------------------------------------------------------------------
    async def _ask(self, context: object, params: Any) -> Any:
        """A server's question to a person: asked by the run that calls."""
        from mcp.types import ElicitResult

        around = contextvars.copy_context()
        if CURRENT_FRAME.get() is None:  # older servers ask beside the call, not within it
            if len(self._calls) != 1:
                return ElicitResult(action="decline")
            (around,) = self._calls.values()
        schema = getattr(params, "requested_schema", None)
        if schema is None or around.get(CURRENT_FRAME) is None:
            return ElicitResult(action="decline")
        try:
            content = await asyncio.get_running_loop().create_task(_asked(params.message, schema), context=around)
        except CannotAsk:
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content=content)


async def _asked(message: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties", {})
    if len(fields) == 1:
        ((name, field),) = fields.items()
        choices = field.get("enum") or [one["const"] for one in field.get("oneOf", ())]
        if choices:
            return {name: await ask_awaited(message, choices)}
        return {name: await ask_awaited(message, schema=_TYPES.get(field.get("type"), str))}
    given = await ask_awaited(message, schema={name: _TYPES.get(field.get("type"), str) for name, field in fields.items()})
    return dict(given)


async def _tell_progress(done: float, total: float | None, message: str | None) -> None:
    emit("progress", message, done=done, **({} if total is None else {"total": total}))


async def _tools_of(client: Any) -> list[Any]:
    found, cursor = [], None
    while True:
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor:
            return found


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _text_of(result: Any) -> str:
    parts = [part.text if part.type == "text" else f"[{part.type}: {getattr(part, 'mime_type', '')}]" for part in result.content]
    if not parts and result.structured_content is not None:
        from json import dumps

        return dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


def _words(exc: BaseException) -> str:
    return cut_text(str(exc) or type(exc).__name__, _SAID)


class ConnectionAgent(Agent):
    """Owns a `Connection`; its supervisor starts it anew should it fail."""

    async def init(self, connection: Connection) -> None:
        """Connect, and stay connected."""
        self.connection = connection
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task = asyncio.get_running_loop().create_task(connection.hold(first))
        await first

    async def terminate(self, reason: object) -> None:
        """Leave the connection, in the task that entered it."""
        self.connection.stop()
        await asyncio.wait([self.task], timeout=10)
