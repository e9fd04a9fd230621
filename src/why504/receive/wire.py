"""The shape of OTLP as the receiver reads it: only the fields that are stored.

Wire-compatible with opentelemetry/proto/trace/v1/trace.proto 1.x, with two differences that make
decoding fast and forgiving: spans and attributes stay raw bytes (the decoder reads all spans at
once), and strings are bytes (a string cut in the middle of a character is not fatal).
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

PACKAGE: Final = "why504.otlp"

# message -> field name: (number, type, repeated); a type with a capital is a message of this table
MESSAGES: Final[dict[str, dict[str, tuple[int, str, bool]]]] = {
    "Request": {"resource_spans": (1, "ResourceSpans", True)},
    "ResourceSpans": {"resource": (1, "Resource", False), "scope_spans": (2, "ScopeSpans", True)},
    "Resource": {"attributes": (1, "bytes", True)},
    "ScopeSpans": {"spans": (2, "bytes", True)},
    "Span": {
        "trace_id": (1, "bytes", False),
        "span_id": (2, "bytes", False),
        "parent_span_id": (4, "bytes", False),
        "name": (5, "bytes", False),
        "kind": (6, "int32", False),
        "start_time_unix_nano": (7, "fixed64", False),
        "end_time_unix_nano": (8, "fixed64", False),
        "attributes": (9, "bytes", True),
        "status": (15, "Status", False),
    },
    "Status": {"code": (3, "int32", False)},
    "KeyValue": {"key": (1, "bytes", False), "value": (2, "AnyValue", False)},
    "AnyValue": {
        "string_value": (1, "bytes", False),
        "bool_value": (2, "bool", False),
        "int_value": (3, "int64", False),
        "double_value": (4, "double", False),
        "array_value": (5, "ArrayValue", False),
        "kvlist_value": (6, "KeyValueList", False),
        "bytes_value": (7, "bytes", False),
    },
    "ArrayValue": {"values": (1, "AnyValue", True)},
    "KeyValueList": {"values": (1, "KeyValue", True)},
}


@cache
def message(name: str) -> Any:
    """Return the message class of one row of the table."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def rewritten(raw: bytes) -> bytes:
    """Return a span as protobuf itself writes it: only fields of the table, each once at most.

    Raises:
        DecodeError: not a Span.
    """
    span = message("Span").FromString(raw)
    span.DiscardUnknownFields()
    if not 0 <= span.kind < 0x80:
        span.kind = 0
    if not 0 <= span.status.code < 0x80:
        span.status.code = 0
    return bytes(span.SerializeToString())


@cache
def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="why504/otlp.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        described = file.message_type.add(name=name)
        if name == "AnyValue":
            described.oneof_decl.add(name="value")
        for field, (number, kind, repeated) in fields.items():
            described.field.append(_field(field, number, kind, repeated=repeated))
            if name == "AnyValue":
                described.field[-1].oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _field(name: str, number: int, kind: str, *, repeated: bool) -> Any:
    proto = descriptor_pb2.FieldDescriptorProto
    field = proto(
        name=name,
        number=number,
        label=proto.LABEL_REPEATED if repeated else proto.LABEL_OPTIONAL,
    )
    if kind[0].isupper():
        field.type = proto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
    else:
        field.type = proto.Type.Value(f"TYPE_{kind.upper()}")
    return field
