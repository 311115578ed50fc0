"""Answers to lesson 08: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["SOLUTIONS", "WRONG"]

_MOVE = 'moved = program.replace("from pocketflow import", "{}")'
_TEAM = "load, words, lines, report = Load(), Words(), Lines(), Report()\n"

SOLUTIONS = {
    "08.1": _MOVE.format("from pocketflex_nb.pocketflow import"),
    "08.2": "loud = Flow(start=picky, strict=True)",
    "08.3": _TEAM + "load >> [words, lines] >> report\nteam = Flow(start=load)",
}
WRONG = {
    "08.1": [
        ('program.replace("from pocketflow import", "x")\nmoved = program', "Nothing has changed"),
        (_MOVE.format("from pocketflex_nb import"), "own names"),
        ('moved = program.replace("pocketflow", "pocketflex")', "pocketflex"),
        ('moved = program + "\\nprint(1)"', "More has changed"),
        ("moved = 8", "not the text"),
    ],
    "08.2": [
        ("loud = Flow(start=picky)", "still ends early"),
        ("loud = picky", "That is the node"),
        ("loud = True", "is a bool"),
        ('picky2 = Picky()\npicky2 - "aprove" >> Publish()\nloud = Flow(start=picky2)', "mended the word"),
    ],
    "08.3": [
        ('load, words, lines, report = Load(), Words(), Lines(), Report()\nload >> [lines, words, report]\n'
         'team = Flow(start=load)',
         "waits for neither"),
        ('load, words, lines, report = Load(), Words(), Lines(), Report()\nload >> [lines, words]\n'
         'lines >> report\nteam = Flow(start=load)',
         "KeyError|waits for the lines only|waits for"),
        (_TEAM + "load >> words >> lines >> report\nteam = Flow(start=load)", "one after the other"),
        (_TEAM + "team = load >> [words, lines] >> report", "gives back its target"),
        (_TEAM + "load >> [words, lines]\nteam = Flow(start=load)", "Nobody reports"),
        (_TEAM + "load >> words >> report\nteam = Flow(start=load)", "has no arrow"),
    ],
}
