"""The parity tool: on a small network of its own here; on every published case where slow tests are run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.support import parity_fixtures
from tests.support.paths import GOLDEN, TESTS
from torch import Tensor, nn

from samotion.export.networks.sam2.reference_loop import Tracker
from samotion.export.networks.sam2.sam2_model import Sam2
from samotion.export.networks.sam2.sam2_params import NANO as SAM2_NANO
from samotion.export.networks.sam2.sam2_params import OFFICIAL, HieraParams
from samotion.export.networks.spec import GraphSpec
from samotion.export.parity import __main__ as parity
from samotion.export.parity import cases, compare, sam2_case
from samotion.export.parity.parts import Part, images
from samotion.export.weights.load import random_state


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


def two_answers(run: Any, seed: int, _: Any) -> dict[str, Any]:
    colours = run("small", image=images("small/image", 2, (28, 42), seed))["colours"]
    return {"colours": colours, "shades": colours}


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


def parts(name: str, **case: Any) -> list[Part]:
    return cases.KINDS[name](case)


@pytest.fixture(autouse=True)
def _small_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cases.KINDS, "small", small_parts)


def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take PyTorch for ONNX Runtime, where a test is about neither."""
    monkeypatch.setattr(compare, "_onnx", lambda specs, _: compare._pytorch(specs))


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
    for words in (
        "alphabet.npz: no case is called alphabet; names begin with one of bootstapir, dinov2_vitb14, moseg,",
        "bootstapir.npz: array queries is missing",
        "grouping.npz: array object_frame is missing",
        "damaged.npz: damaged",
        "objects.npz: damaged",
    ):
        assert words in errors
    assert "1 arrays compared, 0 past their bound; 2 not compared" in out


@pytest.mark.parametrize(
    ("name", "arrays", "words"),
    [
        ("sam2_hiera_large", {}, "array low_res_logits_0 is missing"),
        ("sam2_hiera_large", {"low_res_logits_0": (128, 64)}, r"is (128, 64), expected (S, S) where S = 128"),
        ("sam2_hiera_large", {"low_res_logits_0": (126, 126)}, "has 126 rows, expected a multiple of 4"),
        ("dinov2_vitb14", {"keys": (3, 3, 768)}, "array keys_stride7, or of another stride, is missing"),
        ("dinov2_vitb14", {"keys_stride7": (3, 768)}, r"keys_stride7 is (3, 768), expected (h, w, 768)"),
        ("depth_anything_v2_vitl", {"disparity": (8, 9)}, r"disparity is (8, 9), expected (B, h, w)"),
        (
            "bootstapir",
            {"queries": (4, 3), "tracks": (5, 2, 2)},
            "expected (N, T, 2) where N = 4",
        ),
        ("bootstapir", {"queries": (0, 3), "tracks": (0, 2, 2)}, r"queries is (0, 3), expected (N, 3)"),
        ("bootstapir", {"queries": (1, 3), "tracks": (1, 1, 2)}, "times 1 to 1, expected whole ones < 1"),
        ("moseg", {"traj": (1, 2, 3, 4), "hidden": (1, 1, 4, 3)}, r"hidden is (1, 1, 4, 3), expected (1, 1, N, T)"),
    ],
)
def test_a_case_of_other_shapes_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, arrays: dict[str, tuple[int, ...]], words: str
) -> None:
    write_case(tmp_path, name, **{key: np.ones(shape, np.float32) for key, shape in arrays.items()})
    assert run(tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"parity: error: {tmp_path / 'golden' / name}.npz: array ")
    assert words in line


def test_an_array_that_is_missing_is_named_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_onnx(monkeypatch)
    monkeypatch.setitem(cases.KINDS, "small", lambda _: [replace(small_parts({})[0], answer=two_answers)])
    assert run(write_case(tmp_path, colours=golden(0, 0))) == 2
    out, errors = capsys.readouterr()
    assert "1 arrays compared" in out
    assert "small.npz: array shades is missing, which a case of small must have" in errors


def test_text_is_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write_case(tmp_path, colours=np.array(["red"]))) == 2
    assert "array colours is <U3, expected numbers" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "1.5", "x", str(2**63)])
