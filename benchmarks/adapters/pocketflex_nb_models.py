"""This package's models and tools."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.adapters._model_server import SAYS, ask, client_of, served
from benchmarks.kit import Meter, entry

SYS = "pocketflex_nb"
CALLS, CONVERSATIONS = 200, 1_000


def _chat(url: str) -> Any:
    from pocketflex_nb import Flow
    from pocketflex_nb.llm import Chat, openai_model

    return Flow(Chat(openai_model("not-a-model", base_url=url, timeout=120), "What makes {what}?"), name="chat")


@entry("chat_1000", SYS, "Chat, launched", n=CONVERSATIONS, venv="venv-llm", marked=True)
def _(m: Meter) -> None:
    from pocketflex_nb import launch

    with served() as url:
        flow = _chat(url)
        launch([flow] * 100, {"what": "tides"}, show=False).wait(60)
        with m.timed():
            group = launch([(flow, {"what": "tides"})] * m.n, show=False).wait(200)
        m.check(all(run.store["answer"] == SAYS for run in group))


@entry("chat_call", SYS, "Chat, launched", n=CALLS, venv="venv-llm", marked=True)
def _(m: Meter) -> None:
    from pocketflex_nb.concurrency.engine_thread import engine_thread

    async def by_hand(times: int) -> float:
        client = client_of(url)
        for _ in range(20):
            await ask(client)
        begin = time.perf_counter()
        for _ in range(times):
            await ask(client)
        return (time.perf_counter() - begin) / times

    with served() as url:
        flow, wanted = _chat(url), []
        for _ in range(20):
            flow.launch({"what": "tides"}, show=False).wait(20)
        ours = bare = 1e9
        for _ in range(3):
            bare = min(bare, engine_thread.submit(by_hand(m.n // 3)).result(100))
            with m.timed():
                for _ in range(m.n // 3):
                    wanted.append(flow.launch({"what": "tides"}, show=False).wait(20).store["answer"])
            ours = min(ours, m.wall / (m.n // 3))
        m.extra |= {"overhead": (ours - bare) * 1e3, "bare": bare * 1e3}
        m.check(all(text == SAYS for text in wanted))


@entry("chat_first_token", SYS, "Chat, launched", n=50, venv="venv-llm", marked=True)
def _(m: Meter) -> None:
    from pocketflex_nb.testing import NotAModel

    sent: list[int] = []

    class Stamped(NotAModel):
        async def _events(self, asked: Any, reply: Any) -> Any:
            async for data in super()._events(asked, reply):
                if data is not None and b'"content"' in data and len(sent) < len(self.requests):
                    sent.append(time.perf_counter_ns())
                yield data

    with Stamped(lambda asked: SAYS) as server, m.timed():
        flow, seen = _chat(server.url), []
        for _ in range(m.n):
            run = flow.launch({"what": "tides"}, show=False).wait(20)
            seen.append(next(event.ns for event in run.events if event.get("stream") == "token"))
    m.extra["latency"] = sorted((there - here) / 1e6 for here, there in zip(sent, seen, strict=True))[int(m.n * 0.95)]
    m.check(len(seen) == m.n)


def _agent(at_once: int) -> Any:
    from pocketflex_nb.llm import Reply, tool, tool_agent

    @tool
    async def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    async def model(messages: Any, *, tools: Any = None, schema: Any = None) -> Reply:
        done = sum(message["role"] == "tool" for message in messages)
        return Reply("done") if done == 100 else Reply("", [("add", {"a": done, "b": n}) for n in range(at_once)])

    return tool_agent(model, "You add.", tools=[add], max_steps=200, name="desk")


@entry("tool_calls", SYS, "one after the other", n=100, venv="venv-llm", marked=True)
def _(m: Meter) -> None:
    _tool_calls(m, 1)


@entry("tool_calls", SYS, "all at once", n=100, venv="venv-llm", order=60)
def _(m: Meter) -> None:
    _tool_calls(m, 100)


def _tool_calls(m: Meter, at_once: int) -> None:
    agent = _agent(at_once)
    agent.launch({"question": "?"}, show=False).wait(30)
    with m.timed():
        run = agent.launch({"question": "?"}, show=False).wait(30)
    m.check(run.store["answer"] == "done")
