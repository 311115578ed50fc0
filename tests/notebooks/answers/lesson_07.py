"""Answers to lesson 07: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]


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
        ('def gate(shared):\n    return ask(shared["sentence"], ["print", "drop"], default="print", timeout=0.01)', "goes on without an "
         "answer"),
        (_gate('return "print"'), "was never asked"),
        (_gate('return ask(shared["sentence"])'), "give ask the choices"),
        (_gate('return ask(shared["sentence"], ["yes", "no"])'), "the arrows are named"),
        (_gate('return ask("Print it?", ["print", "drop"])'), "does not show the sentence"),
        (_gate('ask(shared["sentence"], ["print", "drop"])'), "No arrow is taken"),
        (_gate('return ask(shared["sentense"], ["print", "drop"])'), "sentense"),
        (_gate('return ask(shared["sentence"], schema={"verdict": str})'), "Two buttons are enough"),
        ('gate = "print"', "has to be the function"),
        (_gate(_asks("default='print'")), "no default here"),
        (_gate('return ask(shared["sentence"], ["print", "drop", "later"])'), "the arrows are named"),
        (_gate('return "print" if ask(shared["sentence"], ["print", "drop"]) else "drop"'), "Return the answer itself"),
        (_gate('return "drop" if ask(shared["sentence"], ["print", "drop"]) == "print" else "print"'), "Return the answer itself"),
    ],
    "07.2": [
        (_step("sign", 'shared["credit"] = ask("Who wrote it, and when?")'), "makes it a form"),
        (_step("sign", 'shared["credit"] = ask("Who?", schema={"name": str, "year": str})'), "as it was typed"),
        (_step("sign", 'shared["credit"] = ask("Who?", schema={"author": str, "year": int})'), "The fields are"),
        (_step("sign", 'ask("Who?", schema={"name": str, "year": int})'), "not kept"),
        (_step("sign", 'shared["credit"] = {"name": ask("Who?"), "year": ask("When?")}'), "One form has both"),
        (_step("sign", 'shared["credit"] = {"name": "Greg Ward", "year": 1999}'), "Nobody was asked"),
        (_step("sign", 'shared["credits"] = ask("Who?", schema={"name": str, "year": int})'), "not kept"),
        (_step("sign", 'shared["credit"] = ask("Who?", schema={"name": str, "year": int, "place": str})'), "The fields are|refused"),
        (_step("sign", 'shared["credit"] = ask("Who?", schema={"name": str, "year": int})["name"]'), "should be the answer"),
        (_step("sign", 'ask("Who?", schema={"name": str, "year": int})', 'shared["credit"] = {"name": "Greg Ward", "year": 1999}'),
         "Answered Ada and 1843"),
        (_step("sign", 'shared["credit"] = ask("Who?", schema={"name": str})'), "The fields are|refused"),
    ],
    "07.3": [
        ('def night(shared):\n    return ask(shared["sentence"], ["print", "drop"], default="drop", timeout=0.001)', "nobody can answer"),
        (_step("night", _asks()), "waits without limit"),
        (_step("night", _asks("default='drop'")), "waits without limit"),
        (_step("night", _asks("timeout=0.5")), "the answer to use then"),
        (_step("night", _asks("default='print'", "timeout=0.5")), "it was printed"),
        (_step("night", _asks("default='drop'", "timeout=60")), "half a second at most"),
        (_step("night", _asks("default=None", "timeout=0.5")), "no arrow at all"),
        (_step("night", 'return "drop"'), "never asked"),
        (_step("night", 'return ask(shared["sentence"], default="drop", timeout=0.5)'), "keep the two choices"),
        (_step("night", 'return ask("Print it?", ["print", "drop"], default="drop", timeout=0.5)'), "does not show the sentence"),
        (_step("night", _asks("default='drop'", "timeout=1")), "half a second at most"),
        (_step("night", _asks("default='drop'", "timeout=0.5").replace("return ", ""), 'return "drop"'), "return the answer"),
    ],
}
RIGHT = {
    "07.1": [_step("gate", _asks().replace("ask(", "await ask("), before="async def"),
             _gate('return ask(f"Print “{shared[\'sentence\']}”?", ["drop", "print"])')],
    "07.2": [_step("sign", 'credit = ask("Who?", schema={"name": str, "year": str})', 'shared["credit"] = {**credit, "year": '
     'int(credit["year"])}')],
    "07.3": [_step("night", _asks("timeout=0.4", "default='drop'"))],
}
