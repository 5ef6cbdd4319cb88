"""A YAML file -> settings: variables of the environment, durations, unknown names; every error says where.

Scalars are read as the type of their setting wants them, not as YAML guesses: a password of digits stays a text, and a
number from the environment is a number.  Only values hold variables: a file's structure never depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import yaml

from aiops.errors import UserError
from streams import durations

S = TypeVar("S", bound=msgspec.Struct)

_DOLLAR = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
NEVER = "never"
LARGEST_FILE = 1 << 20  # bytes; whatever is larger is no configuration


@dataclass(slots=True)
class Loaded(Generic[S]):
    """Settings of a file, and what a check of it wants to say.

    Attributes
    ----------
    settings : Section
    defaulted : list of str
        Variables that are not set, and whose default stands in the file.
    """

    settings: S
    defaulted: list[str]


@dataclass(slots=True)
class _Reader:
    environment: Mapping[str, str]
    sections: dict[str, list[str]]  # name of a setting -> full names
    problems: list[str] = field(default_factory=list)
    defaulted: list[str] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    # ---- by type ------------------------------------------------------------------------------------------------------
    def value(self, node: yaml.Node, wanted: Any, path: str) -> Any:
        self.lines[path] = node.start_mark.line + 1
        kind, meant, optional = unpacked(wanted)
        if fields := fields_of(kind):
            return {
                key: self.value(below, fields[key], _join(path, key))
                for key, below in self.entries(node, path, list(fields))
            }
        if get_origin(kind) in (list, tuple):
            if not isinstance(node, yaml.SequenceNode):
                return self.problem(node, path, "a list is expected")
            inner = get_args(kind)[0]
            return [self.value(below, inner, f"{path}[{i}]") for i, below in enumerate(node.value)]
        if get_origin(kind) is dict:
            found = {}
            for key, below in self.entries(node, path, None):
                self.lines[_join(path, key)] = below.start_mark.line + 1
                found[key] = self.text(below, _join(path, key))
            return found
        if meant == "secret":
            return self.text(node, path)
        if meant is not None:
            return self.meant(node, meant, optional, path)
        if kind is str or get_origin(kind) is Literal:
            return self.text(node, path)
        return self.scalar(node, path)

    def entries(self, node: yaml.Node, path: str, known: list[str] | None) -> Iterator[tuple[str, yaml.Node]]:
        if isinstance(node, yaml.ScalarNode) and _is_null(node):
            return  # a section whose settings are all commented out
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, path, "names with values are expected")
            return
        seen: set[str] = set()
        for key_node, below in node.value:
            key = key_node.value
            if not isinstance(key, str):
                self.problem(key_node, path, "a name is no list or mapping")
            elif key in seen:
                self.problem(key_node, _join(path, key), "is there twice")
            elif known is not None and key not in known:
                self.problem(key_node, _join(path, key), f"no such setting{self.near(key, path, known)}")
            else:
                seen.add(key)
                yield key, below

    def near(self, key: str, path: str, known: list[str]) -> str:
        """What may have been meant."""
        if near := get_close_matches(key, known, 1):
            return f"; did you mean {_join(path, near[0])}?"
        if "." in key:
            return "; properties of librdkafka stand under kafka, consumer or producer"
        if elsewhere := get_close_matches(key, self.sections, 1, 0.8):
            return f"; did you mean {' or '.join(self.sections[elsewhere[0]])}?"
        return f"; there are {', '.join(known)}"

    # ---- scalars ------------------------------------------------------------------------------------------------------
    def text(self, node: yaml.Node, path: str) -> Any:
        """The text as it stands in the file, whatever YAML makes of it."""
        if isinstance(node, yaml.ScalarNode) and not _is_null(node):
            return self.filled(node, path)
        return self.problem(node, path, "a value is expected")

    def scalar(self, node: yaml.Node, path: str) -> Any:
        """A number or a truth value, as YAML reads what the file and the environment say together."""
        text = self.text(node, path)
        quoted = getattr(node, "style", None) is not None
        if text is None or (quoted and "$" not in node.value):  # what is quoted is a text
            return text
        tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        try:
            value = _CONSTRUCTOR.construct_object(yaml.ScalarNode(tag, text))
        except ValueError:
            return text
        if isinstance(value, float) and value - value != 0:
            return self.problem(node, path, "a finite number is expected")
        return value

    def meant(self, node: yaml.Node, meant: str, optional: bool, path: str) -> Any:
        """A text that stands for a number; what is wrong with a key does not show it."""
        if (text := self.text(node, path)) is None or (optional and text == NEVER):
            return None
        try:
            return durations.parse(text) if meant == "duration" else int(text, 0)
        except ValueError as error:
            said = (
                str(error)
                if meant == "duration"
                else "a whole number is expected, decimal or 0x and hexadecimal digits"
            )
            return self.problem(node, path, said + (f"; or {NEVER}" if optional else ""))

    def filled(self, node: yaml.ScalarNode, path: str) -> str | None:
        """A value with the environment's variables filled in."""
        failed = False

        def variable(match: re.Match[str]) -> str:
            nonlocal failed
            dollar, name, default = match.groups()
            if dollar:
                return "$"
            if name is None:
                said = "a dollar sign begins ${NAME} or ${NAME:-default}; write $$ where one is meant"
            elif default is not None:
                if not self.environment.get(name):  # as in a shell: empty is not set
                    self.defaulted.append(name)
                    return default
                return self.environment[name]
            elif name in self.environment:
                return self.environment[name]
            else:
                said = f"the environment variable {name} is not set, and ${{{name}}} gives no default"
            self.problem(node, path, said)
            failed = True
            return ""

        text = _DOLLAR.sub(variable, node.value)
        return None if failed else text

    def problem(self, node: yaml.Node, path: str, said: str) -> None:
        self.problems.append(f"line {node.start_mark.line + 1}: {path or 'the file'}: {said}")


