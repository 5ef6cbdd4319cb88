"""A condition in the Common Expression Language over the fields of a record -> does a record fulfil it?

CEL (https://cel.dev) has no loops but over lists and maps that are there, no assignment, and no access to anything but the
fields it is given, so a condition always ends.  Its cost is bounded by its length: loops inside of loops are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

LONGEST = 2_000  # characters of a condition
MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})  # they go through a list
_MISSING = "no such member in mapping"
FUNCTIONS = frozenset({
    "contains", "endsWith", "matches", "size", "startsWith", "bool", "bytes", "double", "has", "int", "string", "type", "uint",
})  # fmt: skip


class ConditionError(ValueError):
    """A condition that cannot be read, or that a record does not fit; the message says what and where."""


class Condition:
    """A condition, read once.

    Parameters
    ----------
    text : str
    fields : mapping, name -> any value of its type
        What a record has.

    Raises
    ------
    ConditionError
        With line and column.
    """

    def __init__(self, text: str, fields: Mapping[str, Any]) -> None:
        celpy = _library()
        if len(text) > LONGEST:
            raise ConditionError(f"{len(text)} characters, more than {LONGEST}")
        environment = celpy.Environment()
        try:
            tree = environment.compile(text)
        except celpy.CELParseError as error:
            where = f"line {error.line}, column {error.column}: " if error.line and error.column else ""
            raise ConditionError(f"{where}this is no condition in CEL") from None
        for problem in _problems(tree, frozenset(fields)):
            raise ConditionError(problem)
        self._program = environment.program(tree)
        try:
            self.matches(prepared(fields))  # what has the wrong type for every record is said now
        except ConditionError as error:
            if _MISSING not in str(error):  # other records may have it
                raise

    def matches(self, record: Any) -> bool:
        """Is it true of a record, as `prepared`?

        Raises
        ------
        ConditionError
            It is neither true nor false of this record.
        """
        celpy = _library()
        try:
            found = self._program.evaluate(record)
        except celpy.CELEvalError as error:
            raise ConditionError(str(error.args[0])[:200] if error.args else "it cannot be evaluated") from None
        if not isinstance(found, bool | celpy.celtypes.BoolType):
            raise ConditionError(f"it is {str(found)[:100]!r}, neither true nor false")
        return bool(found)


def prepared(record: Mapping[str, Any]) -> Any:
    """A record as conditions take it, made once for all of them; its values are texts, numbers, and maps of texts."""
    to_cel = _library().json_to_cel
    return {name: to_cel(value) for name, value in record.items()}


@cache
def _library() -> Any:
    """The library, read where a condition is first needed: it takes a moment to load."""
    import celpy
    import celpy.celtypes

    return celpy


def _problems(tree: Any, fields: frozenset[str]) -> Iterator[str]:
    """What a condition names that there is not, and loops in loops."""
    bound = {str(name) for macro in _macros(tree) for name in _names(macro.children[2].children[0])}
    for name in _names(tree):
        if str(name) not in fields | bound:
            yield f"{_at(name)}there is no field {str(name)!r}: there are {', '.join(sorted(fields))}"
    for call in [*tree.find_data("member_dot_arg"), *tree.find_data("ident_arg"), *tree.find_data("dot_ident_arg")]:
        name = call.children[1 if call.data == "member_dot_arg" else 0]
        if str(name) not in FUNCTIONS | MACROS:
            yield f"{_at(name)}there is no function {str(name)!r}: there are {', '.join(sorted(FUNCTIONS | MACROS))}"
    for macro in _macros(tree):
        if any(_macros(child) for child in macro.children if hasattr(child, "find_data")):
            yield f"{_at(macro.children[1])}a loop over a list inside of another could take for ever"


def _macros(tree: Any) -> list[Any]:
    return [
        call for call in tree.find_data("member_dot_arg") if str(call.children[1]) in MACROS and len(call.children) > 2
    ]


def _names(tree: Any) -> list[Any]:
    """Names that stand by themselves: fields, and what a macro calls an item."""
    return [ident.children[0] for ident in tree.find_data("ident")]


def _at(token: Any) -> str:
    return f"line {token.line}, column {token.column}: "
