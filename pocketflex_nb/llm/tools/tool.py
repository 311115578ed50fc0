"""`tool`: makes a function, a flow or an agent into something that a model can call."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, overload

from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.input_keys import input_fields
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.flow.option_checks import check_seconds
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.engine.control.answer_conversion import fitted
from pocketflex_nb.engine.walk.dispatch import is_async
from pocketflex_nb.llm.errors import BadTool
from pocketflex_nb.llm.tools.docstrings import read_docstring
from pocketflex_nb.llm.tools.json_schema import NoSchema, Schema, hints_of, object_schema

__all__ = ["BadArguments", "Tool", "ToolTarget", "as_tools", "result_text", "tool"]

#: what a tool may be made of
ToolTarget = Callable[..., Any] | Flow | AgentRef
_UNDECLARED = (
    "tool({!r}): which keys of its store the model fills is not declared: Flow(..., inputs=['topic'], outputs=['draft']), "
    "or tool(flow, inputs={{'topic': str}})"
)
#: characters of a result that the model gets
_RESULT_LIMIT = 20_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")
#: how a model is told to call an agent
_MESSAGE: Schema = {
    "type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"], "additionalProperties": False,
}


#: name, description, schema and types of what a tool is made of
_Parts = tuple[str, str, Schema, Mapping[str, object]]


class BadArguments(ValueError):
    """Arguments that a tool cannot be called with; the message is for the model."""


class Tool:
    """What a model can call; made by `tool`.

    Attributes
    ----------
    name, description : str
        As the model sees them.
    schema : dict
        JSON schema of the parameters: an object.
    target : callable, Flow or AgentRef
        What is called.
    timeout : float or None
        Seconds that a call may take.
    max_retries : int
        Tries of a call in all.

    Examples
    --------
    >>> from pocketflex_nb.llm import tool
    >>> @tool
    ... def add(a: int, b: int = 1) -> int:
    ...     '''Add two numbers.'''
    ...     return a + b
    >>> add.name, add.description, add.schema["required"]
    ('add', 'Add two numbers.', ['a'])
    >>> add(2, b=3)
    5
    """

    def __init__(
        self, target: ToolTarget, name: str, description: str, schema: Schema, *, kinds: Mapping[str, object] | None = None,
        timeout: float | None = None, max_retries: int = 1,
    ) -> None:
        self.target, self.name, self.description, self.schema = target, name, description, schema
        self.timeout, self.max_retries = timeout, max_retries
        self._kinds = kinds or {}
        if not isinstance(target, (Flow, AgentRef)):
            functools.update_wrapper(self, target)

    @property
    def is_async(self) -> bool:
        """Whether calling it gives something to await."""
        return not isinstance(self.target, Flow) and (isinstance(self.target, AgentRef) or is_async(self.target))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it is; an agent is awaited. A flow has no call of its own: it runs as a part of the `tool_agent`."""
        if isinstance(self.target, Flow):
            raise TypeError(f"the tool {self.name!r} is a flow: run it with flow.run(store), or give it to a tool_agent")
        if isinstance(self.target, AgentRef):
            return self.target.call(*args, timeout=self.timeout, **kwargs)
        return self.target(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name}({', '.join(self.schema['properties'])})>"

    def specification(self) -> dict[str, Any]:
        """Name, description and schema in the form that models take."""
        return {"type": "function", "function": {"name": self.name, "description": self.description, "parameters": self.schema}}

    def arguments(self, text: str) -> dict[str, Any]:
        """The arguments that the model wrote as JSON, checked against the schema's names and the function's types.

        Parameters
        ----------
        text : str
            A JSON object; ``""`` stands for none.

        Returns
        -------
        dict
            As they were read: plain JSON values.

        Raises
        ------
        BadArguments
            It is no JSON, or a name or value does not fit.
        """
        given = _read(text)
        known = self.schema["properties"]
        if unknown := [name for name in given if name not in known]:
            raise BadArguments(f"{self.name} has no parameter {unknown[0]!r}{nearest(unknown[0], known)}")
        if missing := [name for name in self.schema.get("required", ()) if name not in given]:
            raise BadArguments(f"{self.name} needs the argument {missing[0]!r}")
        self.converted(given)
        return given

    def converted(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The same as values of the function's types.

        Parameters
        ----------
        arguments : mapping of str to object
            What `arguments` gave.

        Raises
        ------
        BadArguments
            One cannot be converted.
        """
        kinds = {name: self._kinds[name] for name in arguments if name in self._kinds}
        try:
            made: Any = fitted({name: arguments[name] for name in kinds}, kinds)
        except ValueError as exc:
            raise BadArguments(f"{self.name}: {str(exc).replace('field', 'argument', 1)}") from None
        return {**arguments, **made}


def _read(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text) if text.strip() else {}
        given = json.loads(given) if isinstance(given, str) else given  # some models quote their JSON once more
    except ValueError as exc:
        raise BadArguments(f"the arguments are not valid JSON ({exc}); they end with {text[-40:]!r}") from None
    if not isinstance(given, dict):
        raise BadArguments(f"the arguments must be a JSON object, not {value_text(given, 60)}")
    return given


@overload
def tool(
    target: ToolTarget, /, *, name: str | None = None, description: str | None = None,
    inputs: Mapping[str, object] | Iterable[str] | None = None, timeout: float | None = None, max_retries: int = 1,
) -> Tool: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None, timeout: float | None = None, max_retries: int = 1
) -> Callable[[ToolTarget], Tool]: ...


def tool(
    target: ToolTarget | None = None, /, *, name: str | None = None, description: str | None = None,
    inputs: Mapping[str, object] | Iterable[str] | None = None, timeout: float | None = None, max_retries: int = 1,
) -> Any:
    """Make a tool of a function, a flow, or an agent's ref: ``@tool`` above a function, or ``tool(flow)``.

    Parameters
    ----------
    target : callable, Flow or AgentRef
        A function, plain or async, with annotated parameters; it stays callable. A flow, whose inputs are the parameters. An agent,
        which is called with one message.
    name : str, optional
        Default: the function's, flow's or agent's.
    description : str, optional
        Default: the docstring's text above its sections.
    inputs : mapping of str to type, or names, optional
        Of a flow: the keys of its store that the model fills. Default: its ``inputs=``, or the key that a `tool_agent` reads, or those that
        its nodes read.
    timeout : float, optional
        Seconds that a call may take.
    max_retries : int
        Tries of a call in all, before the model is told the error.

    Returns
    -------
    Tool
        With `name`, `description` and `schema`.

    Raises
    ------
    BadTool
        It is no function, or a parameter has no annotation or one that JSON has no form for.

    Examples
    --------
    >>> from typing import Literal
    >>> @tool
    ... def search(query: str, k: int = 3, order: Literal["best", "new"] = "best") -> list[str]:
    ...     '''Search the documentation.'''
    ...     return [f"{order} result {n} for {query}" for n in range(k)]
    >>> search.schema["properties"]["k"]
    {'type': 'integer', 'default': 3}
    >>> search("tides", 1)
    ['best result 0 for tides']
    """
    check_seconds("tool", timeout)
    if not isinstance(max_retries, int) or max_retries < 1:
        raise ValueError(f"tool(max_retries={max_retries!r}): at least 1 try is needed")
    if target is None:
        return lambda function: tool(
            function, name=name, description=description, inputs=inputs, timeout=timeout, max_retries=max_retries
        )
    if isinstance(target, Tool):
        return target
    if inputs is not None and not isinstance(target, Flow):
        raise BadTool(f"tool(inputs=...): {value_text(target, 60)} is no flow; a function's parameters are its inputs")
    make: Callable[[Any, str | None, object], _Parts] = (
        _flow_parts if isinstance(target, Flow) else _agent_parts if isinstance(target, AgentRef) else _function_parts
    )
    own_name, told, schema, kinds = make(target, name, inputs)
    return Tool(
        target, _checked_name(name or own_name), told if description is None else description, schema, kinds=kinds, timeout=timeout,
        max_retries=max_retries,
    )


def _function_parts(target: Any, name: str | None, _: object) -> _Parts:
    inner = target
    while isinstance(inner, functools.partial):
        inner = inner.func
    if isinstance(inner, BaseNode):
        raise BadTool(f"tool({value_text(inner, 60)}): a node alone is no tool; put it into a flow: tool(Flow(node, name=...))")
    if isinstance(inner, type) or not callable(inner):
        raise BadTool(f"tool({value_text(inner, 60)}): a function, a Flow or an agent's ref is needed, and this is {_article(inner)}")
    if not inspect.isroutine(inner) and type(inner).__call__ is not object.__call__:
        own_name, spoken = type(inner).__name__, inner.__doc__
        inner = type(inner).__call__
    else:
        own_name, spoken = inner.__name__, inner.__doc__
    if own_name == "<lambda>" and name is None:
        raise BadTool("tool(lambda ...): a tool needs a name and annotated parameters: write it with def")
    told, about = read_docstring(spoken)
    try:
        parameters = inspect.signature(target).parameters
        hints = hints_of(inspect.unwrap(inner))
    except ValueError:
        raise BadTool(f"tool({own_name}): its signature cannot be read; wrap it in a function with annotated parameters") from None
    except NoSchema as exc:
        raise BadTool(f"tool {own_name!r}: {exc}") from None
    kinds = {}
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            mend = f"write each parameter out: `{own_name}(query: str)`"
            raise BadTool(f"tool {own_name!r}: {str(parameter)!r} cannot be given by name; {mend}")
        if parameter.name not in hints:
            mend = f"write `{parameter.name}: str`, or what it is"
            raise BadTool(f"tool {own_name!r}: parameter {parameter.name!r} has no annotation; {mend}")
        kinds[parameter.name] = hints[parameter.name]
    defaults = {p.name: p.default for p in parameters.values() if p.default is not p.empty}
    return own_name, told, _object(own_name, kinds, about, defaults), kinds


def _flow_parts(target: object, name: str | None, inputs: object) -> _Parts:
    own_name = target.__dict__.get("name") or ""
    if not own_name and name is None:
        raise BadTool(f"tool({target!r}): a flow that is a tool needs a name: Flow(start, name='research'), or tool(flow, name='research')")
    kinds, needed = _flow_inputs(target, inputs)
    told, about = read_docstring(type(target).__doc__ if type(target).__module__.partition(".")[0] != "pocketflex_nb" else "")
    return own_name, told or f"Run the flow {name or own_name}.", _object(name or own_name, kinds, about, {}) | {"required": needed}, kinds


def _flow_inputs(flow: Any, inputs: Any) -> tuple[dict[str, object], list[str]]:
    """The keys that a call fills, with their types, and those that it must: as declared, else those that its nodes read."""
    reads = getattr(flow, "reads", None)
    if isinstance(inputs, Mapping):
        kinds = dict(inputs)
    elif inputs is not None:
        kinds = dict.fromkeys([inputs] if isinstance(inputs, str) else map(str, inputs), str)
    elif flow._pfx_private is not None and flow._pfx_private.takes:
        kinds = dict.fromkeys(map(str, flow._pfx_private.takes), str)
    elif isinstance(reads, str):
        kinds = {reads: str}
    elif fields := input_fields(flow):
        return {field.key: object for field in fields}, [field.key for field in fields if field.is_needed]
    else:
        raise BadTool(_UNDECLARED.format(flow))
    return kinds, list(kinds)


def _agent_parts(target: AgentRef, name: str | None, _: object) -> _Parts:
    own_name = target.name or ""
    return own_name, f"Send a message to the agent {name or own_name}, and get its reply.", dict(_MESSAGE), {"message": str}


def _object(name: str, kinds: Mapping[str, object], about: Mapping[str, str], defaults: Mapping[str, object]) -> Schema:
    try:
        return object_schema(kinds, [each for each in kinds if each not in defaults], about, defaults)
    except NoSchema as exc:
        raise BadTool(f"tool {name!r}: parameter {exc}") from None


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise BadTool(f"tool(name={value_text(name, 60)}): a text is needed")
    return name if _NAME.fullmatch(name) else _FOREIGN.sub("_", name).strip("_")[:64] or "tool"


def _article(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"


def as_tools(given: object, what: str) -> list[Tool]:
    """A list of tools, of tools and of what can be one; the names differ.

    Raises
    ------
    BadTool
        One cannot be a tool, or two have the same name.
    """
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise BadTool(f"{what}(tools={value_text(given, 60)}): a list of tools is needed, such as [search, read]")
    tools = [tool(each) for each in given]
    names: set[str] = set()
    for each in tools:
        if each.name in names:
            raise BadTool(f"{what}: two tools are named {each.name!r}; give one another name: tool(fn, name={each.name + '_2'!r})")
        names.add(each.name)
    return tools


def result_text(value: object) -> str:
    """The result of a tool as the text that the model gets: a text as it is, anything else as JSON; bounded."""
    text = value if isinstance(value, str) else "done" if value is None else json.dumps(_plain(value), ensure_ascii=False, default=_plain)
    if len(text) <= _RESULT_LIMIT:
        return text
    return f"{text[:_RESULT_LIMIT]}\n… cut: {len(text) - _RESULT_LIMIT} characters more"


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, (str, int, float, bool, list, tuple, dict, type(None))):
        return value
    return str(value)
