"""A model's client by hand."""

from __future__ import annotations

from benchmarks.adapters._model_server import SAYS, ask, client_of, served
from benchmarks.kit import Meter, entry, run_asyncio

CONVERSATIONS = 1_000


@entry("chat_1000", "bare Python", "asyncio tasks, openai", n=CONVERSATIONS, venv="venv-llm", limit=True, order=0)
def _(m: Meter) -> None:
    async def main() -> None:
        import asyncio

        client = client_of(url)
        await asyncio.gather(*(ask(client) for _ in range(100)))
        with m.timed():
            said = await asyncio.gather(*(ask(client) for _ in range(m.n)))
        m.check(all(text == SAYS for text in said))

    with served() as url:
        run_asyncio(main)
