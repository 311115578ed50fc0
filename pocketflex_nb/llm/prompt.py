"""`Prompt`: a text with the names of store keys in braces, filled when it is used."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from pocketflex_nb.core.errors import StoreError, nearest
from pocketflex_nb.core.value_text import value_text

__all__ = ["Prompt"]


class Prompt(string.Formatter):
    """A template over the keys of a store: ``"Write about {topic} in {style[tone]}"``, as `str.format` reads it.

    Parameters
    ----------
    text : str
        ``{{`` and ``}}`` stand for braces.
    what : str
        Whose prompt it is, for messages.

    Raises
    ------
    ValueError
        The braces do not match, or a field has no name.
    TypeError
        It is no text.

    Examples
    --------
    >>> Prompt("Write about {topic}.").fill({"topic": "tides"})
    'Write about tides.'
    """

    def __init__(self, text: str, what: str = "Chat") -> None:
        if not isinstance(text, str):
            told = value_text(text, 60)
            raise TypeError(f"{what}: the prompt is a text with store keys in braces, such as 'Write about {{topic}}', not {told}")
        self.text, self.what = text, what
        try:
            fields = [field for _, field, _, _ in self.parse(text) if field is not None]
        except ValueError as exc:
            told = f"the prompt {value_text(text, 60)} cannot be read ({exc})"
            raise ValueError(f"{what}: {told}; write braces that are meant as {{{{ and }}}}") from None
        for field in fields:
            if not field or field[0].isdigit() or field[0] in "'\"":
                mend = "write {topic}, and braces that are meant as {{ and }}"
                raise ValueError(f"{what}: {{{field}}} in the prompt names no key of the store; {mend}")
        self.keys = list(dict.fromkeys(re.split(r"[.\[]", field, maxsplit=1)[0] for field in fields))

    def fill(self, shared: Any, params: Mapping[str, Any] | None = None) -> str:
        """The text with the values of `shared`; those of `params` come first.

        Raises
        ------
        StoreError
            A key is missing; the message names the nearest.
        """
        return self.vformat(self.text, (), _Values(shared, params or {}, self.what))

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The value of one field."""
        return kwargs[str(key)]


class _Values(Mapping[str, Any]):
    """What a prompt is filled with."""

    def __init__(self, shared: Any, params: Mapping[str, Any], what: str) -> None:
        self._shared, self._params, self._what = shared, params, what

    def __getitem__(self, key: str) -> Any:
        if key in self._params:
            return self._params[key]
        if not isinstance(self._shared, Mapping):
            raise TypeError(f"{self._what} fills {{{key}}} from the store, which is no mapping: {value_text(self._shared, 60)}")
        if key not in self._shared:
            known = [name for name in self._shared if isinstance(name, str)]
            raise StoreError(f"{self._what}: the prompt fills {{{key}}}, and the store has no such key{nearest(key, known)}")
        return self._shared[key]

    def __iter__(self) -> Any:
        return iter([*self._params, *self._shared])

    def __len__(self) -> int:
        return len(self._params) + len(self._shared)
