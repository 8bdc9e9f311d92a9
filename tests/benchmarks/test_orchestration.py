"""The published orchestration as a driver over our engines: same masks as the pipeline, and its waste is there."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samotion.benchmarks import orchestration
from samotion.benchmarks.accuracy.agreement import mean_iou
from samotion.benchmarks.published import driver
from samotion.benchmarks.speed.clips import made_clip
from samotion.calibration.recording.sequential import OneByOne
from samotion.engines.bundle import Bundle
from samotion.engines.engine import Array, Engine
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.stages.tracks import query_grid
from samotion.runtime.values import Clip, ObjectMasks

COUNTED = {"track_features": "frames", "track_head": "points", "mask_encoder": "image", "depth": "image"}


class CountingBundle(OneByOne):
    """Counts how much each engine is given: the length of the first axis of one of its inputs."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.counts: Counter[str] = Counter()

    def engine(self, graph: str) -> Engine:
        inner = super().engine(graph)
        name = COUNTED.get(graph)
        if name is None:
            return inner

        def counted(**inputs: Array) -> Any:
            self.counts[graph] += len(inputs[name])
            self.counts[f"{graph} largest"] = max(self.counts[f"{graph} largest"], len(inputs[name]))
            return inner(**inputs)

        return counted  # type: ignore[return-value]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    with OneByOne.load() as bundle:
        settings = Settings().override(bundle.settings).override(orchestration.QUICK)

        def found(clip: Clip) -> int:
            return len(segment(clip, bundle, settings).masks.values)

        return read_clip(made_clip(tmp_path_factory.mktemp("clips"), found, **orchestration.QUICK_CLIP))


@pytest.mark.parametrize("prompts", [{}, {"prompt_step": 5, "clicks": 1}])
def test_both_give_the_same_masks_and_the_published_one_its_published_work(
    clip: Clip, prompts: dict[str, int]
) -> None:
    with CountingBundle.load() as bundle:
        settings = Settings().override(bundle.settings).override(orchestration.QUICK).override(prompts)
        ours = segment(clip, bundle, settings)
        assert len(ours.masks.values)
        bundle.counts.clear()
        theirs = driver.segment(clip, bundle, settings)
    iou = mean_iou(ours.masks, theirs.masks)
    assert iou is not None
    assert iou >= 0.98
    points = len(query_grid(clip.size, settings)[1]) * len(range(0, len(clip.frames), settings.step))
    frames = len(clip.frames)
    parts = max(1, points // 2 // 128) * 2
    counts = bundle.counts
    assert counts["track_head"] == points
    assert counts["track_head largest"] <= 64
    assert counts["track_features"] == frames * parts
    assert counts["depth"] == frames
    assert counts["depth largest"] == 1
    assert counts["mask_encoder"] == theirs.encoded
    assert counts["mask_encoder largest"] == 1
    # Each object alone has all frames encoded, and the clicked ones but one a second time for their memory.
    assert theirs.encoded >= frames * len(theirs.masks.values)


def masks_of(*objects: np.ndarray) -> ObjectMasks:
    return ObjectMasks(np.stack(objects).astype(np.bool_))


def box(x: int, width: int = 4, frames: int = 3) -> np.ndarray:
    mask = np.zeros((frames, 8, 20), np.bool_)
    mask[:, 2:6, x : x + width] = True
    return mask


def test_with_the_same_tracks_the_masks_are_the_same_and_fewer_points_are_followed(clip: Clip) -> None:
    with CountingBundle.load() as bundle:
        settings = Settings().override(bundle.settings).override(orchestration.QUICK | orchestration.WHOLE)
        found, followed = {}, {}
        for sampled in (False, True):
            bundle.counts.clear()
            found[sampled] = driver.segment(clip, bundle, settings, sampled).masks
            followed[sampled] = bundle.counts["track_head"]
    assert (mean_iou(found[True], found[False]) or 0) > 0.999
    assert followed[True] <= followed[False] / 2


def test_mean_iou_pairs_objects_in_any_order_and_counts_those_left_over_as_nothing() -> None:
    a, b = box(0), box(10)
    assert mean_iou(masks_of(a, b), masks_of(b, a)) == 1
    assert mean_iou(masks_of(a), masks_of(a, b)) == 0.5
    assert mean_iou(masks_of(a), masks_of(box(2))) == pytest.approx(8 / 24)
    assert mean_iou(masks_of(a), masks_of(b)) == 0


def test_mean_iou_leaves_out_frames_in_which_both_are_absent() -> None:
    a = box(0)
    a[0] = False
    half = box(0, 2)
    half[0] = False
    assert mean_iou(masks_of(a), masks_of(half)) == pytest.approx(0.5)
    nothing = ObjectMasks(np.zeros((0, 3, 8, 20), np.bool_))
    assert mean_iou(nothing, nothing) is None
    assert mean_iou(nothing, masks_of(a)) == 0


@pytest.mark.slow
def test_the_command_writes_ratio_and_iou(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    assert orchestration.main(["--quick", "--runs", "2", "-o", str(out)]) == 0
    record = json.loads(out.read_text())
    pairs = record["clips"][0]["pairs"]
    assert len(pairs) == 2
    for pair in pairs:
        assert pair["ratio"] == pytest.approx(pair["published"]["seconds"] / pair["samotion"]["seconds"])
        assert sum(pair["published"]["stages"].values()) <= pair["published"]["seconds"]
    assert record["ratio"] == pytest.approx(np.sqrt(pairs[0]["ratio"] * pairs[1]["ratio"]))
    assert record["mean_iou"] == pytest.approx(np.mean([pair["mean_iou"] for pair in pairs]))
    assert record["mean_iou"] >= 0.98
    with Bundle.load() as bundle:
        assert record["bundle"]["digest"] == bundle.digest
    assert record["bundle"]["graphs"].keys() == bundle.manifest.graphs.keys()
    assert record["environment"]["versions"]["onnxruntime"]
    assert "median of 2 pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--provider", "cuda"], "provider 'cuda' is not in this"),
        (["--provider", "abacus"], "provider 'abacus' is unknown"),
        (["--runs", "0"], "--runs is 0"),
        (["--clips", "none.mp4"], "no such file or folder"),
        (["-o", "nowhere/result.json"], "its folder does not exist"),
    ],
)
def test_what_cannot_be_done_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert orchestration.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
