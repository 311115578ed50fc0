"""Answers to lesson 09: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]


def _tool(
    body: str = "len(text.split())", *, head: str = "@tool", name: str = "count_words", takes: str = "text: str", doc: str = "Count."
) -> str:
    return f"{head}\ndef {name}({takes}) -> int:\n    \"\"\"{doc}\"\"\"\n    return {body}\n" + (
        "" if name == "count_words" else f"count_words = {name}\n")


SOLUTIONS = {
    "09.1": _tool(),
    "09.2": 'purse = {"tokens": 60}',
    "09.3": "patient = Retry(4, wait=0.1, backoff=2, on=ModelBusy)",
}
WRONG = {
    "09.1": [
        (_tool(head=""), "no tool yet"),
        ("count_words = len", "no tool yet"),
        ("count_words = 5", "is a int"),
        (_tool(name="count"), "would call it count"),
        (_tool(head='@tool(name="words")'), "would call it words"),
        (_tool(doc=""), "give it a docstring"),
        (_tool("len(words.split())", takes="words: str"), "should take one text"),
        (_tool("len(text.split())", takes="text: str, k: int = 1"), "should take one text"),
        (_tool("len(text)", takes="text: list[str]"), "has to be str"),
        (_tool("print(len(text.split()))"), "returns nothing"),
        (_tool("len(text)"), "counts characters"),
        (_tool('len(text.split(" "))'), "split() without"),
        (_tool('text.count(" ")'), "split() without"),
        (_tool("str(len(text.split()))"), "the number itself"),
        (_tool("text.split()"), "their number is wanted"),
        (_tool("2"), "It counts 2 words"),
    ],
    "09.2": [
        ("purse = 60", "without its unit"),
        ('purse = {"token": 60}', "no kind token"),
        ('purse = {"seconds": 60}', "count tokens"),
        ('purse = {"tokens": "60"}', "quotation marks"),
        ('purse = {"tokens": 6000}', "should be 60"),
        ('purse = {"tokens": 59}', "should be 60"),
        ('purse = {"tokens": 60, "steps": 10}', "count tokens"),
        ('purse = {"max_tokens": 60}', "and not tokens"),
        ('purse = "60 tokens"', "not a dict"),
        ('purse = ("tokens", 60)', "not a dict"),
        ("purse = {}", "It counts nothing"),
    ],
    "09.3": [
        ("patient = 4", "number of attempts"),
        ("patient = Retry(4, wait=0.1, backoff=2)", "retries every error"),
        ("patient = Retry(4, wait=0.1, on=ModelBusy)", "backoff"),
        ("patient = Retry(4, on=ModelBusy)", "does not wait"),
        ("patient = Retry(3, wait=0.1, backoff=2, on=ModelBusy)", "should be 4"),
        ("patient = Retry(4, wait=0.1, backoff=2, on=Exception)", "retries every error"),
        ("patient = Retry(4, wait=0.1, backoff=2, on=(ModelBusy, OSError))", "It retries OSError, too"),
        ("patient = Retry(4, wait=0.1, backoff=2, on=OSError)", "ModelBusy is not retried"),
        ("patient = Retry(4, wait=0.1, backoff=0.5, on=ModelBusy)", "shorter"),
        ("patient = Retry(5, wait=0.1, backoff=2, on=ModelBusy)", "should be 4"),
    ],
}
RIGHT = {
    "09.1": [_tool("sum(1 for word in text.split())"), _tool(head="@tool()")],
    "09.2": ["purse = dict(tokens=60)"],
    "09.3": ["patient = Retry(4, 0.1, 2, on=(ModelBusy,))", "patient = Retry(4, wait=1, backoff=1.5, on=ModelBusy)"],
}
