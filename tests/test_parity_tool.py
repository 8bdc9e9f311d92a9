"""The parity tool: on a small network of its own here; on every published case where slow tests are run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import parity_fixtures
from torch import Tensor, nn

from samotion.export import parity, parity_cases
from samotion.export.graph import GraphSpec
from samotion.export.parity_cases import Part, images, parts
from samotion.export.sam2.model import Sam2
from samotion.export.sam2.params import NANO as SAM2_NANO
from samotion.export.sam2.params import OFFICIAL, HieraParams
from samotion.export.sam2.tracking import Tracker
from samotion.export.weights import random_state

HERE = Path(__file__).parent


class Small(nn.Module):
    """Mean colours through one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.layer(image.mean((2, 3)))
        return answer


def graphs(model: Small) -> list[GraphSpec]:
    image = {"image": torch.randn(2, 3, 8, 8)}
    return [GraphSpec("small", model, image, {"image": {0: "B", 2: "h", 3: "w"}}, ("colours",))]


def small_parts(_: Mapping[str, Any]) -> list[Part]:
    def answer(run: Any, seed: int, size: Any) -> dict[str, Any]:
        return {"colours": run("small", image=images("small/image", 2, size, seed))["colours"]}

    return [Part(Small, graphs, answer, [(14, 14), (28, 42)])]


def golden(seed: int, image_seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    model = Small()
    model.load_state_dict(random_state(model, seed))
    with torch.no_grad():
        answer: np.ndarray[Any, np.dtype[np.float32]] = model(
            torch.from_numpy(images("small/image", 2, (28, 42), image_seed))
        ).numpy()
    return answer


def write_case(folder: Path, name: str = "small", **arrays: Any) -> Path:
    (folder / "golden").mkdir(exist_ok=True)
    np.savez(folder / "golden" / f"{name}.npz", **arrays)
    return folder


def run(folder: Path, *options: str) -> int:
    return parity.main(["--cases", str(folder), *options])


@pytest.fixture(autouse=True)
def _small_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parity_cases.KINDS, "small", small_parts)


def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take PyTorch for ONNX Runtime, where a test is about neither."""
    monkeypatch.setattr(parity, "_onnx", lambda specs, _: parity._pytorch(specs))


def test_a_case_within_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write_case(tmp_path, colours=golden(0, 0))) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[:2] == ["small", "colours"]
    assert 0 <= float(row[2]) < 1e-6
    assert 0 < float(row[3]) < 1e-4
    assert row[4] == "1.0e-04"


def test_an_array_past_its_bound_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_onnx(monkeypatch)
    for wrong in (golden(0, 0) * 1.001, golden(0, 0)[:1], golden(0, 0) * np.float32(np.nan)):
        assert run(write_case(tmp_path, colours=wrong)) == 1
        assert "PAST ITS BOUND" in capsys.readouterr().out


def test_other_seeds_of_weights_and_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_onnx(monkeypatch)
    assert run(write_case(tmp_path, colours=golden(7, 7)), "--seed", "7") == 0
    assert "inputs of seed 0" not in capsys.readouterr().out
    assert run(write_case(tmp_path, colours=golden(7, 0)), "--seed", "7") == 0
    assert "inputs of seed 0" in capsys.readouterr().out
    assert run(tmp_path, "--seed", "8") == 1


def test_what_cannot_be_used_is_told_and_the_rest_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_onnx(monkeypatch)
    write_case(tmp_path, colours=golden(0, 0), surprise=np.zeros(3))
    write_case(tmp_path, "alphabet", x=np.zeros(1))
    write_case(tmp_path, "bootstapir", x=np.zeros(1))
    write_case(tmp_path, "grouping", x=np.zeros(1))
    write_case(tmp_path, "objects", x=np.array([{}], dtype=object))
    (tmp_path / "golden" / "damaged.npz").write_bytes(b"PK\x03\x04rubbish")
    assert run(tmp_path) == 2
    out, errors = capsys.readouterr()
    assert "colours" in out
    assert "not known, not compared" in out
    assert all(words in errors for words in ("alphabet.npz: no known", "'tracks' is missing", "'xy' is missing"))
    assert all(f"{name}.npz: damaged" in errors for name in ("objects", "damaged"))


def test_no_cases_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 2
    assert "no case files" in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"layer.weight": [[5, 3], "torch.float32"]}', "[]", "{"])
def test_another_layout_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    write_case(tmp_path, colours=golden(0, 0))
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "small.json").write_text(text)
    assert run(tmp_path) == 2
    assert "small.json" in capsys.readouterr().err


def test_images_follow_the_rule() -> None:
    np.testing.assert_array_equal(images("a/b", 3, (40, 53), 2), parity_fixtures.images("a/b", 3, 40, 53, 2))


@pytest.mark.parametrize("size", [(252, 336), (14, 518), (700, 1008)])
def test_the_size_of_a_depth_case_follows_from_its_array(size: tuple[int, int]) -> None:
    disparity = np.zeros((1, *size), np.float32)[:, ::3, ::3]
    assert parts("depth_anything_v2_vitb", {"disparity": disparity})[0].sizes == [size]


@pytest.mark.parametrize(("stride", "count"), [(7, 1), (14, 4)])
def test_the_size_of_a_semantics_case_follows_from_its_grid(stride: int, count: int) -> None:
    grid = np.zeros((1 + (140 - 14) // stride, 1 + (182 - 14) // stride, 1), np.float32)[::2, ::2]
    (part,) = parts("dinov2_vitb14", {f"keys_stride{stride}": grid})
    assert (140, 182) in part.sizes
    assert len(part.sizes) == count


def test_every_size_has_a_kind() -> None:
    assert {parity_cases.network(f"{stem}_of_seed_3") for stem in OFFICIAL} == set(OFFICIAL)
    with torch.device("meta"):
        model = parts("sam2_hiera_small", {"low_res_logits_0": np.zeros((64, 64))})[0].build()
    assert model.params == replace(OFFICIAL["sam2_hiera_small"], image_size=512)


def test_the_sam2_case_follows_the_reference_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = replace(
        SAM2_NANO, trunk=HieraParams(8, 1, (1, 1, 2, 1), (4, 2, 3, 2), (3,), 3), mask_scale=4, image_size=64
    )
    monkeypatch.setitem(OFFICIAL, "sam2.1_hiera_tiny", tiny)
    (part,) = parts("sam2.1_hiera_tiny", {f"low_res_logits_{t}": np.zeros((8, 8)) for t in range(4)})
    model = part.build().eval()
    assert isinstance(model, Sam2)
    model.load_state_dict(random_state(model, 0))
    found = part.answer(parity._pytorch(part.graphs(model)), 5, None)
    with torch.inference_mode():
        encoded = [model.encode(frame[None]) for frame in torch.from_numpy(images("sam2/video", 4, (64, 64), 5))]
        tracker = Tracker(model, 4)
        answers = [tracker.click(0, encoded[0], torch.tensor([parity_cases.CLICKS]), torch.tensor([[1, 1]]))]
        answers += [tracker.step(t, encoded[t]) for t in range(1, 4)]
    for t, answer in enumerate(answers):
        np.testing.assert_array_equal(found[f"low_res_logits_{t}"], answer.mask[0, ::2, ::2].numpy())
        np.testing.assert_array_equal(found[f"memory_{t}"], answer.memory[0, ::4, ::4, ::4].numpy())
    assert len(found) == 3 + 5 * 4


@pytest.mark.slow
def test_every_published_case_agrees() -> None:
    assert run(HERE) == 0