def read(path: Path, kind: type[S], environment: Mapping[str, str]) -> Loaded[S]:
    """Read a file.

    Raises
    ------
    UserError
        All that is wrong, in one line.
    """
    node = _tree(path)
    reader = _Reader(environment, _everywhere(kind))
    data = {} if node is None else reader.value(node, kind, "")
    if reader.problems:
        raise UserError(f"{path}: {'; '.join(reader.problems)}")
    try:
        settings = msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise UserError(
            f"{path}: {cause if isinstance(cause, UserError) else _placed(str(error), reader.lines)}"
        ) from None
    return Loaded(settings, sorted(set(reader.defaulted)))


def _tree(path: Path) -> yaml.Node | None:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if len(text) > LARGEST_FILE:
        raise UserError(f"{path}: more than {LARGEST_FILE >> 20} MiB, no configuration")
    try:
        # The libyaml binding is not everywhere, and a configuration is small.
        node: yaml.Node | None = yaml.compose(text.decode(), Loader=_Loader)
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        # Not its whole text: that quotes the line, where a password may stand.
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(f"{path}: {where}{error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{path}: no YAML: {type(error).__name__}") from None
    return node


class _Loader(yaml.SafeLoader):
    """YAML without aliases: they make a small file endless, and a setting stands where it is looked for."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not supported", problem_mark=mark)
        return super().compose_node(parent, index)


_RESOLVER = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()


def _is_null(node: yaml.ScalarNode) -> bool:
    return node.style is None and node.tag == "tag:yaml.org,2002:null"


# ---- what the types say --------------------------------------------------------------------------------------------------
def unpacked(wanted: Any) -> tuple[Any, str | None, bool]:
    """A field's type without annotations; what its text means if that is not the type itself; whether None is allowed."""
    parts = get_args(wanted)
    if get_origin(wanted) is not Annotated and type(None) in parts:
        kind, meant, _ = unpacked(next(part for part in parts if part is not type(None)))
        return kind, meant, True
    if get_origin(wanted) is not Annotated:
        return wanted, None, False
    extra = next((m.extra for m in parts[1:] if isinstance(m, msgspec.Meta) and m.extra), {})
    return parts[0], extra.get("text"), False


@cache
def fields_of(kind: Any) -> dict[str, Any]:
    """Names and types of a section's fields; empty for what is no section.

    The engine's own policies are sections as they are; their whole numbers are times in ns, written as durations.
    """
    if not isinstance(kind, type):
        return {}
    if issubclass(kind, msgspec.Struct):
        return {name: get_type_hints(kind, include_extras=True)[name] for name in kind.__struct_fields__}
    if is_dataclass(kind):
        duration = Annotated[int, msgspec.Meta(ge=0, extra={"text": "duration"})]
        return {name: duration if hint is int else hint for name, hint in get_type_hints(kind).items()}
    return {}


def _everywhere(kind: Any, path: str = "") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, wanted in fields_of(kind).items():
        found.setdefault(name, []).append(_join(path, name))
        for below, names in _everywhere(unpacked(wanted)[0], _join(path, name)).items():
            found.setdefault(below, []).extend(names)
    return found


_AT = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


def _placed(said: str, lines: Mapping[str, int]) -> str:
    """What msgspec says, in the words of the file."""
    said = re.sub(r"Object missing required field `(\w+)`", r"\1 is required", said)
    match = _AT.fullmatch(said)
    if match is None:
        return said
    path = match[2]
    line = f"line {lines[path]}: " if lines.get(path) and path else ""
    return f"{line}{path or 'the file'}: {match[1][:1].lower()}{match[1][1:]}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
