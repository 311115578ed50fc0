"""`openai_model`: any endpoint that speaks OpenAI's chat completions, asked through OpenAI's SDK. The one file that imports it.

Secrets stay here: the key is in no text, event or pickle of the model, and is cut out of what the provider answers.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from importlib import import_module
from importlib.util import find_spec
from time import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from weakref import finalize

from pocketflex_nb.concurrency.client_per_loop import ClientPerLoop
from pocketflex_nb.core.errors import MissingExtra, ModelError, nearest
from pocketflex_nb.core.value_text import cut_text, value_text
from pocketflex_nb.engine.control.throttling import Limiter
from pocketflex_nb.llm.errors import ModelBusy, ModelSetup, ModelUnreachable
from pocketflex_nb.llm.messages import Delta, Message, TokenUsage, ToolCallDelta

__all__ = ["OpenAIModel", "openai_model"]

#: statuses of a provider that may answer later
_BUSY = {408, 409, 425, 429, 500, 502, 503, 504, 529}
#: characters of what a provider says of an error
_SAID = 300
#: tokens that prices are given for
_PRICED = 1_000_000
#: the SDK wants a key; servers on this machine want none
_NO_KEY = "none"
#: options of the client, not of a request
_OF_CLIENT = {"timeout", "organization", "project", "default_headers", "default_query", "http_client"}


class _Endpoint:
    """Where a model is asked, with its secrets: one client for each loop. It knows no model, so that a model that is dropped is gone."""

    def __init__(self, key: str, options: dict[str, Any]) -> None:
        self.key, self._options = key, options
        self.clients = ClientPerLoop(self._connect, _close)

    async def _connect(self) -> Any:
        sdk: Any = await asyncio.to_thread(import_module, "openai")  # it takes a second: other runs go on meanwhile
        return sdk.AsyncOpenAI(api_key=self.key, max_retries=0, **self._options)


class OpenAIModel:
    """A model behind an OpenAI-compatible endpoint; made by `openai_model`.

    Attributes
    ----------
    name : str
        As the endpoint knows it.
    base_url : str
        The endpoint, without credentials; ``""`` for OpenAI's own.
    limiter : Limiter or None
        What each request enters.
    """

    def __init__(
        self, name: str, base_url: str | None, key: str, *, prices: tuple[float, float] | None, limiter: Limiter | None,
        client: dict[str, Any], defaults: dict[str, Any],
    ) -> None:
        self.name, self.base_url, self.limiter = name, _without_secrets(base_url or ""), limiter
        self._prices, self._defaults = prices, defaults
        self._endpoint = _Endpoint(key, {**client, "base_url": base_url} if base_url else client)
        finalize(self, self._endpoint.clients.close_soon).atexit = False

    def __repr__(self) -> str:
        return f"<OpenAIModel {self.name!r}{f' at {self.base_url}' if self.base_url else ''}>"

    def identity(self) -> dict[str, object]:
        """What its replies depend on, for caches: name, address, and what is sent with each request."""
        return {"model": self.name, "base_url": self.base_url, **{name: repr(value) for name, value in sorted(self._defaults.items())}}

    def __copy__(self) -> OpenAIModel:
        return self  # the provider behind it is the same for the copy of a flow

    def __deepcopy__(self, memo: object) -> OpenAIModel:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        plain = {option: value for option, value in self._defaults.items() if not option.startswith("extra_")}  # headers may hold a key
        return _again, (self.name, self.base_url, self._prices, plain)  # the key is read from the environment there

    async def __call__(
        self, messages: list[Message], *, tools: Sequence[Mapping[str, object]] | None = None, schema: Mapping[str, object] | None = None
    ) -> AsyncIterator[Delta]:
        """The reply as it streams.

        Parameters
        ----------
        messages : list of dict
            The conversation.
        tools : sequence of dict, optional
            What may be called.
        schema : mapping, optional
            JSON schema of the answer.

        Returns
        -------
        async iterator of Delta
            Closing it closes the connection.
        """
        request: dict[str, Any] = {
            "stream_options": {"include_usage": True}, **self._defaults, "model": self.name, "messages": messages, "stream": True,
        }
        if tools:
            request["tools"] = list(tools)
        if schema:
            request["response_format"] = {"type": "json_schema", "json_schema": _named_schema(schema)}
        client = await self._endpoint.clients.get()
        try:
            stream = await client.chat.completions.create(**request)
        except Exception as exc:
            raise await self._error(exc, client) from None  # the cause holds the request, and with it the key
        return self._deltas(stream)

    async def _deltas(self, stream: Any) -> AsyncIterator[Delta]:
        is_whole = False
        try:
            async for chunk in stream:
                for delta in self._read(chunk):
                    is_whole = is_whole or bool(delta.finish)
                    yield delta
        except (GeneratorExit, ModelError):
            raise
        except Exception as exc:
            raise await self._error(exc, None) from None
        finally:
            await stream.close()
        if not is_whole:
            raise ModelUnreachable(f"the stream of {self!r} ended before the reply was whole; ask again, such as by retry=Retry(3, wait=1)")

    def _read(self, chunk: Any) -> Iterator[Delta]:
        for choice in chunk.choices or ():
            delta = choice.delta
            calls = tuple(_call_delta(call) for call in (delta and delta.tool_calls) or ())
            yield Delta(
                (delta and delta.content) or "", calls, None, choice.finish_reason or "", getattr(delta, "refusal", None) or "",
            )
        if chunk.usage is not None:
            yield Delta(usage=self._usage(chunk.usage))

    def _usage(self, usage: Any) -> TokenUsage:
        sent, came = usage.prompt_tokens or 0, usage.completion_tokens or 0
        cost = 0.0 if self._prices is None else (sent * self._prices[0] + came * self._prices[1]) / _PRICED
        return TokenUsage(sent, came, cost)

    # errors ----------------------------------------------------------------------------------------------------------
    async def _error(self, exc: Exception, client: object) -> Exception:
        """An error of the SDK as one of ours, without secrets."""
        import openai

        if isinstance(exc, openai.APIStatusError):
            return await self._of_status(exc, client)
        said = self._clean(str(exc))
        where = self.base_url or "OpenAI"
        if isinstance(exc, openai.APITimeoutError):
            return ModelBusy(f"{self!r} did not answer in time; give it longer with openai_model(timeout=...), or ask again", status=0)
        if isinstance(exc, openai.APIConnectionError):
            mend = "is the server up, and the address right?"
            return ModelUnreachable(f"nobody answers at {where}, or the connection broke off ({said}); {mend}")
        if isinstance(exc, openai.OpenAIError):
            return ModelError(f"{self!r} answered with an error: {said}")
        if isinstance(exc, ValueError):  # what is sent as a chunk is no JSON
            return ModelUnreachable(f"{self!r} sent what cannot be read ({said}); is it an OpenAI-compatible endpoint?")
        return exc

    async def _of_status(self, exc: Any, client: object) -> Exception:
        status, said = exc.status_code, self._clean(_message_of(exc))
        if status in _BUSY:
            after = _seconds(exc.response.headers)
            told = "" if after is None else f", and asks to come back in {after:g} s"
            return ModelBusy(
                f"{self!r} is busy (HTTP {status}: {said}){told}; ask again: retry=Retry(4, wait=1, backoff=2, on=ModelBusy)",
                retry_after=after, status=status,
            )
        if status in (401, 403):
            return ModelSetup(f"{self!r} refuses the key (HTTP {status}: {said}); set OPENAI_API_KEY, or give openai_model(api_key=...)")
        if status == 404:
            known = await self._known(client)
            near = nearest(self.name, known) if known else "; check the name and base_url, which usually ends with /v1"
            return ModelSetup(f"{self.base_url or 'OpenAI'} has no model {self.name!r}{near} (HTTP 404: {said})")
        return ModelError(f"{self!r} refuses the request (HTTP {status}: {said})")

    async def _known(self, client: Any) -> list[str]:
        """The names of the models that the endpoint has, if it tells."""
        try:
            return [each.id async for each in client.models.list()]
        except Exception:  # it is asked for a better message only
            return []

    def _clean(self, text: str) -> str:
        """`text` without the key, cut."""
        key = self._endpoint.key
        if key != _NO_KEY:
            text = text.replace(key, "***")
            for at in range(8, min(len(key), 64)):  # providers quote its beginning and its end
                text = text.replace(key[:at] + "*", "***").replace("*" + key[-at:], "***") if "*" in text else text
        return cut_text(" ".join(text.split()), _SAID)


def _call_delta(call: Any) -> ToolCallDelta:
    function = call.function
    name, arguments = ("", "") if function is None else (function.name or "", function.arguments or "")
    return ToolCallDelta(call.index or 0, name, arguments, call.id or "")


async def _close(client: Any) -> None:
    await client.close()


def _again(name: str, base_url: str, prices: tuple[float, float] | None, defaults: dict[str, Any]) -> OpenAIModel:
    """A model that was pickled, with the key of this environment."""
    return openai_model(name, base_url=base_url or None, prices=prices, **defaults)


def _message_of(exc: Any) -> str:
    body = exc.body
    inner = body.get("message") if isinstance(body, Mapping) else None
    return str(inner or getattr(exc, "message", "") or exc)


def _seconds(headers: Mapping[str, str]) -> float | None:
    """The seconds of Retry-After, which are a number or a date."""
    milliseconds, given = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds:
            return max(float(milliseconds) / 1000, 0.0)
        return max(float(given), 0.0) if given and math.isfinite(float(given)) else None
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(str(given)).timestamp() - time(), 0.0)
    except ValueError:
        return None


def _named_schema(schema: Mapping[str, object]) -> dict[str, object]:
    name = "".join(mark if mark.isalnum() or mark in "_-" else "_" for mark in str(schema.get("title") or "answer"))[:64]
    return {"name": name, "schema": dict(schema), "strict": _is_strict(schema)}


def _is_strict(schema: object) -> bool:
    """Whether every object in it names all its fields as required, which strict mode asks for."""
    if isinstance(schema, Mapping):
        fields = schema.get("properties")
        if isinstance(fields, Mapping):
            is_closed = schema.get("additionalProperties") is False
            if not is_closed or set(fields) != set(schema.get("required") or ()):
                return False
        if schema.get("type") == "object" and not isinstance(fields, Mapping):
            return False
        return all(map(_is_strict, schema.values()))
    return all(map(_is_strict, schema)) if isinstance(schema, list) else True


def _without_secrets(url: str) -> str:
    """An address without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def openai_model(
    model: str | None = None, *, base_url: str | None = None, api_key: str | None = None, prices: tuple[float, float] | None = None,
    limiter: Limiter | None = None, **defaults: object,
) -> OpenAIModel:
    """A model behind any endpoint that speaks OpenAI's chat completions.

    Parameters
    ----------
    model : str, optional
        Its name; default: the environment's ``OPENAI_MODEL``.
    base_url : str, optional
        The endpoint, such as ``"http://127.0.0.1:8080/v1"``; default: ``OPENAI_BASE_URL``, else OpenAI's own.
    api_key : str, optional
        Default: ``OPENAI_API_KEY``; an endpoint that is named needs none.
    prices : (float, float), optional
        What a million tokens cost, those that are sent and those that come back: costs are counted against budgets then.
    limiter : Limiter, optional
        Shared by all who ask; counts requests, and tokens with ``Limiter(..., tokens=)``.
    **defaults
        Sent with each request: ``temperature=0``, ``max_tokens=500``; ``timeout=`` in seconds.

    Returns
    -------
    OpenAIModel
        For `Chat` and `tool_agent`.

    Raises
    ------
    ModelSetup
        There is no endpoint, no key or no name. Nothing was asked.
    MissingExtra
        The SDK is not installed.

    Notes
    -----
    When it is asked: a busy provider is `ModelBusy` with its Retry-After, which `Retry` honours; nobody there is `ModelUnreachable`; a
    refused key or an unknown model is `ModelSetup`. The SDK's own retries are off.

    Examples
    --------
    >>> model = openai_model("small", base_url="http://127.0.0.1:8080/v1", temperature=0)
    >>> model
    <OpenAIModel 'small' at http://127.0.0.1:8080/v1>
    """
    if find_spec("openai") is None:
        raise MissingExtra("openai_model() needs the package openai: pip install 'pocketflex_nb[llm]'", extra="llm")
    for what, given in (("model", model), ("base_url", base_url), ("api_key", api_key)):
        if given is not None and not isinstance(given, str):
            raise TypeError(f"openai_model({what}=...): a text is needed, not one of type {type(given).__name__}")
    base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
    key = api_key or os.environ.get("OPENAI_API_KEY") or ""
    name = model or os.environ.get("OPENAI_MODEL") or ""
    if base_url is None and not key:
        raise ModelSetup(
            "openai_model(): no endpoint and no key; set OPENAI_API_KEY for OpenAI's own, or name a server: "
            "openai_model('its-model', base_url='http://127.0.0.1:8080/v1')"
        )
    if base_url is not None and urlsplit(base_url).scheme not in ("http", "https"):
        raise ModelSetup(f"openai_model(base_url={_without_secrets(base_url)!r}): an address such as 'http://127.0.0.1:8080/v1' is needed")
    if not name:
        raise ModelSetup("openai_model(): which model? set OPENAI_MODEL, or give its name: openai_model('gpt-…')")
    if limiter is not None and not hasattr(limiter, "spend"):
        raise TypeError(f"openai_model(limiter={value_text(limiter, 60)}): a Limiter is needed")
    client = {option: defaults.pop(option) for option in _OF_CLIENT & set(defaults)}
    return OpenAIModel(
        name, base_url, key or _NO_KEY, prices=_checked_prices(prices), limiter=limiter, client=client, defaults=defaults,
    )


def _checked_prices(prices: Any) -> tuple[float, float] | None:
    if prices is None:
        return None
    try:
        sent, came = map(float, prices)
    except (TypeError, ValueError):
        sent = came = -1.0
    if sent < 0 or came < 0:
        told = "two numbers, for a million tokens sent and for a million that come back"
        raise ValueError(f"openai_model(prices={value_text(prices, 60)}): {told}")
    return sent, came
