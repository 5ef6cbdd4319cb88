"""A Resource whose attributes are left as bytes: one that is broken then costs only itself."""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_F = descriptor_pb2.FieldDescriptorProto


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="shadow.proto", package="shadow", syntax="proto3")
    message = file.message_type.add(name="Resource")
    message.field.add(name="attributes", number=1, type=_F.TYPE_BYTES, label=_F.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


RawResource = message_factory.GetMessageClass(_pool().FindMessageTypeByName("shadow.Resource"))
