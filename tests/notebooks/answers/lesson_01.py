"""Answers to lesson 01: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]

_LONGEST = '''
class Longest(Node):
    def prep(self, shared):
        {prep}

    def exec(self, source):
        {exec}

    def post(self, shared, prep_res, exec_res):
        {post}


longest = {make}
'''
_PARTS = {
    "prep": 'return shared["source"]',
    "exec": "return max(source.splitlines(), key=len)",
    "post": 'shared["longest"] = exec_res',
    "make": "Longest()",
}


def _longest(**changed: str) -> str:
    return _LONGEST.format(**{**_PARTS, **changed})


_WIRE = '''
read, longest, judge, short_story, novel = Read(), Longest(), Judge(), ShortStory(), Novel()
{arrows}
my_flow = {flow}
'''
_ARROWS = '''
read >> longest >> judge
judge - "short" >> short_story
judge - "long" >> novel
'''


def _wire(arrows: str = _ARROWS, flow: str = "Flow(start=read)") -> str:
    return _WIRE.format(arrows=arrows, flow=flow)


_THREE = '''
class Saga(Node):
    def post(self, shared, prep_res, exec_res):
        shared["verdict"] = f"{{shared['module']}} is a saga"


class MyJudge(Judge):
    def post(self, shared, prep_res, exec_res):
        shared["lines"] = exec_res
        {post}


my_judge = MyJudge()
my_judge - "short" >> ShortStory()
my_judge - "long" >> Novel()
{arrow}

three_ways = Flow(start=my_judge, name="three_ways")
'''
_POST = 'return "huge" if exec_res > 2000 else "short" if exec_res < 300 else "long"'


def _three(post: str = _POST, arrow: str = 'my_judge - "huge" >> Saga()') -> str:
    return _THREE.format(post=post, arrow=arrow)


_CAREFUL = '''
class CarefulRead(Read):
    {body}


careful = {make}
'''


def _careful(body: str = 'def exec_fallback(self, module, exc): return ""', make: str = "CarefulRead(max_retries=3)") -> str:
    return _CAREFUL.format(body=body, make=make)


SOLUTIONS = {"01.1": _longest(), "01.2": _wire(), "01.3": _three(), "01.4": _careful()}
WRONG = {
    "01.1": [
        (_longest(exec="return source.splitlines()[-1]"), "whose longest is number 1"),
        (_longest(exec="return max(source.splitlines()[:100], key=len)"), "whose longest is number 151"),
        (_longest(make="Longest"), "Make a node by calling it"),
        (_longest(make="max"), "not a node"),
        (_longest(exec='return max(shared["source"].splitlines(), key=len)'), "exec has no access to the store"),
        (_longest(prep='shared["source"]'), "prep has to return"),
        (_longest(prep='return shared["text"]'), "under \"source\""),
        (_longest(post="return exec_res"), "is an action, and not the result"),
        (_longest(post="pass"), "The store has no \"longest\""),
        (_longest(exec="return max(len(line) for line in source.splitlines())"), "That is the length of the line"),
        (_longest(exec="return max(source.splitlines())"), "tell max what to compare"),
        (_longest(exec="return max(source.split(), key=len)"), "splitlines() gives the lines"),
        (_longest(exec="return sourse"), "name 'sourse' is not defined"),
    ],
    "01.2": [
        (_wire(flow="read >> longest"), "returns b, a node"),
        (_wire(flow="Flow(start=longest)"), "nothing has been read yet"),
        (_wire(flow="Flow(start=judge)"), "the source has to be read first"),
        (_wire(flow='"read >> longest"'), "is a str"),
        (_wire(_ARROWS.replace(">> longest ", "")), "and not through your node"),
        (_wire(_ARROWS.replace(" >> judge", "")), "The run ends at your node"),
        (_wire(_ARROWS.replace("longest >> judge", "judge").replace("novel", "longest >> novel")), "The run went|should begin with"),
        (_wire("read >> longest >> judge"), "judge needs both its arrows"),
        (_wire(_ARROWS.replace('"short" >> short_story', '"short" >> novel').replace('"long" >> novel', '"long" >> short_story')),
         "should end with Judge → Novel"),
        (_wire(_ARROWS.replace('judge - "short" >> short_story', "")), "On the action \"short\""),
        (_wire(_ARROWS.replace('judge - "long" >> novel', "")), "On the action \"long\""),
        (_wire(_ARROWS + "novel >> longest >> judge"), "should end with|Your code raised"),
    ],
    "01.3": [
        (_three(post=_POST.replace("> 2000", ">= 2000")), "A module of 2000 lines goes to Saga"),
        (_three(post=_POST.replace("> 2000", "> 2500")), "A module of 2001 lines goes to Novel"),
        (_three(post=_POST.replace("< 300", "<= 300")), "A module of 300 lines goes to ShortStory"),
        (_three(post='return "short" if exec_res < 300 else "long" if exec_res < 2000 else "big"'), "returned 'big', and not 'huge'"),
        (_three(post='return "short" if exec_res < 300 else "long" if exec_res > 300 else "huge"'), "test for more than 2 000 lines first"),
        (_three(arrow=""), "no arrow has that name"),
        (_three(arrow='my_judge - "huge" >> Novel()'), "leads to Novel, and not to saga"),
        (_three(post='return "huge" if exec_res > 2000 else "short"'), "with 600 at ShortStory"),
        (_three(post=_POST.replace("huge", "Huge")), "and not 'huge'"),
        (_three(post='return "huge" if exec_res > 20000 else "short" if exec_res < 300 else "long"'),
         "test for more than 2 000 lines first"),
        (_three(post=_POST.replace("< 300", "< 200")), "A module of 299 lines goes to Novel|A module of 300"),
        (_three(post='return "huge"'), "With 10 lines the run ends at Saga"),
    ],
    "01.4": [
        (_careful(body='def exec(self, module):\n        try: return super().exec(module)\n        except Exception: return ""'),
         "makes only one"),
        (_careful(make="CarefulRead"), "Make a node of it"),
        (_careful(make="CarefulRead()"), "It makes 1 attempt:"),
        (_careful(make="CarefulRead(max_retries=2)"), "counts all attempts"),
        (_careful(body="pass"), "still fails"),
        (_careful(body='def exec_fallback(self, exc): return ""'), "gets two arguments"),
        (_careful(body="def exec_fallback(self, module, exc): pass"), "became None"),
        (_careful(body='def exec_fallback(self, module, exc): return "not there"'), "and should be empty"),
        (_careful(body='def exec(self, module): return ""'), "textwrap is not read"),
        (_careful(make="CarefulRead(max_retries=4)"), "It makes 4 attempts"),
        (_careful(body="def exec_fallback(self, module, exc): raise exc"), "still fails"),
        (_careful(body='def exec_fallback(self, module, exc): return []'), "and should be empty"),
    ],
}
RIGHT = {
    "01.1": [_longest(exec="return sorted(source.splitlines(), key=len)[-1]"), _longest(prep='return shared.get("source", "")')],
    "01.2": [_wire("longest >> judge\nread >> longest\njudge - 'long' >> novel\njudge - 'short' >> short_story"),
             _wire(flow='Flow(read, name="mine")')],
    "01.3": [_three(post='return "short" if exec_res < 300 else "long" if exec_res <= 2000 else "huge"')],
    "01.4": [_careful(make="CarefulRead(3)"), _careful(body="def exec_fallback(self, prep_res, exc): return ''")],
}
