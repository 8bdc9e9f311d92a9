"""The files that an ONNX graph names for its weights, read from its protobuf: the runtime has no onnx package.

Numbers are those of the fields in onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

KEY = b"location"
# message → its fields that may hold tensors → their message
HOLDERS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}


def external_files(path: Path) -> set[str]:
    """Return the names by which the graph in ``path`` finds tensors outside its own file.

    Raises ValueError for what is no protobuf, where it matters: in a file that says "location" somewhere.
    """
    if not path.stat().st_size:
        return set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find(KEY) < 0:
            return set()
        try:
            return set(_locations(memoryview(data[:]), "model"))
        except (IndexError, RecursionError) as error:
            raise ValueError("no ONNX graph") from error


def _locations(data: memoryview, message: str) -> Iterator[str]:
    """Yield the locations in a message."""
    if message == "external":
        pair = {number: bytes(part) for number, part in _fields(data)}
        if pair.get(1) == KEY:
            yield pair.get(2, b"").decode()
        return
    for number, part in _fields(data):
        if (inner := HOLDERS[message].get(number)) is not None:
            yield from _locations(part, inner)


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and bytes of the fields of a message that have a length; raises ValueError, IndexError."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 2:
                length, at = _varint(data, at)
                if at + length > len(data):
                    raise ValueError("a field is longer than the file")
                yield tag >> 3, data[at : at + length]
                at += length
            case 5:
                at += 4
            case _:
                raise ValueError("an unknown kind of field")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number at ``at`` and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
