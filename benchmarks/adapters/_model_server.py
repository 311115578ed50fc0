"""The server that is not a model, in a process of its own, for bare clients and for ours."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["SAYS", "ask", "client_of", "served"]

SAYS = "The tides follow the moon and the sun, which pull at the sea twice a day while the earth turns below."


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The address of a server that always says the same."""
    command = [sys.executable, "-m", "pocketflex_nb.testing.not_a_model", "--say", SAYS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def client_of(url: str) -> object:
    """The bare client."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)


async def ask(client: object) -> str:
    """One conversation by hand: the stream's pieces, put together."""
    stream = await client.chat.completions.create(  # type: ignore[attr-defined]
        model="not-a-model", messages=[{"role": "user", "content": "What makes tides?"}], stream=True,
        stream_options={"include_usage": True},
    )
    pieces = []
    async for chunk in stream:
        for choice in chunk.choices:
            if choice.delta.content:
                pieces.append(choice.delta.content)
    return "".join(pieces)
