"""Single values of OTLP JSON -> what protobuf would hold: integers, doubles, ids, canonical KeyValue bytes.

Everything that is not what the specification allows raises ``MalformedError``, whose text names the field.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import msgspec
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import KeyValue as KeyValueMessage
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage

from aiops.wire.json_schema import RESOURCE, AnyValue, KeyValue
from aiops.wire.json_schema import Resource as ResourceStruct

BOM = b"\xef\xbb\xbf"
_MEMO, _MEMO_CHARS = 50_000, 512  # entries, and the longest value worth one
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_IDS = {"trace_id": 32, "span_id": 16, "parent_span_id": 16}
_RANGES = {  # by protobuf type
    "TYPE_INT32": (-(2**31), 2**31), "TYPE_SINT32": (-(2**31), 2**31), "TYPE_UINT32": (0, 2**32),
    "TYPE_ENUM": (-(2**31), 2**31), "TYPE_INT64": (-(2**63), 2**63), "TYPE_SFIXED64": (-(2**63), 2**63),
    "TYPE_UINT64": (0, 2**64), "TYPE_FIXED32": (0, 2**32), "TYPE_FIXED64": (0, 2**64),
}  # fmt: skip


class MalformedError(ValueError):
    """A value that the specification does not allow; ``field`` is the path to it from the item."""

    def __init__(self, what: str, field: str) -> None:
        super().__init__(what)
        self.field = field

    def under(self, path: str) -> MalformedError:
        """The same fault, seen from further up."""
        return MalformedError(str(self), path + self.field)


def integer(value: int | str, low: int, high: int, field: str) -> int:
    """A whole number in [low, high), written as number or as text."""
    if isinstance(value, str):
        # At most 20 digits: int() of a million takes seconds, and takes underscores, spaces and other scripts' digits.
        digits = value[1:] if value[:1] == "-" else value
        if not (len(digits) <= 20 and digits.isascii() and digits.isdecimal()):
            raise MalformedError(f"expected a whole number, got {value[:32]!r}", field)
        value = int(value)
    if low <= value < high:
        return value
    raise MalformedError(f"expected a number from {low} to {high - 1}, got {str(value)[:40]}", field)


def unsigned(value: int | str | None, field: str) -> int:
    """A uint64, 0 where it is not given."""
    return 0 if value is None else integer(value, 0, 1 << 64, field)


def signed32(value: int | str | None, field: str) -> int:
    """An int32, which enums are too, 0 where it is not given."""
    return 0 if value is None else integer(value, -(1 << 31), 1 << 31, field)


def unsigned_list(values: list[int | str], field: str) -> list[int]:
    """uint64s; a list of one type, as every exporter writes it, is checked as a whole."""
    types = set(map(type, values))
    if types == {str}:
        text = "".join(values)  # type: ignore[arg-type]
        if text.isascii() and text.isdecimal() and max(map(len, values)) <= 19 and "" not in values:  # type: ignore[arg-type]
            return list(map(int, values))
    elif types == {int} and min(values) >= 0 and max(values) < 1 << 64:  # type: ignore[operator]
        return values  # type: ignore[return-value]
    return [unsigned(value, f"{field}[{i}]") for i, value in enumerate(values)]


def double(value: float | str, field: str) -> float:
    """A number, its text, or "NaN", "Infinity", "-Infinity"."""
    if not isinstance(value, str):
        return value
    if value in ("NaN", "Infinity", "-Infinity") or _NUMBER.fullmatch(value):
        return float(value)
    raise MalformedError(f'expected a number, "NaN", "Infinity" or "-Infinity", got {value[:32]!r}', field)


def double_list(values: list[float | str], field: str) -> list[float]:
    """Doubles."""
    return [v if isinstance(v, float) else double(v, f"{field}[{i}]") for i, v in enumerate(values)]


def identifier(value: str, digits: int, field: str) -> bytes:
    """An id of so many hex digits; the base64 that protobuf's own JSON mapping writes is refused, not taken for hex."""
    if len(value) == digits:
        try:
            raw = bytes.fromhex(value)
        except ValueError:
            raw = b""
        if len(raw) * 2 == digits:  # fromhex skips white space
            return raw
    raise MalformedError(f"expected {digits} hex digits, got {value[:48]!r}", field)


def write(struct: Any, message: Message, path: str = "") -> None:
    """Write a struct of ``json_schema`` into its protobuf message, field by field."""
    is_any = struct.__class__ is AnyValue
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if value is None:
            continue
        here = f"{path}.{camel(name)}"
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.type == field.TYPE_MESSAGE:
            if value.__class__ is msgspec.Raw:
                value = resource_struct(bytes(value), here)
                if value is None:
                    continue
            target = getattr(message, name)
            if value.__class__ is list:
                for i, element in enumerate(value):
                    write(element, target.add(), f"{here}[{i}]")
            else:
                target.SetInParent()
                write(value, target, here)
        elif value.__class__ is list:
            getattr(message, name).extend(_plain(v, field, f"{here}[{i}]") for i, v in enumerate(value))
        else:
            setattr(message, name, _plain(value, field, here))
        if is_any:
            return


