"""FBMS-59's own measures: regions, clusters, and what is not counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.datasets.labelled import truth_of

from samotion.benchmarks.accuracy.moseg_metrics import RegionScores, region_scores, summed
from samotion.runtime.values import Bytes


def halves(left: int, right: int, rows: int = 4, columns: int = 8) -> Bytes:
    labels = np.full((1, rows, columns), left, np.uint8)
    labels[:, :, columns // 2 :] = right
    return labels


def test_a_perfect_answer() -> None:
    scores = region_scores(truth_of(2), 7 * truth_of(2))
    assert scores == RegionScores(1, 1, 2, 2)
    assert scores.f == 1


def test_an_empty_answer_leaves_regions_without_a_cluster() -> None:
    truth = halves(0, 1)
    scores = region_scores(truth, np.zeros_like(truth))
    # The one cluster goes to one half, with precision 1/2 and recall 1; the other half has none: 1 and 0.
    assert (scores.precision, scores.recall) == (0.75, 0.5)
    assert (scores.found, scores.objects) == (0, 1)
    assert scores.f == pytest.approx(0.6)


def test_a_split_object_counts_its_larger_part() -> None:
    truth = halves(0, 1)
    prediction = truth.copy()
    prediction[0, 0, 4:] = 2  # a quarter of the object
    scores = region_scores(truth, prediction)
    assert scores.precision == 1
    assert scores.recall == pytest.approx((1 + 0.75) / 2)
    assert scores.found == 1  # F of the object is 6/7


def test_uncertain_pixels_weigh_less() -> None:
    truth = halves(0, 1)
    prediction = truth.copy()
    prediction[0, 0, 4:] = 0
    certainty = np.ones(truth.shape, np.float32)
    certainty[0, 0, 4:] = 0
    assert region_scores(truth, prediction, certainty) == RegionScores(1, 1, 1, 1)
    assert region_scores(truth, prediction).recall < 1
    nothing = np.where(truth == 1, 0, 1).astype(np.float32)  # a region nobody is sure of is not there
    assert region_scores(truth, prediction, nothing).objects == 0


def test_the_data_sets_f_is_that_of_the_mean_precision_and_recall() -> None:
    rows = [RegionScores(1.0, 0.5, 1, 2), RegionScores(0.5, 0.5, 0, 1)]
    assert summed(rows) == {"precision": 0.75, "recall": 0.5, "f": 0.6, "found": 1, "objects": 3}
    assert summed([])["f"] is None


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5))
def test_scores_are_shares_and_names_do_not_matter(seed: int, regions: int, clusters: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, regions, (2, 5, 6)).astype(np.uint8)
    prediction = rng.integers(0, clusters, (2, 5, 6)).astype(np.uint8)
    scores = region_scores(truth, prediction)
    assert 0 <= scores.precision <= 1
    assert 0 <= scores.recall <= 1
    assert 0 <= scores.found <= scores.objects == len(np.unique(truth)) - 1
    order = rng.permutation(clusters).astype(np.uint8)
    other = region_scores(truth, order[prediction])
    if len(np.unique(prediction)) >= len(np.unique(truth)):  # else equal sums may leave another region empty
        assert other.f == pytest.approx(scores.f, abs=0.05)
    assert region_scores(truth, truth).f == 1
