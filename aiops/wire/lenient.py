"""OTLP message classes with all text as bytes: Go producers do not check UTF-8, and a bad byte would refuse a batch.

A line cut in the middle of a character must not cost the line, let alone the other items of its message.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

_FILES = (
    common_pb2, resource_pb2, logs_pb2, metrics_pb2, trace_pb2,
    logs_service_pb2, metrics_service_pb2, trace_service_pb2,
)  # fmt: skip


def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for module in _FILES:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        file.ClearField("service")
        waiting = list(file.message_type)
        while waiting:
            message = waiting.pop()
            waiting.extend(message.nested_type)
            for field in message.field:
                if field.type == field.TYPE_STRING:
                    field.type = field.TYPE_BYTES
        pool.Add(file)
    return pool


_POOL = _pool()


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"opentelemetry.proto.{name}"))


AnyValue = _class("common.v1.AnyValue")
KeyValue = _class("common.v1.KeyValue")
REQUESTS = {
    "logs": _class("collector.logs.v1.ExportLogsServiceRequest"),
    "metrics": _class("collector.metrics.v1.ExportMetricsServiceRequest"),
    "traces": _class("collector.trace.v1.ExportTraceServiceRequest"),
}
STRICT: dict[str, Any] = {
    "logs": logs_service_pb2.ExportLogsServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "traces": trace_service_pb2.ExportTraceServiceRequest,
}


def utf8(text: Any) -> str:
    """Text of a message of either kind; what is no UTF-8 is replaced by U+FFFD."""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