def test_a_seed_is_a_whole_number(tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: str) -> None:
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, "--seed", seed)
    assert stop.value.code == 2
    assert "is no seed; expected a whole number" in capsys.readouterr().err


def test_a_folder_of_layouts_that_is_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_onnx(monkeypatch)
    write_case(tmp_path, "small_of_another_kind", colours=golden(0, 0))
    assert run(tmp_path, "--manifests", str(tmp_path / "nowhere")) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert run(tmp_path) == 0
    assert "small.json" in capsys.readouterr().out


@pytest.mark.parametrize("none", [(0,), (0, 66)])
def test_a_clip_in_which_nothing_is_found_is_a_case_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], none: tuple[int, ...]
) -> None:
    case = dict(np.load(GOLDEN / "grouping.npz"))
    case["visible"] = np.zeros_like(case["visible"])
    case |= {"object_frame": np.zeros(0, np.int64), "object_tracks": np.zeros(none, np.bool_), "prompts": np.zeros(0)}
    assert run(write_case(tmp_path, "grouping_of_nothing", **case)) == 0
    case["prompts"] = np.zeros((1, 3))
    assert run(write_case(tmp_path, "grouping_of_nothing", **case)) == 1
    assert "prompts" in capsys.readouterr().out.splitlines()[-3]


def test_a_click_outside_the_frame_is_answered_at_its_border(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = dict(np.load(GOLDEN / "grouping.npz"))
    height, width = case["labels"].shape[1:]
    case["labels"] = case["labels"][:, : height // 2, : width // 2]
    assert run(write_case(tmp_path, "grouping_cut", **case)) == 1  # other answers, and no error
    assert "grouping_cut" in capsys.readouterr().out


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
    assert parts("depth_anything_v2_vitb", disparity=disparity)[0].sizes == [size]


@pytest.mark.parametrize(("stride", "count"), [(7, 1), (14, 4)])
def test_the_size_of_a_semantics_case_follows_from_its_grid(stride: int, count: int) -> None:
    grid = np.zeros((1 + (140 - 14) // stride, 1 + (182 - 14) // stride, 768), np.float32)[::2, ::2]
    (part,) = parts("dinov2_vitb14", **{f"keys_stride{stride}": grid})
    assert (140, 182) in part.sizes
    assert len(part.sizes) == count


def test_every_size_has_a_kind() -> None:
    assert {cases.kind(f"{stem}_of_seed_3", cases.KINDS) for stem in OFFICIAL} == set(OFFICIAL)
    with torch.device("meta"):
        model = parts("sam2_hiera_small", low_res_logits_0=np.zeros((64, 64)))[0].build()
    assert model.params == replace(OFFICIAL["sam2_hiera_small"], image_size=512)


def test_the_sam2_case_follows_the_reference_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = replace(
        SAM2_NANO, trunk=HieraParams(8, 1, (1, 1, 2, 1), (4, 2, 3, 2), (3,), 3), mask_scale=4, image_size=64
    )
    monkeypatch.setitem(OFFICIAL, "sam2.1_hiera_tiny", tiny)
    (part,) = parts("sam2.1_hiera_tiny", low_res_logits_0=np.zeros((8, 8)), memory_3=np.zeros(1))
    model = part.build().eval()
    assert isinstance(model, Sam2)
    model.load_state_dict(random_state(model, 0))
    found = part.answer(compare._pytorch(part.graphs(model)), 5, None)
    with torch.inference_mode():
        encoded = [model.encode(frame[None]) for frame in torch.from_numpy(images("sam2/video", 4, (64, 64), 5))]
        tracker = Tracker(model, 4)
        answers = [tracker.click(0, encoded[0], torch.tensor([sam2_case.CLICKS]), torch.tensor([[1, 1]]))]
        answers += [tracker.step(t, encoded[t]) for t in range(1, 4)]
    for t, answer in enumerate(answers):
        np.testing.assert_array_equal(found[f"low_res_logits_{t}"], answer.mask[0, ::2, ::2].numpy())
        np.testing.assert_array_equal(found[f"memory_{t}"], answer.memory[0, ::4, ::4, ::4].numpy())
    assert len(found) == 3 + 5 * 4


@pytest.mark.slow
def test_every_published_case_agrees() -> None:
    assert run(TESTS) == 0
