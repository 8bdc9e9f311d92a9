"""Strict loading: every published checkpoint's layout, with a key gone, added or misshapen, is refused by name."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.support.parity_fixtures import state_dict
from tests.support.paths import MANIFESTS
from torch import Tensor, nn

from samotion.engines.errors import CheckpointError, SettingsError
from samotion.export.presets import DEPTHS, MASKS, PAPER, PRESETS, Network, Preset, choose
from samotion.export.weights import sources as weight_sources
from samotion.export.weights.load import load, random_state, read
from samotion.export.weights.sources import sources

NETWORKS: dict[str, Network] = {
    "bootstapir": PAPER.networks["tracker"],
    "dinov2_vitb14": PAPER.networks["semantics"],
    "moseg": PAPER.networks["motion"],
    **{f"depth_anything_v2_vit{size}": network for size, network in DEPTHS.items()},
    **{stem: choose("fast", masks=name).networks["masks"] for name, stem in MASKS.items()},
}
LAYOUTS = sorted(path.stem for path in MANIFESTS.glob("*.json"))


def layout(name: str) -> dict[str, Tensor]:
    """Return the manifest as tensors that take no memory."""
    entries = json.loads((MANIFESTS / f"{name}.json").read_text())
    types = {"torch.float32": torch.float32, "torch.int64": torch.int64}
    return {key: torch.empty(shape, dtype=types[kind], device="meta") for key, (shape, kind) in entries.items()}


def remove(state: dict[str, Tensor], key: str) -> None:
    del state[key]


def add(state: dict[str, Tensor], key: str) -> None:
    state[f"{key}.surprise"] = state[key]


def misshape(state: dict[str, Tensor], key: str) -> None:
    state[key] = state[key][None]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_published_layout_fits(name: str) -> None:
    load(NETWORKS[name].empty(), layout(name), name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove, "1 missing: {key}$"),
        (add, r"1 not expected: {key}\.surprise$"),
        (misshape, r"1 misshapen: {key} \(found \(1, .*expected \("),
    ],
)
@pytest.mark.parametrize("name", LAYOUTS)
def test_another_layout_is_refused_by_name(
    name: str, change: Callable[[dict[str, Tensor], str], None], words: str
) -> None:
    state = layout(name)
    key = sorted(state)[len(state) // 2]
    change(state, key)
    with pytest.raises(CheckpointError, match=words.format(key=key.replace(".", r"\."))):
        load(NETWORKS[name].empty(), state, "some.pt")


def test_many_faults_are_counted() -> None:
    state = {f"{key}.old": value for key, value in layout("moseg").items()}
    with pytest.raises(
        CheckpointError, match=r"some\.pt does not fit: \d+ missing: .* and \d+ more; \d+ not expected"
    ):
        load(NETWORKS["moseg"].empty(), state, "some.pt")


def test_random_weights_follow_the_rule_of_the_parity_cases() -> None:
    wanted = state_dict("moseg", seed=3)
    found = random_state(NETWORKS["moseg"].empty(), 3)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_array_equal(found[key].numpy(), value)


class Bomb:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def whole(file: Path, content: object) -> None:
    torch.save(content, file)


def bare(file: Path, content: object) -> None:
    file.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("save", [whole, bare])
@pytest.mark.parametrize("wrap", [lambda bomb: bomb, lambda bomb: {"model": {"key": torch.zeros(1)}, "x": bomb}])
def test_a_pickle_is_refused_without_running(
    tmp_path: Path, save: Callable[[Path, object], None], wrap: Callable[[Bomb], object]
) -> None:
    mark, file = tmp_path / "ran", tmp_path / "weights.pt"
    save(file, wrap(Bomb(mark)))
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        read(file, "model")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "under", "words"),
    [
        ({"weights": {}}, "model", "expected the weights under 'model'"),
        ([1, 2], "model", "expected the weights under 'model'"),
        ({"a": torch.zeros(1), "b": 3}, None, "expected a state dict of tensors"),
        ({"model": 5}, "model", "expected a state dict of tensors"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(
    tmp_path: Path, content: object, under: str | None, words: str
) -> None:
    whole(tmp_path / "weights.pt", content)
    with pytest.raises(CheckpointError, match=words):
        read(tmp_path / "weights.pt", under)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    whole(file, {"a": torch.zeros(1000)})
    file.write_bytes(file.read_bytes()[:-700])
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        read(file)
    (tmp_path / "weights.safetensors").write_bytes(b"\x10")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        read(tmp_path / "weights.safetensors")


TINY = Preset("tiny", {"motion": NETWORKS["moseg"]}, PAPER.tracker, PAPER.depth, PAPER.semantics, PAPER.masks)


def test_a_folder_may_hold_the_official_file_or_safetensors(tmp_path: Path) -> None:
    state = random_state(NETWORKS["moseg"].empty(), 1)
    with pytest.raises(CheckpointError, match=r"moseg\.pth: no such checkpoint; it can be had at https://"):
        sources(TINY, str(tmp_path), False, print)
    save_file(state, tmp_path / "moseg.safetensors")
    assert filled(tmp_path)["joint_encoder.fc2.bias"].equal(state["joint_encoder.fc2.bias"])
    state = random_state(NETWORKS["moseg"].empty(), 2)
    torch.save({"model_state_dict": {key: value.half() for key, value in state.items()}}, tmp_path / "moseg.pth")
    bias = filled(tmp_path)["joint_encoder.fc2.bias"]
    assert bias.dtype == torch.float32
    assert bias.half().equal(state["joint_encoder.fc2.bias"].half())


def filled(folder: Path) -> dict[str, Tensor]:
    model: nn.Module = sources(TINY, str(folder), False, print)["motion"].filled()
    return model.state_dict()


def test_weights_that_do_not_fit_are_told_before_any_export(tmp_path: Path) -> None:
    torch.save({"model_state_dict": {"key": torch.zeros(1)}}, tmp_path / "moseg.pth")
    with pytest.raises(CheckpointError, match=r"moseg\.pth does not fit: \d+ missing.*1 not expected: key"):
        sources(TINY, str(tmp_path), False, print)


def test_offline_takes_the_cache_and_never_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(weight_sources, "fetch", never)
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"moseg\.pth: not in .*--offline forbids"):
        sources(TINY, None, True, never)
    torch.save({"model_state_dict": random_state(NETWORKS["moseg"].empty(), 0)}, tmp_path / "moseg.pth")
    monkeypatch.undo()
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path))
    assert sources(TINY, None, True, never)["motion"].weights == tmp_path / "moseg.pth"


def test_missing_weights_are_downloaded_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(url: str, folder: Path) -> Path:
        path = folder / url.rpartition("/")[2]
        torch.save({"model_state_dict": random_state(NETWORKS["moseg"].empty(), 0)}, path)
        return path

    said: list[str] = []
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path))
    monkeypatch.setattr(weight_sources, "fetch", fake)
    assert sources(TINY, None, False, said.append)["motion"].weights == tmp_path / "moseg.pth"
    assert said == [f"downloading {NETWORKS['moseg'].url} to {tmp_path}"]


@pytest.mark.parametrize("text", ["random:", "random:-1", "random:x"])
def test_a_seed_is_a_whole_number(text: str) -> None:
    with pytest.raises(CheckpointError, match="expected random:SEED"):
        sources(TINY, text, False, print)


def test_presets_and_what_may_be_chosen_on_top() -> None:
    assert list(PRESETS) == ["nano", "fast", "paper"]
    assert list(MASKS) == [f"sam2{v}-{size}" for v in (".1", "") for size in ("t", "s", "b+", "l")]
    paper = {name: network.weights for name, network in PAPER.networks.items()}
    assert paper == {
        "tracker": "bootstapir_checkpoint_v2.pt",
        "depth": "depth_anything_v2_vitl.pth",
        "semantics": "dinov2_vitb14_pretrain.pth",
        "motion": "moseg.pth",
        "masks": "sam2_hiera_large.pt",
    }
    mixed = choose("fast", "sam2.1-b+", "b")
    assert mixed.name == "fast+sam2.1-b++depth-b"
    assert mixed.networks["masks"].weights == "sam2.1_hiera_base_plus.pt"
    assert mixed.networks["depth"].weights == "depth_anything_v2_vitb.pth"
    assert "non-commercial" in mixed.networks["depth"].licence
    assert mixed.masks.max_clicked is None
    assert not any("non-commercial" in network.licence for network in PRESETS["fast"].networks.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("large",), "preset 'large' is unknown; known are nano, fast, paper"),
        (("fast", "sam3-t"), r"--masks 'sam3-t' is unknown; known are sam2\.1-t"),
        (("fast", None, "g"), "--depth 'g' is unknown; known are s, b, l"),
    ],
)
def test_an_unknown_choice_lists_the_known(options: tuple[str, ...], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        choose(*options)
