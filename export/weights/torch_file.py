"""Files of torch.save, in today's zip and the older plain format, read by a pickle machine that makes tensors only.

torch.load(weights_only=True) runs no code either, but allocates what a file asks for, checks no sum, and advises to
switch its safety off where it refuses.
"""

import io
import math
import mmap
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LARGEST_PICKLE = 64 << 20  # bytes of all names and shapes; the published checkpoints have under one
DTYPES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
OFFICIAL = "name the official file"
ALONE = "save its state dict alone, by torch.save"
OTHERS = {
    b"version https://git-lfs": ("is a Git LFS pointer, not the file it points to", "fetch that with git lfs pull"),
    b"<": ("is a web page, as a login or a proxy sends", "download it in a browser"),
    b"\x93NUMPY": ("is a NumPy array", OFFICIAL),
    b"\x1f\x8b": ("is compressed by gzip", "unpack it"),
    b"\x89HDF": ("is an HDF5 file", OFFICIAL),
}


class Unreadable(ValueError):
    """Why a file is no checkpoint, and what to do about it."""

    def __init__(self, reason: str, remedy: str = "download it again") -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True)
class _View:
    """A tensor before its numbers: where in which storage they are."""

    key: str
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, storages: dict[str, Tensor]) -> Tensor:
        """Return the tensor; raises Unreadable where it reaches outside its storage."""
        flat = storages.get(self.key)
        numbers = (self.offset, *self.size, *self.stride)
        if flat is None or not all(type(number) is int and 0 <= number < 2**40 for number in numbers):
            raise Unreadable("is damaged: a tensor without numbers")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        if math.prod(self.size) and last >= len(flat):
            raise Unreadable("is damaged: a tensor is larger than its numbers")
        return flat.as_strided(self.size, self.stride, self.offset)


def read_torch(path: Path) -> Any:
    """Return what torch.save wrote to ``path``: a state dict, or a dict with such and with numbers and text.

    Raises:
        Unreadable: what the file is instead, or what is wrong with it.
        OSError: it cannot be read.
    """
    if not path.stat().st_size:
        raise Unreadable("is empty")
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # writable, for tensors; never written back
    head = data[:64].lstrip()
    for magic, words in OTHERS.items():
        if head.startswith(magic):
            raise Unreadable(*words)
    if head.startswith(b"PK"):
        return _built(*_zipped(path, data))
    if head.startswith(b"\x80"):
        return _built(*_legacy(data))
    raise Unreadable(f"begins with {data[:4]!r}, which no file of torch.save does", OFFICIAL)


def _zipped(path: Path, data: mmap.mmap) -> tuple[Any, dict[str, Tensor]]:
    """Return the object and the storages of a zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            names = archive.namelist()
    except Exception as error:  # the library raises a dozen kinds for what is damaged
        raise Unreadable(f"is cut short or damaged: {len(data)} bytes, and no whole archive in them") from error
    if any(name.endswith(".npy") for name in names):
        raise Unreadable("is a NumPy archive (.npz)", OFFICIAL)
    if "constants.pkl" in entries:
        raise Unreadable("is a TorchScript archive", ALONE)
    if "data.pkl" not in entries:
        raise Unreadable("is a zip archive of something else: no data.pkl in it", OFFICIAL)
    if "byteorder" in entries and bytes(_part(data, entries["byteorder"])) != b"little":
        raise Unreadable("has its numbers in big-endian order", "save it again on another machine")
    text = _part(data, entries["data.pkl"])
    if len(text) > LARGEST_PICKLE:
        raise Unreadable(f"has more than {LARGEST_PICKLE >> 20} MiB of names")
    machine = _Machine(io.BytesIO(text))
    made = machine.run()
    storages = {}
    for key, (dtype, count) in machine.storages.items():
        if (entry := entries.get(f"data/{key}")) is None:
            raise Unreadable(f"is damaged: the numbers of storage {key!a:.20} are missing")
        storages[key] = _flat(_part(data, entry), dtype, count)
    return made, storages


def _part(data: mmap.mmap, entry: zipfile.ZipInfo) -> memoryview:
    """Return the bytes of an archive's entry, checked against its sum."""
    begin = entry.header_offset
    if entry.compress_type != zipfile.ZIP_STORED or data[begin : begin + 4] != b"PK\x03\x04":
        raise Unreadable(f"is damaged or packed by another program: {entry.filename!a:.60}")
    begin += 30 + sum(struct.unpack("<HH", data[begin + 26 : begin + 30]))
    part = memoryview(data)[begin : begin + entry.file_size]
    if len(part) < entry.file_size or zlib.crc32(part) != entry.CRC:
        raise Unreadable(f"is damaged: {entry.filename!a:.60} does not have its checksum")
    return part


