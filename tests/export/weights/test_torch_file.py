"""Checkpoints from anybody: what is sound loads, what is not ends in one line that names the cause."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from samotion.engines.errors import CheckpointError
from samotion.export.weights.load import read

STATE: dict[str, Tensor] = {
    "a.weight": torch.arange(12.0).reshape(3, 4),
    "a.part": torch.arange(24.0).reshape(4, 6)[:, 2:4].t(),
    "a.half": torch.ones(3, dtype=torch.float16),
    "a.count": torch.tensor(3),
    "a.empty": torch.empty(0, 2),
    "a.flags": torch.tensor([True, False]),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


def zipped(pickled: bytes, *storages: bytes) -> bytes:
    """Return an archive as torch.save lays it out."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for number, storage in enumerate(storages):
            archive.writestr(f"archive/data/{number}", storage)
    return made.getvalue()


def saved(content: object, zip_format: bool = True) -> bytes:
    made = io.BytesIO()
    torch.save(content, made, _use_new_zipfile_serialization=zip_format)
    return made.getvalue()


@pytest.mark.parametrize("zip_format", [True, False])
@pytest.mark.parametrize(
    "wrap", [dict, OrderedDict, lambda state: {k: nn.Parameter(v, False) for k, v in state.items()}]
)
def test_what_torch_saves_loads(file: Path, zip_format: bool, wrap: Callable[[dict[str, Tensor]], object]) -> None:
    file.write_bytes(saved({"model": wrap(STATE), "epoch": 3, "note": "ä", "sizes": [1, (2.5, None)]}, zip_format))
    found = read(file, "model")
    assert found.keys() == STATE.keys()
    for key, value in STATE.items():
        assert (found[key].dtype, found[key].shape) == (value.dtype, value.shape)
        assert torch.equal(found[key], value)


@pytest.mark.parametrize("zip_format", [True, False])
def test_a_modules_state_dict_loads(file: Path, zip_format: bool) -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    file.write_bytes(saved(module.state_dict(), zip_format))
    for key, value in read(file).items():
        assert torch.equal(value, module.state_dict()[key])


def flipped(data: bytes) -> bytes:
    """Return the archive with one bit of a tensor's numbers changed."""
    at = data.index(struct.pack("<4f", 0, 1, 2, 3)) + 9
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def number(count: int) -> bytes:
    return pickle.LONG1 + b"\x08" + struct.pack("<q", count)


LARGE_BYTEARRAY = b"\x80\x02cbuiltins\nbytearray\n" + number(10**10) + b"\x85R."
ENDLESS_HASH = b"\x80\x02})" + 80 * b"q\x00h\x00\x86" + b"K\x01s."
ITSELF = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."
DOUBLED = b"\x80\x02}" + 60 * b"q\x00}(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00u" + b"."


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "Git LFS pointer.*git lfs pull"),
        (b"\n<!DOCTYPE html><html>\x1b[31m</html>", "is a web page"),
        (b"\x93NUMPY\x01\0", "is a NumPy array"),
        (b"\x1f\x8b\x08", "compressed by gzip; unpack it"),
        (b"\x1b[31mtext", "begins with"),
        (saved(STATE)[:-200], "is cut short or damaged"),
        (saved(STATE, False)[:-20], "is cut short or damaged"),
        (saved(STATE, False)[:40], "is cut short or damaged"),
        (flipped(saved(STATE)), "'archive/data/0' does not have its checksum"),
        (zipped(b""), r"no sound pickle \(EOFError\)"),
        (zipped(b"\x80\x02h\x05."), "no sound pickle"),
        (zipped(LARGE_BYTEARRAY), r"holds builtins\.bytearray"),
        (zipped(b"\x80\x05\x96" + struct.pack("<Q", 10**10) + b"."), "no sound pickle"),
        (zipped(b"\x80\x02]r" + struct.pack("<I", 2**31) + b"."), "expected a state dict"),
        (zipped(ENDLESS_HASH), "a key that is no name"),
        (zipped(ITSELF), "expected a state dict of tensors, found dict at a"),
        (zipped(DOUBLED), "expected a state dict of tensors, found dict at a"),
        (saved({"a": torch.zeros(1), "b": np.float64(3)}), r"holds numpy\.\S*multiarray\.scalar"),
        (saved({3: torch.zeros(1)}), "found the key 3"),
        (saved({"\x1b[31m": 5}), r"found int at \\x1b\[31m"),
        (saved([torch.zeros(1)]), "expected a state dict of tensors"),
        (pickle.dumps({"a": 1}), "a pickle, and none of torch.save"),
        (zipped(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R."), r"holds os\.system"),
        (zipped(b"\x80\x02c\x1b[31m\nx\n."), r"holds \\x1b\[31m\.x"),
    ],
    ids=lambda value: f"{value!r:.24}",
)
def test_what_is_no_checkpoint_is_named(file: Path, data: bytes, words: str) -> None:
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match=words) as caught:
        read(file)
    line = str(caught.value)
    assert line.isprintable()
    assert "weights_only" not in line


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpys_archives_are_named(file: Path, save: Callable[..., None]) -> None:
    with file.open("wb") as opened:
        save(opened, a=np.zeros(3))
    with pytest.raises(CheckpointError, match="NumPy archive"):
        read(file)


def test_a_traced_network_is_named(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("weights/data.pkl", b"")
        archive.writestr("weights/constants.pkl", b"")
    with pytest.raises(CheckpointError, match="TorchScript archive"):
        read(file)


@pytest.mark.parametrize("text", ["", "<html>", "version https://git-lfs"])
def test_safetensors_that_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_text(text)
    with pytest.raises(CheckpointError, match="not a readable checkpoint") as caught:
        read(file)
    assert str(caught.value).isprintable()
