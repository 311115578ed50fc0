"""Flows served over MCP, called by the SDK's own client: over http and stdio, as clients of today and of before do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import ElicitResult

from pocketflex_nb import Flow, runs
from pocketflex_nb.llm import BadTool, serve_mcp, tool
from tests.environment import ROOT, free_port
from tests.llm.mcp.served import FLOWS, double, twice

COMMAND = [sys.executable, "-m", "pocketflex_nb", "serve", *(f"{name}=tests.llm.mcp.served:{name}" for name in FLOWS)]
WAYS = [(transport, mode) for transport in ("http", "stdio") for mode in ("auto", "legacy")]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_mcp(FLOWS) as server:
        assert server is not None
        yield server.url


@pytest.fixture(params=WAYS, ids=["-".join(way) for way in WAYS])
def connect(request: pytest.FixtureRequest, url: str) -> Any:
    transport, mode = request.param

    @asynccontextmanager
    async def connected(**options: Any) -> AsyncIterator[Client]:
        target: Any = url if transport == "http" else StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], cwd=ROOT)
        async with Client(target, mode=mode, **options) as client:
            yield client

    return connected


def text(result: Any) -> str:
    return str(result.content[0].text)


def person(*answers: Any) -> Any:
    """Answers of a person in turn; what was asked stands in `asked`."""
    left, asked = list(answers), []

    async def answer(context: object, params: Any) -> ElicitResult:
        asked.append((params.message, params.requested_schema["properties"]))
        said = left.pop(0)
        return ElicitResult(action=said) if said in ("decline", "cancel") else ElicitResult(action="accept", content=said)

    answer.asked = asked  # type: ignore[attr-defined]
    return answer


def test_a_flow_is_a_tool_with_its_questions_and_its_progress(connect: Any) -> None:
    told, asks = [], person({"answer": "yes"}, {"answer": 3})

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, message))

    async def main() -> Any:
        async with connect(elicitation_callback=asks) as client:
            listed = {each.name: each.input_schema for each in (await client.list_tools()).tools}
            return listed, await client.call_tool("research", {"topic": "tides"}, progress_callback=progress)

    listed, result = asyncio.run(main())

    assert set(listed) == set(FLOWS)
    assert (set(listed["research"]["properties"]), listed["research"]["required"]) == ({"topic", "depth"}, ["topic"])
    assert (text(result), result.is_error) == ("tides at depth 2: yes, 3", False)
    assert asks.asked == [
        ("Publish?", {"answer": {"type": "string", "enum": ["yes", "no"]}}), ("How many copies?", {"answer": {"type": "integer"}}),
    ]
    assert told[0] == (1.0, "Draft#1: 1 of 4")
    assert [done for done, _ in told] == sorted({done for done, _ in told})  # it only grows


def test_what_goes_wrong_is_told_to_the_model_and_nothing_is_left(connect: Any) -> None:
    cases = [
        ("research", {}, "research needs the argument 'topic'"), ("twice", {"numbr": 1}, "twice has no parameter 'numbr'"),
        ("broken", {"number": 1}, "ZeroDivisionError: division by zero"), ("nobody", {}, "there is no tool 'nobody'"),
        ("research", {"topic": "tides"}, "asks a person ('Publish?'), and the client cannot"),
    ]

    async def main() -> list[Any]:
        async with connect() as client:
            return [await client.call_tool(name, given) for name, given, _ in cases]

    for result, (_, _, told) in zip(asyncio.run(main()), cases, strict=True):
        assert result.is_error
        assert told in text(result)
    assert not runs(live=True)


@pytest.mark.parametrize("says", ["decline", "cancel"])
def test_a_person_who_gives_no_answer_ends_the_call(connect: Any, says: str) -> None:
    async def main() -> Any:
        async with connect(elicitation_callback=person(says)) as client:
            return await client.call_tool("research", {"topic": "tides"})

    result = asyncio.run(main())

    assert result.is_error
    assert text(result) == "the person gave no answer to 'Publish?'"
    assert not runs(live=True)


def test_an_answer_that_does_not_fit_is_asked_again(connect: Any) -> None:
    asks = person({"answer": "no"}, {"answer": "many"}, {"answer": 7})

    async def main() -> Any:
        async with connect(elicitation_callback=asks) as client:
            return await client.call_tool("research", {"topic": "tides", "depth": 1})

    assert text(asyncio.run(main())) == "tides at depth 1: no, 7"
    assert asks.asked[2][0].endswith("\nHow many copies?")


def test_a_cancelled_call_cancels_its_run(url: str) -> None:
    async def main() -> None:
        async with Client(url) as client:
            call = asyncio.ensure_future(client.call_tool("wait", {}))
            while not runs(live=True):
                await asyncio.sleep(0.01)
            call.cancel()
            while runs(live=True):
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))

    assert runs()[-1].status == "cancelled"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_closed_server_leaves_no_run_that_waits_for_a_person(mode: Any) -> None:
    async def never(context: object, params: object) -> Any:
        await asyncio.sleep(600)

    async def main() -> None:
        server = serve_mcp(FLOWS)
        assert server is not None

        async def call() -> None:
            async with Client(server.url, mode=mode, elicitation_callback=never) as client:
                await client.call_tool("research", {"topic": "tides"})

        waiting = asyncio.ensure_future(call())
        while not any(run.status == "asking" for run in runs(live=True)):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.close)
        while runs(live=True):
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_many_calls_run_at_once(url: str) -> None:
    async def main() -> list[Any]:
        async with Client(url) as client:
            return await asyncio.gather(*(client.call_tool("twice", {"number": number}) for number in range(50)))

    assert [text(result) for result in asyncio.run(main())] == [str(2 * number) for number in range(50)]


def test_functions_and_tools_are_served_too() -> None:
    @tool
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    async def shout(text: str) -> str:
        """Say it aloud."""
        return text.upper()

    async def main(url: str) -> list[str]:
        async with Client(url) as client:
            return [text(await client.call_tool("plus", {"a": 2})), text(await client.call_tool("loud", {"text": "hi"}))]

    with serve_mcp({"plus": add, "loud": shout}) as server:
        assert server is not None
        assert asyncio.run(main(server.url)) == ["3", "HI"]
    assert repr(server) == f"<McpServer at {server.url}: plus, loud, closed>"


@pytest.mark.parametrize(("flows", "told"), [
    ({}, "names and flows are needed"), ([twice], "names and flows are needed"),
    ({"x": 7}, "a function, a Flow or an agent's ref is needed"),
])
def test_what_cannot_be_served_is_refused_before_anything_starts(flows: Any, told: str) -> None:
    with pytest.raises(BadTool, match=told):
        serve_mcp(flows)


def test_an_unknown_transport_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"serve_mcp\(transport='htp'\).*http"):
        serve_mcp({"twice": twice}, "htp")


def test_a_taken_port_is_an_error_of_the_system(url: str) -> None:
    port = int(url.rpartition(":")[2].partition("/")[0])

    with pytest.raises(OSError, match="in use"):
        serve_mcp({"twice": twice}, port=port)


def test_the_command_serves_over_http_until_it_is_ended() -> None:
    port = free_port()
    command = [sys.executable, "-m", "pocketflex_nb", "serve", "tests.llm.mcp.served:twice", "--http", str(port)]

    async def main(url: str) -> str:
        async with Client(url) as client:
            return text(await client.call_tool("twice", {"number": 4}))

    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        assert server.stderr.readline() == f"http://127.0.0.1:{port}/mcp: twice (Ctrl-C ends it)\n"
        assert asyncio.run(main(f"http://127.0.0.1:{port}/mcp")) == "8"
        server.terminate()


@pytest.mark.parametrize(("words", "told"), [
    (["nowhere:flow"], "No module named 'nowhere'"), (["tests.llm.mcp.served"], "a module and a flow in it are needed"),
    (["tests.llm.mcp.served:twize"], "has no 'twize'; did you mean 'twice'?"),
    (["tests.llm.mcp.served:twice", "--http", "here"], "a port such as 8000"),
])
def test_the_command_says_what_is_wrong_in_a_line(words: list[str], told: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pocketflex_nb", "serve", *words], cwd=ROOT, capture_output=True, text=True, check=False,
                          timeout=50)

    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_flow_of_declared_inputs_gives_its_declared_outputs() -> None:
    flow = Flow(double, name="declared", inputs=["number"], outputs=["twice"])

    async def main(url: str) -> str:
        async with Client(url) as client:
            return text(await client.call_tool("declared", {"number": "ab"}))

    with serve_mcp({"declared": flow}) as server:
        assert server is not None
        assert asyncio.run(main(server.url)) == "abab"