def camel(name: str) -> str:
    """The JSON name of a protobuf field."""
    head, *rest = name.split("_")
    return head + "".join(map(str.title, rest))


_FIELD = type(ResourceMessage.DESCRIPTOR.fields[0])
_TYPES = {number: name for name, number in vars(_FIELD).items() if name.startswith("TYPE_")}


def _plain(value: Any, field: Any, path: str) -> Any:
    if field.type == field.TYPE_BYTES:
        digits = _IDS.get(field.name)
        if digits:
            return identifier(value, digits, path) if value else b""
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise MalformedError(f"expected base64, got {value[:32]!r}", path) from None
    if field.type == field.TYPE_DOUBLE:
        return double(value, path)
    bounds = _RANGES.get(_TYPES[field.type])
    return integer(value, *bounds, path) if bounds else value


def typed(decoder: msgspec.json.Decoder[Any], raw: bytes, path: str) -> Any:
    """Decode JSON that stands at `path`; what makes it none, or none of the wanted type, is a ``MalformedError``."""
    try:
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            return decoder.decode(_repaired(raw))
    except msgspec.ValidationError as error:
        what, _, inner = str(error).partition(" - at `$")
        raise MalformedError(what[:1].lower() + what[1:], path + inner.rstrip("`")) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {str(error)[:200]}", path) from None


def _repaired(raw: bytes) -> bytes:
    """What Python's json writes but JSON does not know: bare NaN and infinities become text, lone surrogates "?"."""
    raw = raw.removeprefix(BOM)
    if b"NaN" not in raw and b"Infinity" not in raw and b"\\ud" not in raw.lower():
        return raw
    return json.dumps(json.loads(raw, parse_constant=str), ensure_ascii=False).encode("utf-8", "replace")


def resource_struct(raw: bytes, path: str) -> ResourceStruct | None:
    """Decode a resource that the request left undecoded."""
    out: ResourceStruct | None = typed(RESOURCE, raw, path)
    return out


def encoded(attribute: KeyValue, path: str, position: int) -> bytes:
    """Canonical protobuf bytes of an attribute."""
    message = KeyValueMessage()
    write(attribute, message, f"{path}.attributes[{position}]")
    out: bytes = message.SerializeToString(deterministic=True)
    return out


def check(attributes: list[KeyValue] | None, path: str) -> None:
    """Refuse what the types let pass, in attributes that no column needs: numbers in text and base64 that are none."""
    for i, attribute in enumerate(attributes or ()):
        value = attribute.value
        if value is None or value.string_value is not None or value.bool_value is not None:
            continue
        if value.int_value is not None:
            integer(value.int_value, -(1 << 63), 1 << 63, f"{path}.attributes[{i}].value.intValue")
        elif not isinstance(value.double_value, float):
            encoded(attribute, path, i)


class Canonical:
    """JSON attributes and resources -> canonical protobuf bytes; the memos are a cache, never state."""

    __slots__ = ("_integers", "_resources", "_texts")

    def __init__(self) -> None:
        self._texts: dict[tuple[str | None, str | int], bytes] = {}
        self._integers: dict[tuple[str | None, str | int], bytes] = {}
        self._resources: dict[bytes, bytes] = {}

    def pair(self, attribute: KeyValue, path: str, position: int) -> bytes:
        """Canonical encoding of the attribute at `position` of the item at `path`."""
        value = attribute.value
        if value is None:
            return encoded(attribute, path, position)
        plain: str | int | None
        if (plain := value.string_value) is not None:
            memo = self._texts if len(plain) <= _MEMO_CHARS else {}
        elif value.bool_value is None and (plain := value.int_value) is not None:
            memo = self._integers
        else:
            return encoded(attribute, path, position)
        known = memo.get((attribute.key, plain))
        if known is None:
            known = encoded(attribute, path, position)
            if len(known) > 2 * _MEMO_CHARS:  # a long key
                return known
            if len(memo) >= _MEMO:
                memo.clear()
            memo[attribute.key, plain] = known
        return known

    def resource(self, raw: bytes, path: str) -> bytes:
        """Protobuf bytes of a resource in JSON."""
        known = self._resources.get(raw)
        if known is None:
            struct = resource_struct(raw, path)
            message = ResourceMessage()
            if struct is not None:
                write(struct, message, path)
            known = message.SerializeToString(deterministic=True)
            if len(raw) <= 32 * _MEMO_CHARS:
                if len(self._resources) >= _MEMO // 10:
                    self._resources.clear()
                self._resources[raw] = known
        return known
