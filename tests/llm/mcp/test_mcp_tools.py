"""Tools of MCP servers, used by flows: servers that are killed and come back, calls that are cancelled, questions, and bad addresses."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from pocketflex_nb import Flow, Node, runs
from pocketflex_nb.llm import Reply, ToolServerError, ToolServerLost, mcp_tools, serve_mcp, tool_agent
from tests.environment import ROOT, free_port
from tests.llm.mcp.served import FLOWS

COMMAND = [sys.executable, "-m", "pocketflex_nb", "serve", *(f"{name}=tests.llm.mcp.served:{name}" for name in FLOWS)]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE}


def until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(2_000):
        if is_so():
            return
        pause.wait(0.01)
    raise AssertionError("not in time")


def named(tools: list[Any]) -> dict[str, Any]:
    return {each.name: each for each in tools}


def calling(*wanted: tuple[str, dict[str, Any]]) -> Any:
    """A model that calls tools once, and then repeats what they gave."""
    def model(messages: Any, *, tools: Any = None) -> Reply | str:
        if messages[-1]["role"] == "user":
            return Reply("", [*wanted])
        return " | ".join(each["content"] for each in messages if each["role"] == "tool")

    return model


@pytest.fixture(params=["command", "http", "object"])
def server(request: pytest.FixtureRequest) -> Any:
    if request.param == "command":
        yield lambda: mcp_tools(COMMAND, cwd=ROOT)
    elif request.param == "http":
        with serve_mcp(FLOWS) as served:
            assert served is not None
            yield lambda: mcp_tools(served.url)
    else:
        made = MCPServer("object")
        made.tool(name="twice")(_twice)
        made.tool(name="broken")(_broken)
        yield lambda: mcp_tools(made)


def _twice(number: int) -> int:
    return 2 * number


def _broken(number: int) -> int:
    raise ToolError("division by zero")


def test_an_agent_calls_tools_of_a_server_at_once_and_hears_their_errors(server: Any) -> None:
    async def main() -> Any:
        async with server() as tools:
            found = named(tools)
            model = calling(("twice", {"number": 4}), ("twice", {"number": 5}), ("broken", {"number": 1}))
            run = tool_agent(model, "You count.", tools=[found["twice"], found["broken"]]).launch({"question": "?"})
            await run.wait_async()
            return run

    run = asyncio.run(main())

    assert run.store["answer"].startswith("8 | 10 | Error: ToolServerError: ")
    assert "division by zero" in run.store["answer"]
    assert [event["name"] for event in run.events if event.kind == "tool"].count("twice") == 2


def test_a_plain_run_calls_them_too_and_so_does_the_cell(server: Any) -> None:
    class Count(Node):
        def __init__(self, twice: Any) -> None:
            super().__init__()
            self.twice = twice

        async def exec(self, prep_res: Any) -> Any:
            return await self.twice(number=21)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["answer"] = exec_res

    async def main() -> tuple[Any, Any]:
        async with server() as tools:
            twice = named(tools)["twice"]
            store: dict[str, Any] = {}
            await asyncio.to_thread(Flow(Count(twice)).run, store)  # on a loop of its own
            return store["answer"], await twice(number=4)

    assert asyncio.run(main()) == ("42", "8")


def test_a_server_asks_the_person_of_the_run_and_tells_its_progress() -> None:
    async def main(url: str) -> Any:
        async with mcp_tools(url) as tools:
            run = tool_agent(calling(("research", {"topic": "moon"})), "", tools=[named(tools)["research"]]).launch({"question": "?"})
            for answer in ("no", 5):
                question = await run.asking(timeout=20)
                run.answer(answer, question)
            await run.wait_async()
            return run

    with serve_mcp(FLOWS) as served:
        assert served is not None
        run = asyncio.run(main(served.url))

    assert run.store["answer"] == "moon at depth 2: no, 5"
    assert [event["question"] for event in run.events if event.kind == "asked"] == ["Publish?", "How many copies?"]
    assert "Draft#1: 1 of 4" in [event.get("text") for event in run.events if event.kind == "progress"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_command_that_is_killed_is_started_again() -> None:
    async def main() -> list[int]:
        async with mcp_tools(COMMAND, cwd=ROOT) as tools:
            pid, seen = named(tools)["pid"], []
            for _ in range(3):
                seen.append(int(await pid()))
                os.kill(seen[-1], signal.SIGKILL)
                while psutil.pid_exists(seen[-1]) and psutil.Process(seen[-1]).status() != psutil.STATUS_ZOMBIE:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
            return seen

    before = children()

    assert len(set(asyncio.run(main()))) == 3
    until(lambda: children() == before)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_call_whose_server_is_killed_fails_and_the_agent_tries_again() -> None:
    async def main() -> Any:
        async with mcp_tools(COMMAND, cwd=ROOT) as tools:
            found = named(tools)
            victim = int(await found["pid"]())
            call = asyncio.ensure_future(found["wait"]())
            await asyncio.sleep(0.3)
            os.kill(victim, signal.SIGKILL)
            with pytest.raises(ToolServerLost, match=r"wait: the connection to the MCP server .* broke off"):
                await call
            run = tool_agent(calling(("twice", {"number": 8})), "", tools=[found["twice"]]).launch({"question": "?"})
            await run.wait_async()
            return run.store["answer"]

    assert asyncio.run(main()) == "16"


def test_a_server_over_http_that_was_away_is_used_again() -> None:
    port = free_port()

    async def main() -> list[str]:
        first = serve_mcp(FLOWS, port=port)
        assert first is not None
        async with mcp_tools(first.url) as tools:
            twice = named(tools)["twice"]
            said = [await twice(number=1)]
            await asyncio.to_thread(first.close)
            with pytest.raises(ToolServerError):
                await twice(number=2)
            second = await asyncio.to_thread(serve_mcp, FLOWS, port=port)
            said.append(await twice(number=3))
            await asyncio.to_thread(second.close)
            return said

    assert asyncio.run(main()) == ["2", "6"]


def test_a_hundred_cancelled_calls_leave_nothing_behind() -> None:
    async def main() -> tuple[str, int]:
        async with mcp_tools(COMMAND, cwd=ROOT) as tools:
            found = named(tools)
            calls = [asyncio.ensure_future(found["wait"]()) for _ in range(100)]
            await asyncio.sleep(0.5)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            return await found["twice"](number=3), len(children() - before)

    before = children()

    assert asyncio.run(main()) == ("6", 1)  # the server alone, and it answers
    until(lambda: children() == before)
    assert not runs(live=True)


def test_a_run_that_is_cancelled_cancels_the_call_at_the_server() -> None:
    async def main(url: str) -> None:
        async with mcp_tools(url) as tools:
            run = tool_agent(calling(("wait", {})), "", tools=[named(tools)["wait"]]).launch({"question": "?"})
            while len(runs(live=True)) < 2:  # the agent's, and the served flow's
                await asyncio.sleep(0.01)
            run.cancel()
            await run.wait_async()
            while runs(live=True):
                await asyncio.sleep(0.01)

    with serve_mcp(FLOWS) as served:
        assert served is not None
        asyncio.run(asyncio.wait_for(main(served.url), 20))


@pytest.mark.parametrize(("source", "told"), [
    ("no-such-command-anywhere", r"no MCP server answers .*; does the command run in a terminal"),
    ([sys.executable, "-c", "raise SystemExit('I am no server')"], "I am no server"),
    ([sys.executable, "-c", "print('hello')"], "no MCP server answers"),
])
def test_a_command_that_is_no_server_is_an_error_with_what_it_said(source: Any, told: str) -> None:
    before = children()

    async def main() -> None:
        async with mcp_tools(source):
            pytest.fail("connected")

    with pytest.raises(ToolServerError, match=told):
        asyncio.run(main())
    until(lambda: children() == before)


def test_an_address_where_nobody_answers_is_named_without_its_secrets() -> None:
    async def main() -> None:
        async with mcp_tools(f"http://me:sesame@127.0.0.1:{free_port()}/mcp?key=sesame"):
            pytest.fail("connected")

    with pytest.raises(ToolServerError, match=r"no MCP server answers .*is it up") as raised:
        asyncio.run(main())
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize("source", [7, "", [], ["python", 7], object()])
def test_what_is_no_server_is_refused_at_once(source: Any) -> None:
    with pytest.raises(ToolServerError, match=r"a command such as 'python server\.py', an address or a server object is needed"):
        mcp_tools(source)


def test_a_command_gets_few_of_this_process_s_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    script = tmp_path / "server.py"
    script.write_text(
        "import os\nfrom pocketflex_nb.llm import serve_mcp, tool\n@tool\ndef look(name: str) -> str:\n    'Look.'\n"
        "    return os.environ.get(name, 'nothing')\nserve_mcp({'look': look}, 'stdio')\n", encoding="utf-8",
    )

    async def main() -> tuple[str, str]:
        async with mcp_tools([sys.executable, str(script)], env={"GIVEN": "yes"}) as (look,):
            return await look(name="OPENAI_API_KEY"), await look(name="GIVEN")

    assert asyncio.run(main()) == ("nothing", "yes")
