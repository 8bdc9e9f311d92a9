from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.paths import GOLDEN

from samotion.benchmarks.accuracy.metrics import (
    binary_scores,
    boundary_accuracy,
    object_scores,
    statistics,
)
from samotion.calibration.comparison.iou import mask_ious

CASE = GOLDEN / "metrics.npz"


def test_official_answers_are_met_exactly() -> None:
    golden = np.load(CASE)
    j, f = binary_scores(golden["truth"], golden["prediction"])
    np.testing.assert_array_equal(j, golden["binary_j"])
    np.testing.assert_array_equal(f, golden["binary_f"])
    for values, name in ((j, "j"), (f, "f")):
        found = statistics(values)
        expected = golden[f"binary_{name}_mean_recall_decay"]
        np.testing.assert_array_equal([found.mean, found.recall, found.decay], expected)

    matched = object_scores(golden["truth"], golden["prediction"])
    np.testing.assert_array_equal(matched.truth, golden["match_truth"])
    np.testing.assert_array_equal(matched.prediction, golden["match_prediction"])
    np.testing.assert_array_equal(matched.j, golden["object_j"])
    np.testing.assert_array_equal(matched.f, golden["object_f"])


def square(row: int, column: int, size: int = 10) -> np.ndarray:
    mask = np.zeros((60, 80), np.bool_)
    mask[row : row + size, column : column + size] = True
    return mask


def test_empty_masks() -> None:
    nothing, something = np.zeros((60, 80), np.bool_), square(10, 10)
    assert mask_ious(nothing, nothing) == 1
    assert mask_ious(nothing, something) == mask_ious(something, nothing) == 0
    assert boundary_accuracy(nothing, nothing) == 1
    assert boundary_accuracy(nothing, something) == boundary_accuracy(something, nothing) == 0


def test_boundaries_match_within_the_bound() -> None:
    truth = square(20, 20)  # the diagonal is 100 pixels, so the bound is 1 pixel
    assert boundary_accuracy(truth, square(20, 20)) == 1
    assert boundary_accuracy(truth, square(20, 21)) == 1
    assert boundary_accuracy(truth, square(20, 22)) < 0.8
    assert mask_ious(truth, square(20, 21)) == pytest.approx(90 / 110)


def test_more_and_fewer_predictions_than_objects() -> None:
    one, two = square(10, 10), square(30, 50)
    truth = np.stack([one + 2 * two] * 3).astype(np.uint8)
    matched = object_scores(truth, np.stack([5 * two] * 3).astype(np.uint8))
    assert matched.truth.tolist() == [1, 2]
    assert matched.prediction.tolist() == [0, 5]
    assert matched.j.mean(axis=1).tolist() == [0, 1]
    matched = object_scores(truth, np.stack([3 * one + 1 * two + 7 * square(0, 70, 5)] * 3).astype(np.uint8))
    assert matched.prediction.tolist() == [3, 1]
    assert matched.f.mean() == 1


def test_nothing_true() -> None:
    empty = np.zeros((3, 8, 9), np.uint8)
    assert object_scores(empty, empty).j.shape == (0, 3)
    assert binary_scores(empty, empty)[0].tolist() == [1, 1, 1]


def test_void_is_not_scored() -> None:
    truth = np.stack([square(10, 10)]).astype(np.uint8)
    truth[0, 40:] = 255
    prediction = np.stack([square(10, 10) | square(40, 40)]).astype(np.uint8)
    assert [float(scores[0]) for scores in binary_scores(truth, prediction)] == [1, 1]
    assert object_scores(truth, prediction).truth.tolist() == [1]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3))
def test_the_matching_is_the_best_of_all(seed: int, objects: int, predictions: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, objects + 1, (2, 6, 7)).astype(np.uint8)
    prediction = rng.integers(0, predictions + 1, (2, 6, 7)).astype(np.uint8)
    matched = object_scores(truth, prediction)
    total = (matched.j + matched.f).mean(axis=1).sum()

    wanted, found = np.unique(truth[truth > 0]), np.unique(prediction[prediction > 0])
    padded = [*found, *[200] * max(0, len(wanted) - len(found))]  # an id that is nowhere
    for chosen in permutations(padded, len(wanted)):
        other = 0.0
        for one, two in zip(wanted, chosen, strict=True):
            j, f = binary_scores(1 * (truth == one).astype(np.uint8), (prediction == two).astype(np.uint8))
            other += float((j + f).mean())
        assert other <= total + 1e-12


@pytest.mark.parametrize("frames", [1, 3, 4, 9, 300])
def test_decay_compares_the_first_quarter_with_the_last(frames: int) -> None:
    falling = np.linspace(1, 0, frames) if frames > 1 else np.ones(1)
    found = statistics(falling)
    assert found.mean == pytest.approx(falling.mean())
    assert found.decay == pytest.approx(0 if frames == 1 else 0.75, abs=0.26 if frames < 9 else 0.03)
    assert statistics(np.ones(frames)).decay == 0


def test_recall_counts_scores_above_one_half() -> None:
    assert statistics(np.array([0.5, 0.51, 0.2, 1.0])).recall == 0.5
