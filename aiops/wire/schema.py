"""Shadow schemas of OTLP for the native decoder: same field numbers, but what it does not look into is ``bytes``.

Protobuf bytes and sub-messages share one wire type, so resources, attributes and bodies are handed over as slices, and
only the distinct ones are ever decoded.  Fields that no column needs are left out: the decoder skips them.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool

_F = descriptor_pb2.FieldDescriptorProto
_BYTES, _BOOL, _DOUBLE = _F.TYPE_BYTES, _F.TYPE_BOOL, _F.TYPE_DOUBLE
_U64, _F64, _I64 = _F.TYPE_UINT64, _F.TYPE_FIXED64, _F.TYPE_SFIXED64
_I32, _S32, _U32 = _F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_UINT32

Field = tuple[str, int, "int | str", str]
# (name, number, type or name of a message, flag); flag: "" | "*" repeated | "?" null where absent | the name of a oneof
_TEMPORALITY: Field = ("temporality", 2, _I32, "")
_SCHEMAS: dict[str, list[Field]] = {
    "Resource": [("attributes", 1, _BYTES, "*")],
    "LogRecord": [
        ("time", 1, _F64, ""), ("severity", 2, _I32, ""), ("body", 5, _BYTES, ""), ("trace_id", 9, _BYTES, ""),
        ("span_id", 10, _BYTES, ""), ("observed", 11, _F64, ""),
    ],
    "Status": [("code", 3, _I32, "")],
    "Span": [
        ("trace_id", 1, _BYTES, ""), ("span_id", 2, _BYTES, ""), ("parent_id", 4, _BYTES, ""), ("name", 5, _BYTES, ""),
        ("kind", 6, _I32, ""), ("start", 7, _F64, ""), ("end", 8, _F64, ""), ("attributes", 9, _BYTES, "*"),
        ("status", 15, "Status", ""),
    ],
    "NumberPoint": [
        ("start", 2, _F64, ""), ("time", 3, _F64, ""), ("as_double", 4, _DOUBLE, "value"), ("as_int", 6, _I64, "value"),
        ("attributes", 7, _BYTES, "*"), ("flags", 8, _U32, ""),
    ],
    "HistogramPoint": [
        ("start", 2, _F64, ""), ("time", 3, _F64, ""), ("count", 4, _F64, ""), ("sum", 5, _DOUBLE, "?"),
        ("bucket_counts", 6, _F64, "*"), ("explicit_bounds", 7, _DOUBLE, "*"), ("attributes", 9, _BYTES, "*"),
        ("flags", 10, _U32, ""),
    ],
    "Buckets": [("offset", 1, _S32, ""), ("counts", 2, _U64, "*")],
    "ExponentialPoint": [
        ("attributes", 1, _BYTES, "*"), ("start", 2, _F64, ""), ("time", 3, _F64, ""), ("count", 4, _F64, ""),
        ("sum", 5, _DOUBLE, "?"), ("scale", 6, _S32, ""), ("zero_count", 7, _F64, ""), ("positive", 8, "Buckets", ""),
        ("negative", 9, "Buckets", ""), ("flags", 10, _U32, ""),
    ],
    "SummaryPoint": [
        ("start", 2, _F64, ""), ("time", 3, _F64, ""), ("count", 4, _F64, ""), ("sum", 5, _DOUBLE, ""),
        ("attributes", 7, _BYTES, "*"), ("flags", 8, _U32, ""),
    ],
    "Gauge": [("points", 1, "NumberPoint", "*")],
    "Sum": [("points", 1, "NumberPoint", "*"), _TEMPORALITY, ("monotonic", 3, _BOOL, "")],
    "Histogram": [("points", 1, "HistogramPoint", "*"), _TEMPORALITY],
    "Exponential": [("points", 1, "ExponentialPoint", "*"), _TEMPORALITY],
    "Summary": [("points", 1, "SummaryPoint", "*")],
    "Metric": [
        ("name", 1, _BYTES, ""), ("unit", 3, _BYTES, ""), ("gauge", 5, "Gauge", "data"), ("sum", 7, "Sum", "data"),
        ("histogram", 9, "Histogram", "data"), ("exponential", 10, "Exponential", "data"),
        ("summary", 11, "Summary", "data"),
    ],
}  # fmt: skip
for _signal, _item in (("logs", "LogRecord"), ("traces", "Span"), ("metrics", "Metric")):
    _SCHEMAS[f"{_signal}_scope"] = [("items", 2, _item, "*")]
    _SCHEMAS[f"{_signal}_resource"] = [("resource", 1, _BYTES, ""), ("scopes", 2, f"{_signal}_scope", "*")]
    _SCHEMAS[_signal] = [("resources", 1, f"{_signal}_resource", "*")]


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="shadow.proto", package="shadow", syntax="proto3")
    for message_name, fields in _SCHEMAS.items():
        message = file.message_type.add(name=message_name)
        for name, number, kind, flag in fields:
            field = message.field.add(name=name, number=number)
            field.label = _F.LABEL_REPEATED if flag == "*" else _F.LABEL_OPTIONAL
            if isinstance(kind, str):
                field.type, field.type_name = _F.TYPE_MESSAGE, f".shadow.{kind}"
            else:
                field.type = kind
            if flag not in ("", "*"):
                oneof = f"_{name}" if flag == "?" else flag
                names = [o.name for o in message.oneof_decl]
                if oneof not in names:
                    message.oneof_decl.add(name=oneof)
                    names.append(oneof)
                field.oneof_index, field.proto3_optional = names.index(oneof), flag == "?"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


POOL = _pool()
