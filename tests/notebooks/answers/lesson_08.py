"""Answers to lesson 08: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]

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
        ('moved = program.replace("pocketflow", "pocketflow_nb")', "pocketflow_nb"),
        ('moved = program.replace("AsyncNode", "Node")', "More has changed"),
        ('moved = "from pocketflex_nb.pocketflow import AsyncFlow, AsyncNode"', "More has changed"),
        (_MOVE.format("from pocketflex_nb.pocket_flow import"), "pocket_flow"),
        ('moved = program.replace("AsyncFlow, AsyncNode", "Flow, Node")', "Your code raised|still PocketFlow"),
    ],
    "08.2": [
        ("loud = Flow(start=picky)", "still ends early"),
        ("loud = picky", "That is the node"),
        ("loud = True", "is a bool"),
        ('picky2 = Picky()\npicky2 - "aprove" >> Publish()\nloud = Flow(start=picky2)', "the names agree"),
        ("loud = quiet", "still ends early"),
        ("loud = Flow(start=picky, strict=False)", "still ends early"),
        ("loud = Flow(start=Publish(), strict=True)", "does not start at picky"),
        ('def made():\n    class Picky(Node):\n        def post(self, shared, prep_res, exec_res):\n            raise '
         'RuntimeError("aprove")\n\n'
         '    return Picky()\n\n\nloud = Flow(start=made())',
         "an error of its own"),
        ('class Picky2(Picky):\n    def post(self, *_):\n        return "approve"\n\n\nloud = Flow(start=Picky2(), strict=True)', "does "
         "not start at picky"),
        ("loud = Flow(start=picky, max_steps=1)", "still ends early|needs an option"),
    ],
    "08.3": [
        ('load, words, lines, report = Load(), Words(), Lines(), Report()\nload >> [lines, words, report]\n'
         'team = Flow(start=load)',
         "waits for neither"),
        ('load, words, lines, report = Load(), Words(), Lines(), Report()\nload >> [lines, words]\n'
         'lines >> report\nteam = Flow(start=load)',
         "waits for lines only"),
        (_TEAM + "load >> words >> lines >> report\nteam = Flow(start=load)", "one after the other"),
        (_TEAM + "team = load >> [words, lines] >> report", "returns its target"),
        (_TEAM + "load >> [words, lines]\nteam = Flow(start=load)", "does not run"),
        (_TEAM + "load >> words >> report\nteam = Flow(start=load)", "has no arrow"),
        (_TEAM + "load >> [words, lines]\nwords >> report\nlines >> Report()\nteam = Flow(start=load)", "two reports"),
        (_TEAM + "load >> [words, lines] >> report\nteam = Flow(start=words)", "load has to run first"),
        (_TEAM + "load >> [words, lines]\nwords >> report\nteam = Flow(start=load)", "waits for words only"),
        (_TEAM + "load >> [words, report]\nteam = Flow(start=load)", "waits for neither"),
    ],
}
RIGHT = {
    "08.1": ['moved = program.replace("from pocketflow ", "from pocketflex_nb.pocketflow ")',
             'moved = program.replace("pocketflow", "pocketflex_nb.pocketflow")'],
    "08.2": ["loud = Flow(picky, strict=True)"],
    "08.3": [_TEAM + "load >> [lines, words] >> report\nteam = Flow(load)",
             _TEAM + "load >> [words, lines]\nwords >> report\nlines >> report\nteam = Flow(start=load)"],
}
