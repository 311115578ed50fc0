"""Answers to lesson 05: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]

_GATHER = '''
def gather(group):
    done, failed = {{}}, {{}}
    for run in group:
        {body}
    return {given}
'''
_COUNT = '''
def count(store, module, functions):
    {body}
'''
_BRANCH = '''if run.status == "done":
            done[{key}] = run.store["facts"]
        else:
            failed[{key}] = {told}'''
_MODULE = 'run.store["module"]'


def _gather(key: str = _MODULE, told: str = "str(run.error)", given: str = "done, failed") -> str:
    return _GATHER.format(body=_BRANCH.format(key=key, told=told), given=given)


def _of_all(body: str) -> str:
    return _GATHER.format(body=body, given="done, failed")


def _count(body: str) -> str:
    return _COUNT.format(body=body)


def _guarded(before: str, body: str) -> str:
    return f"import threading\n\n{before}\n\n{_count(body)}"


def _choice(press: str, labs: str, desk: str) -> str:
    return f'choice = {{"press": "{press}", "labs": "{labs}", "desk": "{desk}"}}'


SOLUTIONS = {
    "05.1": _gather(),
    "05.2": _count('if store.insert_new(f"counted/{module}", True):\n        store.increment("total", functions)'),
    "05.3": _choice("orchestrator", "queue", "agents"),
}
WRONG = {
    "05.1": [
        ("def gather(group):\n    return dict(zip(MODULES, group.results())), {}", "`results()` does that|first error of the group"),
        (_of_all('done[run.store["module"]] = run.store["facts"]'), "test run.status"),
        (_of_all('done[run.store["module"]] = run.store.get("facts")'), "are among the done"),
        (_gather(key="run"), "The keys are runs"),
        (_gather(key="run.name"), "the runs' names"),
        (_gather(told="run.error"), "The values are the exceptions"),
        (_gather(told="run.status"), "is in run.error"),
        (_gather(given="done"), "two dicts"),
        (_of_all("pass"), "Both are empty"),
        (_of_all('if run.status == "done": done[run.store["module"]] = run.store["facts"]'), "yours names none"),
        (_gather(key='run.store["modul"]'), "modul"),
    ],
    "05.2": [
        (_count('store["total"] = functions'), "replaced the first"),
        (_count('store["total"] = store.get("total", 0) + functions'), "counted again"),
        (_count('if store.insert_new("counted", True):\n        store.increment("total", functions)'), "A second module is not counted"),
        (_count('if store.get(module) is None:\n        store[module] = 1\n        store.increment("total", functions)'), "same moment"),
        (_count('store.insert_new(f"counted/{module}", functions)'), "Nothing is added"),
        (_count('seen = store.setdefault("seen", [])\n    if module not in seen:\n        seen.append(module)\n'
                '        store["total"] = store.get("total", 0) + functions'), "same moment"),
        (_count('if module not in store:\n        store[module] = 1\n        store.increment("total", functions)'), "same moment"),
        (_count('if module not in store.keys():\n        store[module] = 1\n        store.increment("total", functions)'), "same moment"),
        (_count('if module not in list(store):\n        store[module] = 1\n        store.increment("total", functions)'), "same moment"),
        (_count('if not any(key == module for key, _ in store.items()):\n        store[module] = 1\n'
                '        store.increment("total", functions)'), "same moment"),
        (_count('seen = dict(store.get("seen", {}))\n    if module not in seen:\n        store["seen"] = {**seen, module: 1}\n'
                '        store.increment("total", functions)'), "same moment"),
        (_count('try:\n        store[module]\n    except KeyError:\n        store[module] = 1\n'
                '        store.increment("total", functions)'), "same moment"),
        (_count('if not store.pop(module, None):\n        store.increment("total", functions)\n    store[module] = 1'), "same moment"),
        (_count('if store.insert_new(f"counted/{module}", True):\n        store["total"] = store.get("total", 0) + functions'),
         "two modules at the same moment"),
        (_count('store.incremnt("total", functions)'), "incremnt"),
        (_guarded("lock = threading.Lock()", "with lock:\n        if module not in store:\n            store[module] = 1\n"
                  '            store.increment("total", functions)'), "one kernel"),
        (_guarded("lock = threading.Condition()", "with lock:\n        if not store.get(module):\n            store[module] = 1\n"
                  '            store.increment("total", functions)'), "one kernel"),
        (_guarded("seen = set()", 'if module not in seen:\n        seen.add(module)\n        store.increment("total", functions)'),
         "a variable of this kernel"),
        (_guarded("seen = {}", 'if seen.setdefault((id(store), module), store) is store and not seen.get((id(store), module, 1)):\n'
                  '        seen[id(store), module, 1] = 1\n        store.increment("total", functions)'), "same moment|a variable of this "
                   "kernel"),
        (_count('if store.insert_new(f"counted/{functions}", True):\n        store.increment("total", functions)'), "contain the module's "
         "name"),
        (_count('if functions not in store.setdefault("seen", []):\n        store.update("seen", lambda seen: [*seen, functions])\n'
                '        store.increment("total", functions)'), "contain the module's name"),
        (_count('store[module] = functions\n    store["total"] = sum(n for key, n in store.items() if key != "total")'), "two modules at "
         "the same moment"),
    ],
    "05.3": [
        (_choice("queue", "queue", "agents"), "gather forty results"),
        (_choice("orchestrator", "orchestrator", "agents"), "runs in one program"),
        (_choice("orchestrator", "queue", "orchestrator"), "open all day"),
        (_choice("agents", "queue", "agents"), "keep running when the work is done"),
        (_choice("orchestrator", "agents", "agents"), "mailbox is lost"),
        (_choice("orchestrator", "queue", "queue"), "at some time"),
        (_choice("orchestrator", "queue", "agent"), "the choices are orchestrator"),
        ('choice = {"press": "orchestrator", "labs": "queue"}', "Nothing is chosen for desk"),
        (_choice("Orchestrator", "queue", "agents"), "the choices are orchestrator"),
        ('choice = {"press": "orchestrator", "lab": "queue", "desk": "agents"}', "Nothing is chosen for labs"),
        ('choice = ["orchestrator", "queue", "agents"]', "is a dict"),
    ],
}
RIGHT = {
    "05.1": [_of_all('try:\n            run.result()\n            done[run.store["module"]] = run.store["facts"]\n        except '
     'Exception as exc:\n'
                     '            failed[run.store["module"]] = repr(exc)')],
    "05.2": [_count('if store.increment(f"times/{module}") == 1:\n        store.increment("total", functions)'),
             _count('if store.insert_new(module, functions):\n        store.update("total", lambda total: total + functions, default=0)'),
             _count('with store.lock("total"):\n        if module not in store:\n            store[module] = 1\n'
                    '            store["total"] = store.get("total", 0) + functions')],
    "05.3": ['choice = dict(press="orchestrator", labs="queue", desk="agents")'],
}
