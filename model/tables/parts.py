"""The output of parcels as bytes, to be kept until the whole file is written."""

import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc

from model.tables.format import Format

# Excel's cells are values of many types, and nearly all the time goes into its file anyway.
_UNPACKED: Final = "Excel"


def can_be_packed(out: Format) -> bool:
    """Whether the output of parcels can be kept as bytes in this form."""
    return out.kind != _UNPACKED


def packed(contents: Sequence[Any], out: Format) -> bytes:
    """What a `Renderer` made of some parcels, in their order, as bytes."""
    if out.kind != "Parquet":
        return b"".join(contents)
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, contents[0].schema) as stream:
        for batch in contents:
            stream.write_batch(batch)
    return sink.getvalue()


def unpacked(content: bytes, out: Format) -> Iterator[Any]:
    """What was packed, for a `Writer`."""
    if out.kind != "Parquet":
        yield content
        return
    with pa.ipc.open_stream(content) as stream:
        yield from stream
