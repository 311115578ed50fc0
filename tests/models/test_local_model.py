"""What `local_model()` promises, with the real model: it answers, obeys a schema, streams, stops, and leaves no process behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from pocketflex_nb import Flow, Retry
from pocketflex_nb.llm import Chat, ModelSetup, local_model

pytestmark = pytest.mark.timeout(240)

REVIEWS = {
    "A wonderful film, I loved every minute.": "good",
    "Terrible. I want my money back.": "bad",
    "Boring and far too long, a waste of time.": "bad",
    "The best evening I had in years, splendid!": "good",
    "I hated the food and the service was awful.": "bad",
    "Great value, friendly people, I will come again.": "good",
}
#: what it answers in some ten tokens
HELLO = "Answer with one word: is water wet?"


@dataclass
class Mood:
    """What a review is."""

    mood: Literal["good", "bad"]


@dataclass
class Order:
    """What was ordered."""

    item: str
    count: int


def until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3_000):
        if is_so():
            return
        pause.wait(0.01)
    raise AssertionError("not in time")


def servers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.is_running() and "local_server" in " ".join(child.cmdline())]


def ask(model: Any, prompt: str, **options: Any) -> Any:
    return Flow(Chat(model, prompt, **options)).launch().wait(120)


def say(model: Any) -> str:
    """What the model says by itself, without a run that would hold it."""
    async def reply() -> str:
        return "".join([delta.text async for delta in await model([{"role": "user", "content": HELLO}])])
    return asyncio.run(reply())


def test_it_classifies_by_a_schema(model: Any) -> None:
    classify = Flow(Chat(model, "Is this review good or bad?\n{review}", writes="mood", returns=Mood))

    runs = [classify.launch({"review": review}).wait(120) for review in REVIEWS]

    assert [run.status for run in runs] == ["done"] * len(REVIEWS)
    right = sum(run.store["mood"].mood == wanted for run, wanted in zip(runs, REVIEWS.values(), strict=True))
    assert right >= 4, [run.store["mood"] for run in runs]  # it is small: it is checked, not trusted


def test_it_extracts_by_a_schema(model: Any) -> None:
    run = ask(model, "Extract the order as JSON: I would like 3 pizzas, please.", returns=Order)

    assert run.store["answer"].count == 3
    assert "pizza" in run.store["answer"].item.lower()


def test_tokens_stream_and_are_counted(model: Any) -> None:
    run = ask(model, "Name the colours of the rainbow.")

    told = [event["text"] for event in run.events if event.get("stream") == "token"]
    assert len(told) > 5
    assert "".join(told).strip() == run.store["answer"].strip()
    assert 0 < run.usage.tokens <= 200
    assert run.messages[-1]["model"] == model.name


def test_two_models_of_one_file_share_a_process_that_ends_with_the_last(model: Any) -> None:
    before = len(servers())
    first, second = local_model(context=512, max_tokens=8), local_model(context=512, max_tokens=9)

    assert say(first)
    assert say(second)
    assert len(servers()) == before + 1

    del first
    gc.collect()
    assert say(second)
    del second
    gc.collect()
    until(lambda: len(servers()) == before)


def test_a_closed_model_gives_its_memory_back_and_starts_again_when_asked() -> None:
    before = len(servers())
    closed = local_model(context=640, temperature=0)
    assert ask(closed, HELLO).status == "done"  # its run is remembered, and holds the model

    closed.close()

    assert len(servers()) == before
    assert say(closed)
    closed.close()


def test_a_cancelled_run_stops_the_model(model: Any) -> None:
    long = local_model(parallel=1, max_tokens=2_000, temperature=0)
    run = Flow(Chat(long, "Write a long story about a ship."), name="story").launch()
    until(lambda: any(event.get("stream") == "token" for event in run.events))

    run.cancel()
    run.wait(60)

    assert run.status == "cancelled"
    assert "answer" not in run.store
    assert ask(long, HELLO).status == "done"  # the only place is free: what was cancelled would hold it for minutes


def test_a_server_that_was_killed_is_started_again(model: Any) -> None:
    mortal = local_model(context=1_024, temperature=0, max_tokens=400)
    before = servers()
    run = Flow(Chat(mortal, "Name the colours of the rainbow.", retry=Retry(3, wait=0.1))).launch()
    until(lambda: any(event.get("stream") == "token" for event in run.events))

    (server,) = [one for one in servers() if one not in before]
    server.kill()
    run.wait(120)

    assert run.status == "done", run.error
    assert len(run.store["answer"]) > 20


def test_a_file_that_is_cut_off_is_refused_with_what_the_runtime_says(tmp_path: Path, model: Any) -> None:
    cut = tmp_path / "cut.gguf"
    with model.path.open("rb") as whole:
        cut.write_bytes(whole.read(1_000_000))

    run = ask(local_model(cut), "Hello")

    assert isinstance(run.error, ModelSetup)
    assert "cut.gguf cannot be loaded" in str(run.error)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_kernel_that_dies_leaves_no_server_behind() -> None:
    script = (
        "from pocketflex_nb import Flow\nfrom pocketflex_nb.llm import Chat, local_model\nimport psutil, time\n"
        "model = local_model(context=256, max_tokens=2)\nFlow(Chat(model, 'Hi')).launch().wait(120)\n"
        "print(psutil.Process().children()[0].pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as kernel:
        assert kernel.stdout is not None
        server = psutil.Process(int(kernel.stdout.readline()))
        os.kill(kernel.pid, signal.SIGKILL)

    server.wait(30)
