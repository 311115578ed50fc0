"""A model behind an OpenAI-compatible endpoint, asked through the SDK, over a server on this machine that is not a model."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import Flow, Limiter, Retry, launch
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.llm import (
    Chat,
    CutOff,
    ModelBusy,
    ModelError,
    ModelSetup,
    ModelUnreachable,
    Refusal,
    Reply,
    openai_model,
    tool,
    tool_agent,
)
from pocketflex_nb.llm.model_call import ask_model
from pocketflex_nb.testing import Busy, CutStream, NotAModel, Stall
from tests.llm.models import results

if not os.environ.get("CI"):
    pytest.importorskip("openai", reason="pip install 'pocketflex_nb[llm]'")

KEY = "sk-THIS-is-the-secret-0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Any]:
    servers = []

    def start(*script: Any, **options: Any) -> NotAModel:
        servers.append(NotAModel(script or None, **options).start())
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def model_of(server: NotAModel, **options: Any) -> Any:
    return openai_model("not-a-model", base_url=server.url, **options)


def asked(model: Any, prompt: str = "What makes tides?", **options: Any) -> Any:
    return Flow(Chat(model, prompt, **options)).launch().wait(20)


def until(is_so: Any) -> None:
    pause = threading.Event()
    for _ in range(2_000):
        if is_so():
            return
        pause.wait(0.005)
    raise AssertionError("not in time")


def test_it_streams_and_counts_what_was_used(serve: Any) -> None:
    server = serve("The moon and the sun.")

    run = asked(model_of(server, prices=(2.0, 8.0), temperature=0), system="Be brief.")

    assert run.store["answer"] == "The moon and the sun."
    assert [event["text"] for event in run.events if event.get("stream") == "token"] == ["The ", "moon ", "and ", "the ", "sun."]
    assert run.messages[-1]["model"] == "not-a-model"
    assert (run.usage.tokens, run.usage.cost) == (10, (5 * 2 + 5 * 8) / 1e6)
    assert server.requests[0]["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What makes tides?"}]
    assert server.requests[0]["temperature"] == 0


def test_the_environment_names_model_endpoint_and_key(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve("Hello.", key=KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_MODEL", "not-a-model")

    assert asked(openai_model()).store["answer"] == "Hello."


def test_calls_made_at_once_come_whole(serve: Any) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    server = serve(Reply("I add.", [("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})]), "3 and 7.")

    run = tool_agent(model_of(server), "", tools=[add]).launch({"question": "?"}).wait(20)

    assert run.store["answer"] == "3 and 7."
    assert [text for _, text in results(server.requests[1]["messages"])] == ["3", "7"]
    assert [message["role"] for message in server.requests[1]["messages"]] == ["user", "assistant", "tool", "tool"]


@dataclass
class Verdict:
    ok: bool
    why: str


def test_a_structured_answer_is_asked_for_by_its_schema(serve: Any) -> None:
    server = serve('{"ok": true, "why": "it is"}')

    assert asked(model_of(server), returns=Verdict).store["answer"] == Verdict(True, "it is")
    wanted = server.requests[0]["response_format"]["json_schema"]
    assert (wanted["name"], wanted["strict"], sorted(wanted["schema"]["properties"])) == ("Verdict", True, ["ok", "why"])


def test_a_busy_provider_is_asked_again_after_the_time_it_wants(serve: Any) -> None:
    server = serve(Busy(retry_after=0.4), Busy(status=503), "Fine.")

    run = asked(model_of(server), retry=Retry(3, wait=0.01, on=ModelBusy))

    assert run.store["answer"] == "Fine."
    assert run.seconds >= 0.4
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 529])
def test_a_busy_provider_is_told_with_the_mend_when_nothing_is_tried_again(serve: Any, status: int) -> None:
    run = asked(model_of(serve(Busy(retry_after=7, status=status))))

    assert isinstance(run.error, ModelBusy)
    assert (run.error.retry_after, run.error.status) == (7.0, status)
    assert "asks to come back in 7 s; ask again: retry=Retry(" in str(run.error)


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2065 07:28:00 GMT", "soon", "-5", "nan", ""])
def test_retry_after_is_read_in_any_form(header: str) -> None:
    from pocketflex_nb.llm.providers.openai_model import _seconds

    seconds = _seconds({"retry-after": header})

    assert seconds is None or seconds >= 0
    assert (seconds or 0) > 1e8 if header.endswith("GMT") else not seconds


@pytest.mark.parametrize(("script", "error", "told"), [
    (CutStream("The moon and the sun."), ModelUnreachable, "the connection broke off"), (b"{broken", ModelUnreachable, "cannot be read"),
    (b'{"choices": []}', ModelUnreachable, "ended before the reply was whole"),
    (Busy(status=400, message="max_tokens is too large"), ModelError, "refuses the request (HTTP 400: max_tokens is too large)"),
    (Reply("Once upon", finish="length"), CutOff, "raise the model's limit"), (Reply(refusal="I must not."), Refusal, "I must not."),
    (Reply("Bad", finish="content_filter"), Refusal, "refused"),
])
def test_what_goes_wrong_on_the_wire_is_told(serve: Any, script: Any, error: Any, told: str) -> None:
    run = asked(model_of(serve(script)))

    assert type(run.error) is error
    assert told in str(run.error)
    assert "answer" not in run.store
    if isinstance(script, CutStream):
        assert [(message["text"], message["partial"]) for message in run.messages[1:]] == [("The moon ", True)]


def test_an_unknown_model_is_told_with_the_nearest_name(serve: Any) -> None:
    server = serve(models=["small-chat", "large-chat"])

    run = asked(openai_model("smal-chat", base_url=server.url))

    assert isinstance(run.error, ModelSetup)
    assert "has no model 'smal-chat'; did you mean 'small-chat'?" in str(run.error)


def test_an_address_without_its_path_is_told() -> None:
    with NotAModel() as server:
        run = asked(openai_model("not-a-model", base_url=server.url.removesuffix("/v1") + "/v2/wrong"))

    assert run.status in ("done", "failed")
    assert run.error is None or "base_url" in str(run.error)


def test_nobody_at_the_address_is_told(serve: Any) -> None:
    server = serve()
    server.close()

    run = asked(model_of(server))

    assert isinstance(run.error, ModelUnreachable)
    assert f"nobody answers at {server.url}" in str(run.error)


@pytest.mark.parametrize(("options", "told"), [
    ({}, "no endpoint and no key; set OPENAI_API_KEY"), ({"api_key": KEY}, "which model? set OPENAI_MODEL"),
    ({"base_url": "http://127.0.0.1:9/v1"}, "which model?"), ({"base_url": "127.0.0.1:9", "model": "m"}, "an address such as 'http://"),
    ({"base_url": "ftp://user:pass@host/v1", "model": "m"}, "an address such as"),
])
def test_what_is_missing_is_told_before_anything_is_called(options: Any, told: str) -> None:
    with pytest.raises(ModelSetup) as caught:
        openai_model(**options)

    assert told in str(caught.value)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("options", [{"api_key": 7}, {"model": 3, "api_key": KEY}, {"model": "m", "api_key": KEY, "limiter": 3}])
def test_arguments_of_another_type_are_refused(options: Any) -> None:
    with pytest.raises(TypeError, match="openai_model"):
        openai_model(**options)


@pytest.mark.parametrize("prices", [3, (1,), ("a", "b"), (-1, 2), (1, 2, 3)])
def test_prices_that_are_no_two_numbers_are_refused(prices: Any) -> None:
    with pytest.raises(ValueError, match="two numbers"):
        openai_model("m", api_key=KEY, prices=prices)


def test_a_cancelled_run_ends_the_stream_on_the_wire(serve: Any) -> None:
    server = serve(Stall("The moon and the sun."))
    run = Flow(Chat(model_of(server), "x", messages="talk")).launch()
    until(lambda: sum(event.get("stream") == "token" for event in run.events) == 2)

    run.cancel()
    run.wait(10)

    assert run.status == "cancelled"
    until(lambda: server.hung_up == 1)
    assert run.messages[-1]["text"] == "The moon "
    assert run.messages[-1]["partial"] is True
    assert not dict(run.store)


def test_a_limit_of_time_ends_the_stream_on_the_wire(serve: Any) -> None:
    server = serve(Stall("The moon."))

    run = asked(model_of(server), timeout=0.3)

    assert "NodeTimeout" in type(run.error).__name__
    until(lambda: server.hung_up == 1)


def test_a_limiter_counts_requests_and_tokens(serve: Any) -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    limiter = Limiter(100, per=10, tokens=20, clock=clock)
    server = serve(*["one two three four five"] * 3)
    model = model_of(server, limiter=limiter)
    for _ in range(2):
        asked(model)

    assert (limiter.reserve(), limiter._token_wait()) == (0.0, 0.0)
    limiter.spend(8)
    assert limiter._token_wait() == 10.0
    clock.now = 9.0
    assert limiter._token_wait() == 1.0
    clock.now = 10.0
    assert limiter._token_wait() == 0.0


def test_entries_wait_until_the_window_holds_fewer_tokens() -> None:
    limiter = Limiter(100, per=0.2, tokens=10)
    begin = time.monotonic()
    with limiter:
        limiter.spend(12)
    with limiter:
        pass

    assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize("tokens", [0, -1, "many"])
def test_a_limiter_of_no_tokens_is_refused(tokens: Any) -> None:
    with pytest.raises(ValueError, match="tokens"):
        Limiter(1, tokens=tokens)


def test_one_client_serves_every_way_a_flow_runs(serve: Any) -> None:
    import asyncio

    server = serve(*["Fine."] * 4)
    flow = Flow(Chat(model_of(server), "x"))

    flow.run({})
    flow.launch().wait(10)
    for _ in range(2):
        asyncio.run(_run_async(flow))

    assert len(server.requests) == 4


async def _run_async(flow: Flow) -> None:
    await flow.run_async({})


def test_many_conversations_at_once_are_all_answered(serve: Any) -> None:
    server = serve(*["Fine."] * 200)
    flow = Flow(Chat(model_of(server), "x"))

    group = launch([flow] * 200).wait(30)

    assert [run.store["answer"] for run in group] == ["Fine."] * 200


def _everything_of(run: Any, folder: Path, flow: Flow) -> Iterator[str]:
    """What is shown, told or saved of a run."""
    yield repr(run) + repr(flow) + repr(vars(flow.start_node)) + repr(flow.start_node.model) + str(vars(flow.start_node.model))
    yield repr(run.error) + str(getattr(run.error, "__notes__", "")) + repr(run.error and (run.error.__cause__, run.error.args))
    yield from (repr(event) + repr(event.data) for event in run.events)
    yield repr(dict(run.store)) + repr(run.messages) + str(run.to_frame().to_dict())
    yield run.to_html(folder / "run.html").read_text() + run.to_svg() + flow.to_mermaid()
    yield repr(run._repr_mimebundle_())
    yield from (path.read_bytes().decode("latin-1") for path in folder.iterdir())
    yield pickle.dumps(flow).decode("latin-1") + repr(copy.deepcopy(flow.start_node.model).__dict__)


@pytest.mark.parametrize("outcome", ["answered", "refused", "cancelled"])
def test_the_key_is_nowhere(serve: Any, tmp_path: Path, outcome: str) -> None:
    server = serve(Stall("a b c") if outcome == "cancelled" else "Hello.", key=KEY)
    wrong = KEY[:-4] + "ffff"
    model = openai_model(
        "not-a-model", base_url=server.url, api_key=wrong if outcome == "refused" else KEY,
        default_headers={"X-Org-Secret": "hunter2"}, default_query={"code": "hunter2"},
    )
    flow = Flow(Chat(model, "x", messages="talk"), name="secret")

    run = flow.launch(journal=tmp_path / "runs.sqlite")
    if outcome == "cancelled":
        until(lambda: any(event.get("stream") == "token" for event in run.events))
        run.cancel()
    run.wait(10)

    assert run.status == {"answered": "done", "refused": "failed", "cancelled": "cancelled"}[outcome]
    if outcome == "refused":
        assert "refuses the key (HTTP 401" in str(run.error)
        assert "set OPENAI_API_KEY" in str(run.error)
    for text in _everything_of(run, tmp_path, flow):
        for secret in (KEY, wrong, KEY[3:24], "hunter2"):
            assert secret not in text


def test_a_pickled_model_takes_the_key_of_where_it_is_read(monkeypatch: pytest.MonkeyPatch, serve: Any) -> None:
    server = serve("Hello.", key=KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    again = pickle.loads(pickle.dumps(model_of(server, api_key="sk-another-0123456789")))

    assert asked(again).store["answer"] == "Hello."


def test_the_package_and_the_room_import_no_sdk() -> None:
    import subprocess
    import sys

    code = "import sys, pocketflex_nb; assert 'pocketflex_nb.llm' not in sys.modules; import pocketflex_nb.llm, pocketflex_nb.testing; " \
           "pocketflex_nb.llm.openai_model('m', api_key='k'); assert not {'openai', 'http', 'IPython'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_without_the_sdk_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from pocketflex_nb.core.errors import MissingExtra
    from pocketflex_nb.llm.providers import openai_model as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)

    with pytest.raises(MissingExtra, match=r"pip install 'pocketflex_nb\[llm\]'"):
        openai_model("m", api_key=KEY)


def test_the_server_without_a_script_says_that_it_is_no_model(serve: Any) -> None:
    @tool
    def look_up(word: str) -> str:
        """Look a word up."""
        return f"a page about {word}"

    model = model_of(serve())

    assert asked(model, "What is heapq?").store["answer"].startswith("I am not a model: Heap queue")
    assert asked(model, "Is it not so?", returns=Verdict).store["answer"] == Verdict(False, "Is it not so?")
    run = tool_agent(model, "", tools=[look_up]).launch({"question": "look up tides"}).wait(20)
    assert run.store["answer"] == "I am not a model: these are the results. a page about look up tides"




def test_a_model_that_is_dropped_closes_its_connections(serve: Any) -> None:
    server = serve("Fine.")
    model = model_of(server)
    assert engine_thread.submit(ask_model(model, [{"role": "user", "content": "x"}])).result(10).text == "Fine."
    assert len(server._writers) == 1

    del model
    gc.collect()

    until(lambda: not server._writers)
