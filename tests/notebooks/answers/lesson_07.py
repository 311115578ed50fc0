"""Answers to lesson 07: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["SOLUTIONS", "WRONG"]


def _gate(*lines: str) -> str:
    return _step("gate", *lines)


def _step(name: str, *lines: str, before: str = "def") -> str:
    return f"{before} {name}(shared):\n" + "\n".join(f"    {line}" for line in lines)


def _asks(*more: str) -> str:
    return "return " + ", ".join(['ask(shared["sentence"]', '["print", "drop"]', *more]) + ")"


SOLUTIONS = {
    "07.1": _gate(_asks()),
    "07.2": _step("sign", 'shared["credit"] = ask("Who wrote it, and when?", schema={"name": str, "year": int})'),
    "07.3": _step("night", _asks("default='drop'", "timeout=0.5")),
}
WRONG = {
    "07.1": [
        ('def gate(shared):\n    return ask(shared["sentence"], ["print", "drop"], default="print", timeout=0.01)', "goes its way unseen"),
        (_gate('return "print"'), "decides by itself"),
        (_gate('return ask(shared["sentence"])'), "give ask the choices"),
        (_gate('return ask(shared["sentence"], ["yes", "no"])'), "the arrows are named"),
        (_gate('return ask("Print it?", ["print", "drop"])'), "does not show the sentence"),
        (_gate('ask(shared["sentence"], ["print", "drop"])'), "no arrow is taken"),
        (_gate('return ask(shared["sentense"], ["print", "drop"])'), "sentense"),
        (_gate('return ask(shared["sentence"], schema={"verdict": str})'), "two buttons"),
        ('gate = "print"', "has to be the function"),
    ],
    "07.2": [
        (_step("sign", 'shared["credit"] = ask("Who wrote it, and when?")'), "makes it a form"),
        (_step("sign", 'shared["credit"] = ask("Who?", schema={"name": str, "year": str})'), "as it was typed"),
        (_step("sign", 'shared["credit"] = ask("Who?", schema={"author": str, "year": int})'), "The fields are"),
        (_step("sign", 'ask("Who?", schema={"name": str, "year": int})'), "not kept"),
        (_step("sign", 'shared["credit"] = {"name": ask("Who?"), "year": ask("When?")}'), "one form has both"),
        (_step("sign", 'shared["credit"] = {"name": "Greg Ward", "year": 1999}'), "Nobody was asked"),
    ],
    "07.3": [
        ('def night(shared):\n    return ask(shared["sentence"], ["print", "drop"], default="drop", timeout=0.001)', "nobody can answer"),
        (_step("night", _asks()), "waits for ever"),
        (_step("night", _asks("default='drop'")), "waits for ever"),
        (_step("night", _asks("timeout=0.5")), "what shall hold then"),
        (_step("night", _asks("default='print'", "timeout=0.5")), "went to the press"),
        (_step("night", _asks("default='drop'", "timeout=60")), "one at most"),
        (_step("night", _asks("default=None", "timeout=0.5")), "no arrow at all"),
        (_step("night", 'return "drop"'), "never asked"),
    ],
}
