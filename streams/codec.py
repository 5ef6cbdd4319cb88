"""Values of the internal topics: window rows, trace items and findings <-> bytes.

A value is a byte that names the format's version, a byte that names its kind, and MessagePack, in which columns are raw
little-endian arrays or whole numbers in as few bytes as they need (``codec_columns``).  Dense codes never leave a process:
only the entries of a table that a value uses travel with it, numbered by the order in which its rows name them, so that
equal content gives equal bytes whoever sends it.  What is read is checked: lengths, ranges of codes, orders, types.
Another version or a damaged value raises ``CodecError``.
"""

from aiops.findings import Findings
from aiops.signals import WindowRows
from aiops.traces.items import TraceItems
from streams.codec_findings import decode_findings, encode_findings
from streams.codec_frame import VERSION, CodecError
from streams.codec_items import decode_items, encode_items, encode_placed
from streams.codec_metrics import columns_of
from streams.codec_rows import decode_rows, encode_rows, encode_some

__all__ = [
    "VERSION", "CodecError", "Findings", "TraceItems", "WindowRows", "columns_of", "decode_findings", "decode_items",
    "decode_rows", "encode_findings", "encode_items", "encode_placed", "encode_rows", "encode_some",
]  # fmt: skip
