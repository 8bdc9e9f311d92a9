from pathlib import Path

import numpy as np
import pytest
import torch

from samotion.benchmarks.ablation import ROWS, main, table_row
from samotion.engines.bundle import Bundle
from samotion.export.networks.motion.motion_blocks import FirstBlock
from samotion.export.networks.motion.motion_network import NANO, MotionNetwork, example
from samotion.export.training.ablation import bundle_with
from samotion.export.training.ablation_models import WITHOUT


@pytest.fixture(params=WITHOUT)
def lacking(request: pytest.FixtureRequest) -> tuple[str, MotionNetwork]:
    torch.manual_seed(0)
    return request.param, WITHOUT[request.param](NANO).eval()


# What each network must not notice any more, and what it must still notice.
UNSEEN = {"tracks": "xy", "DINO": "semantics", "depth": "disparity"}


def test_a_network_without_a_part_does_not_notice_its_input(lacking: tuple[str, MotionNetwork]) -> None:
    name, network = lacking
    inputs = example(NANO)
    with torch.no_grad():
        answer = network(**inputs)
        for given in ("xy", "semantics", "disparity"):
            changed = network(**{**inputs, given: inputs[given].flip(0)})
            # A track's place also chooses the depth that it reads.
            same = torch.equal(answer, changed) if given != "xy" or name != "tracks" else None
            assert same in (None, UNSEEN.get(name) == given), given


def test_without_attention_across_a_track_is_encoded_alone() -> None:
    inputs = example(NANO)
    for name, alone in (("nothing", False), ("ST-ATT", True)):
        torch.manual_seed(0)
        network = WITHOUT[name](NANO).eval()
        channels = torch.rand(7, 5, NANO.channels)
        with torch.no_grad():
            whole = network.joint_encoder(channels, inputs["visible"])
            part = network.joint_encoder(channels[1:3], inputs["visible"][1:3])
        assert torch.allclose(whole[1:3], part, atol=1e-5) is alone


def test_without_decoupling_semantics_take_part_in_attention() -> None:
    torch.manual_seed(0)
    motion, semantics = torch.rand(6, NANO.width), torch.rand(6, NANO.semantics)
    decoder = WITHOUT["MSDE"](NANO).eval().decoder
    with torch.no_grad():
        seen = decoder.embedding.embedding(torch.cat((motion, semantics), -1))
        assert not torch.equal(decoder(motion, semantics), decoder(motion, semantics.flip(0)))
    assert seen.shape == (6, NANO.embedding)
    block = decoder.encoders[0]
    assert isinstance(block, FirstBlock)
    assert block.ffn[0].in_features == NANO.embedding


@pytest.mark.parametrize("name", ["MSDE", "PE"])  # their graphs differ most from the whole network's
def test_each_becomes_a_bundle_that_runs(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = WITHOUT[name](NANO).eval()
    bundle_with(network, name, tmp_path / name)
    inputs = example(NANO, seed=3)
    with Bundle.load(tmp_path / name) as bundle, torch.no_grad():
        assert bundle.name == f"nano without {name}"
        found = bundle.engine("motion")(**{key: value.numpy() for key, value in inputs.items()})["probability"]
        np.testing.assert_allclose(found, network(**inputs).sigmoid().numpy(), atol=1e-5)


def test_table_compares_with_the_whole_network() -> None:
    rows = {"nothing": {"j": 0.6, "f": 0.5}, "depth": {"j": 0.5, "f": 0.48}, "PE": {"j": None, "f": None}}
    assert table_row("depth", rows).split() == ["depth", "0.500", "0.480", "6.0", "11.0"]
    assert table_row("nothing", rows).split() == ["nothing", "0.600", "0.500", "-", "-"]
    assert table_row("PE", rows).split() == ["PE", "-", "-", "-", "14.0"]


def test_rows_are_the_networks_that_are_trained() -> None:
    assert tuple(WITHOUT) == ROWS


def test_bundles_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "data" / "a"
    (clip / "frames").mkdir(parents=True)
    (clip / "masks").mkdir()
    assert main(["--data", str(tmp_path / "data"), "--runs", str(tmp_path)]) == 2
    assert "samotion.export.training.ablation" in capsys.readouterr().err