def _legacy(data: mmap.mmap) -> tuple[Any, dict[str, Tensor]]:
    """Return the object and the storages of the format before PyTorch 1.6: pickles, then numbers."""
    if _Machine(data).run() != LEGACY_MAGIC:
        raise Unreadable("is a pickle, and none of torch.save", ALONE)
    for _ in ("version", "machine"):
        _Machine(data).run()
    machine = _Machine(data)
    made = machine.run()
    keys = _Machine(data).run()
    storages = {}
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, str) or key not in machine.storages:
            raise Unreadable("is damaged: numbers of no tensor")
        dtype, count = machine.storages[key]
        stated = data.read(8)
        if stated != struct.pack("<q", count):
            raise Unreadable("is cut short or damaged")
        storages[key] = _flat(memoryview(data.read(count * dtype.itemsize)), dtype, count)
    return made, storages


def _flat(part: memoryview, dtype: torch.dtype, count: int) -> Tensor:
    """Return the numbers in ``part``."""
    if len(part) != count * dtype.itemsize:
        raise Unreadable(f"is cut short or damaged: {len(part)} bytes of numbers, expected {count * dtype.itemsize}")
    if not count:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(part) if part.readonly else part, dtype=dtype)


def _built(made: Any, storages: dict[str, Tensor], levels: int = 2) -> Any:
    """Return ``made`` with tensors for views: in a state dict, and in one that stands in another dict."""
    if isinstance(made, _View):
        return made.of(storages)
    if isinstance(made, dict) and levels:
        return {key: _built(value, storages, levels - 1) for key, value in made.items()}
    return made


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _View:
    key, dtype = storage
    if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
        raise Unreadable("is damaged: a tensor without a shape")
    return _View(key, dtype, offset, size, stride)


def _ordered(pairs: Iterable[Any] = ()) -> dict[Any, Any]:
    return _set({}, [item for pair in pairs for item in pair])


def _set(table: Any, items: list[Any]) -> dict[Any, Any]:
    """Put keys and values, in turn, into ``table``; keys that take long to hash are not taken."""
    if type(table) is not dict or any(type(key) not in (str, int) for key in items[::2]):
        raise Unreadable("is damaged: a key that is no name")
    table.update(zip(items[::2], items[1::2], strict=True))
    return table


GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_parameter"): lambda view, *_: view,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    **{("torch", name): dtype for name, dtype in DTYPES.items()},
}


class _Machine(pickle._Unpickler):  # the C one fills memory for a memo number of 2^31
    """A pickle machine without what could run code, fill memory or take for ever. storages: found on the way."""

    dispatch: ClassVar[dict[int, Any]]
    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="latin-1")
        self.storages: dict[str, tuple[torch.dtype, int]] = {}

    def run(self) -> Any:
        """Return the next object; raises Unreadable."""
        try:
            return self.load()
        except Unreadable:
            raise
        except Exception as error:  # nothing of anybody else's has run: whatever it is, the file is damaged
            raise Unreadable(f"is cut short or damaged: no sound pickle ({type(error).__name__})") from error

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function; raises Unreadable for all that makes no tensor."""
        try:
            return GLOBALS[module, name]
        except KeyError:
            what = ascii(f"{module}.{name}")[1:-1]
            raise Unreadable(f"holds {what:.60}, expected tensors, text and numbers", ALONE) from None

    def persistent_load(self, pid: Any) -> Any:
        """Return key and type of a storage, and note its size."""
        kind, dtype, key, _, count, *rest = pid
        if (
            kind != "storage"
            or not isinstance(dtype, torch.dtype)
            or type(key) is not str
            or type(count) is not int
            or not 0 <= count < 2**40
            or any(rest)
        ):
            raise Unreadable("is damaged: no sound storage")
        self.storages[key] = (dtype, count)
        return key, dtype

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _set(self.stack[-1], [key, value])

    def _setitems(self) -> None:
        items = self.pop_mark()
        _set(self.stack[-1], items)

    def _dict(self) -> None:
        self.append(_set({}, self.pop_mark()))

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        made = self.stack[-1]
        if not any(made is known for known in GLOBALS.values()) or not callable(made) or type(arguments) is not tuple:
            raise Unreadable("is damaged: a call of no function")
        self.stack[-1] = made(*arguments)

    def _build(self) -> None:
        self.stack.pop()  # a state dict's notes on versions


def _opcodes() -> dict[int, Any]:
    """Return what the machine does at each opcode; those not named are refused."""
    kept = """PROTO STOP FRAME MARK POP POP_MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET NONE NEWTRUE
        NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT BINSTRING SHORT_BINSTRING SHORT_BINBYTES
        BINBYTES BINUNICODE SHORT_BINUNICODE BINUNICODE8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND
        APPENDS EMPTY_DICT GLOBAL STACK_GLOBAL BINPERSID"""
    own = {
        "SETITEM": _Machine._setitem,
        "SETITEMS": _Machine._setitems,
        "DICT": _Machine._dict,
        "REDUCE": _Machine._reduce,
        "BUILD": _Machine._build,
    }
    base = pickle._Unpickler.dispatch
    codes = {name: getattr(pickle, name)[0] for name in (*kept.split(), *own)}
    return {code: own.get(name) or base[code] for name, code in codes.items()}


_Machine.dispatch = _opcodes()
