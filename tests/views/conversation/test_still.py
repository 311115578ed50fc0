"""A conversation as Markdown and HTML: whole, escaped, masked, bounded."""

from __future__ import annotations

import html.parser
from collections.abc import Callable
from typing import Any

import pytest

from pocketflex_nb.core.events import Event
from pocketflex_nb.views.conversation.conversation import ToolCall, Totals, Turn
from pocketflex_nb.views.conversation.still import conversation_html, conversation_markdown
from pocketflex_nb.views.conversation.turn_text import call_head, call_outcome, event_line, role_word, spent_text, totals_text

HOSTILE = '<img src=x onerror="alert(1)">[a](javascript:b) ![t](http://evil/x) \x1b]0;t\x07 \u202eright\u202c'
SECRET = "sk-proj-abcdefghijklmnop1234567890ABCDEFGH"
FORMS: list[Callable[..., str]] = [conversation_markdown, conversation_html]


def chat() -> list[Turn]:
    found = ToolCall("search", {"query": "tides", "k": 3}, status="done", result=["a", "b", "c"], seconds=0.2)
    failed = ToolCall("read", {"page": "moon"}, status="failed", error=LookupError("no such page"))
    return [
        Turn("system", "You research.\nBriefly."), Turn("user", "When is the tide?"),
        Turn("assistant", "I look.", calls=[found, failed], address="desk/think#1", seconds=0.8, output_tokens=41, cost=0.004),
        Turn("assistant", "Twice a d", address="desk/think#2", node="think", status="partial"),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_chat_is_told_in_order_with_calls_errors_and_sums(form: Callable[..., str]) -> None:
    told = form(chat())

    parts = ("system", "You research.", "user", "When is the tide?", "agent", "I look.", "search(", "read(", "Twice")
    places = [told.index(part) for part in parts]
    assert places == sorted(places)
    facts = ("list 3", "LookupError: no such page", "✗", "think#1", "800 ms", "41 tok", "cost 0.004", "cut off", "2 tool calls (1 failed)")
    for part in facts:
        assert part in told.replace("\\", "")


@pytest.mark.parametrize("form", FORMS)
def test_nothing_said_is_nothing(form: Callable[..., str]) -> None:
    assert form([]) == ""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["text", "role", "author", "name", "arguments", "result", "error", "address"])
def test_hostile_texts_become_no_markup(form: Callable[..., str], where: str) -> None:
    call = ToolCall("search", {"q": 1}, status="done", result="x")
    turn = Turn("assistant", "hello", calls=[call])
    if where == "error":
        call.status, call.error = "failed", HOSTILE
    elif where in ("name", "result", "arguments"):
        setattr(call, where, {HOSTILE: HOSTILE} if where == "arguments" else HOSTILE)
    else:
        setattr(turn, where, HOSTILE)

    told = form([turn])

    assert "\x1b" not in told
    assert "\u202e" not in told
    if form is conversation_html:
        assert not {"img", "script", "a"} & tags_of(told)
    else:
        assert "![t]" not in told
        assert "[a](" not in told
        assert "\\<img" in told or "<img" not in told


def tags_of(text: str) -> set[str]:
    found: set[str] = set()

    class Tags(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            found.add(tag)

    Tags().feed(text)
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["text", "arguments", "key", "result", "error"])
def test_secrets_are_masked(form: Callable[..., str], where: str) -> None:
    call = ToolCall("login", {"api_key": "hunter2", "q": SECRET} if where in ("arguments", "key") else {}, status="done", result="x")
    if where == "error":
        call.status, call.error = "failed", PermissionError(f"token {SECRET} is wrong")
    elif where == "result":
        call.result = {"password": "hunter2", "note": SECRET}
    turn = Turn("assistant", f"My key is {SECRET}" if where == "text" else "hello", calls=[call])

    told = form([turn])

    assert SECRET not in told
    assert "hunter2" not in told


@pytest.mark.parametrize("form", FORMS)
def test_what_does_not_fit_is_left_out_from_the_front_and_counted(form: Callable[..., str]) -> None:
    turns = [Turn("user", f"message {k} " + "x" * 100) for k in range(1_000)]

    told = form(turns, room=10_000)

    assert len(told) <= 10_000
    assert "message 999" in told
    assert "message 0 " not in told
    kept = sum(f"message {k} " in told for k in range(1_000))
    assert 10 < kept < 1_000
    assert f"The oldest {1_000 - kept} messages are left out here." in told
    assert "1,000 messages" in told


@pytest.mark.parametrize("form", FORMS)
def test_one_long_message_is_cut_with_its_length(form: Callable[..., str]) -> None:
    told = form([Turn("user", "y" * 50_000)])

    assert len(told) < 6_000
    assert "50,000 characters" in told.replace("\\", "")


def test_system_prompts_and_calls_are_folded_in_html() -> None:
    told = conversation_html(chat())

    assert told.count("<details") == 3
    assert "<details open" not in told
    assert "script" not in tags_of(told)


@pytest.mark.parametrize(
    ("call", "head", "outcome"),
    [
        (ToolCall("search", {"query": "tides", "k": 3}), "search(query='tides', k=3)", "no result yet"),
        (ToolCall("now", None, status="done", result="noon"), "now()", "noon"),
        (ToolCall("now", '{"a": 1', status="done", result=None), "now('{\"a\": 1')", "done"),
        (ToolCall("read", {}, status="done", result="x" * 5_000), "read()", "str 5000"),
        (ToolCall("read", {}, status="done", result=3), "read()", "3"),
        (ToolCall("read", {}, status="done", result={"a": 1}), "read()", "dict 1"),
        (ToolCall("read", {}, status="failed", error="no page"), "read()", "no page"),
        (ToolCall("read", {}, status="failed", error=KeyError("p")), "read()", "KeyError: 'p'"),
    ],
)
def test_a_call_is_one_line(call: ToolCall, head: str, outcome: str) -> None:
    assert (call_head(call), call_outcome(call)) == (head, outcome)


@pytest.mark.parametrize(
    ("totals", "text"),
    [
        (Totals(1), "1 message"), (Totals(2, 1, 1), "2 messages, 1 tool call (1 failed)"),
        (Totals(2, 0, 0, 8_100, 1_200, 9_300, 0.04), "2 messages, 8,100 tokens in, 1,200 out, cost 0.04"),
        (Totals(2, tokens=7), "2 messages, 7 tokens"),
    ],
)
def test_sums_are_one_line(totals: Totals, text: str) -> None:
    assert totals_text(totals) == text


def test_who_speaks_is_a_word_of_its_own() -> None:
    assert [role_word(Turn(role, author=author)) for role, author in
            (("assistant", ""), ("assistant", "ann"), ("user", ""), ("critic", ""), ("tool", "search"))] \
        == ["agent", "agent ann", "user", "critic", "tool"]
    assert spent_text(Turn("assistant", seconds=0.8, input_tokens=7, output_tokens=41, cost=0.5)) == ["800 ms", "41 tok", "cost 0.5"]


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("message", {"role": "user", "text": "hello\nthere"}, "user: hello"),
        ("message", {"tool_calls": [{}, {}]}, "assistant:   [2 tool calls]"),
        ("tool", {"name": "search", "arguments": {"q": "a"}, "result": [1]}, "search(q='a') → list 1"),
        ("tool", {"name": "search", "error": "gone", "arguments": {"password": "hunter2"}}, "search(password=••••••••) → ✗ gone"),
        ("log", {"text": "x"}, ""),
    ],
)
def test_an_event_is_one_line(kind: str, data: dict[str, Any], line: str) -> None:
    assert event_line(Event(0, 0, kind, data=data)) == line
