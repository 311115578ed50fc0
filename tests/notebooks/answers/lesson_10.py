"""Answers to lesson 10: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]


def _pay(
    asks: str = 'await ask(f"Pay {amount}?", ["yes", "no"])', gives: str = '"paid" if answer == "yes" else "not paid"', *,
    head: str = "@tool", takes: str = "amount: int", starts: str = "async def",
) -> str:
    return f'{head}\n{starts} pay({takes}) -> str:\n    """Pay an amount."""\n    answer = {asks}\n    return {gives}'


def _outline(*options: str, start: str = "Plan()") -> str:
    return f"outline = Flow({', '.join([start, *options])})"


_NAME, _IN, _OUT = 'name="outline"', 'inputs=["topic"]', 'outputs=["outline"]'
SOLUTIONS = {
    "10.1": _pay(),
    "10.2": _outline(_NAME, _IN, _OUT),
    "10.3": 'server = serve_mcp({"outline": outline})',
}
WRONG = {
    "10.1": [
        (_pay(head=""), "no tool yet"),
        ("pay = 40", "is a int"),
        (_pay(takes="amount: int, to: str"), "one amount is wanted"),
        (_pay(asks='await ask("Pay?", ["yes", "no"])', takes="money: int"), "one amount is wanted"),
        (_pay(takes="amount: str"), "has to be int"),
        (_pay(asks='"yes"'), "Nobody was asked"),
        (_pay(asks='await ask(f"Pay {amount}?")'), "give ask the choices"),
        (_pay(asks='await ask(f"Pay {amount}?", ["pay", "keep"])'), "should be yes and no"),
        (_pay(asks='await ask("Pay?", ["yes", "no"])'), "does not show the amount"),
        (_pay(gives="None"), "returns nothing"),
        (_pay(gives="answer"), "and not paid"),
        (_pay(gives='"paid"'), "look at the answer"),
        (_pay(gives='"paid" if answer == "yes" else "stopped"'), "and not not paid"),
        (_pay(gives='1 / 0'), "ZeroDivisionError"),
    ],
    "10.2": [
        (_outline(_NAME), "inputs= says what the model fills"),
        (_outline(_NAME, _OUT), "inputs= says what the model fills"),
        (_outline(_IN, _OUT), "has to be outline"),
        (_outline('name="plan"', _IN, _OUT), "has to be outline"),
        (_outline(_NAME, _IN), "notes away|gives nothing"),
        (_outline(_NAME, _IN, 'outputs=["outline", "notes"]'), "notes away"),
        (_outline(_NAME, 'inputs=["topic", "outline"]', _OUT), "only topic"),
        (_outline(_NAME, 'inputs=["subject"]', _OUT), "only topic"),
        ("outline = Plan()", "That is a node"),
        (f"outline = tool({_outline(_NAME, _IN, _OUT).removeprefix('outline = ')})", "the flow itself"),
        ('outline = "outline"', "is a str"),
    ],
    "10.3": [
        ("server = None", "leave transport out"),
        ('server = {"outline": outline}', "give it to serve_mcp"),
        ('server = serve_mcp({"outline": outline}).url', "keep the server itself"),
        ("server = serve_mcp", "and not what serve_mcp returns"),
        ('with serve_mcp({"outline": outline}) as server:\n    pass', "It is closed"),
        ('server = serve_mcp({"outline": outline})\nserver.close()', "It is closed"),
        ('server = serve_mcp({"plan": outline})', "It serves plan"),
        ('server = serve_mcp({"outlines": outline})', "It serves outlines"),
        ('server = serve_mcp({"outline": outline, "send": send})', "more than that"),
        ("server = outline", "and not what serve_mcp returns"),
    ],
}
RIGHT = {
    "10.1": [
        _pay(asks='await ask(f"May I pay {amount} euros?", choices=["no", "yes"])'),
        _pay(head="@tool()"),
    ],
    "10.2": [_outline(_NAME, 'inputs="topic"', 'outputs="outline"')],
    "10.3": ['server = serve_mcp(dict(outline=outline), "http")'],
}
