from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.paths import GOLDEN

from samotion.runtime.stages.merging import merge_groups, merge_objects
from samotion.runtime.values import Bool, ObjectMasks

CASE = GOLDEN / "grouping.npz"


def partition(numbers: np.ndarray) -> list[list[bool]]:
    """Which objects share a number, whatever the numbers are."""
    return [[bool(a == b) for b in numbers] for a in numbers]


def test_published_groups_are_met_exactly() -> None:
    golden = np.load(CASE)
    groups = merge_groups(golden["merge_masks"].transpose(1, 0, 2, 3))
    assert partition(groups) == partition(golden["merge_group"])


def plain_links(masks: Bool) -> list[tuple[int, int]]:
    """The rule, word by word, one pair and frame at a time."""
    links = []
    for a, b in combinations(range(len(masks)), 2):
        same = 0
        for one, other in zip(masks[a], masks[b], strict=True):
            both, either = (one & other).sum(), (one | other).sum()
            covered = any(area > 0 and both / area >= 0.9 for area in (one.sum(), other.sum()))
            same += bool((either > 0 and both / either > 0.9) or covered)
        if same / masks.shape[1] >= 0.3:
            links.append((a, b))
    return links


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 10))
def test_groups_are_the_connected_components_of_the_plain_rule(seed: int, count: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = rng.random((3, frames, 4, 5)) < 0.5
    masks = shapes[rng.integers(0, 3, (count, frames)), np.arange(frames)]
    masks &= rng.random((count, frames, 1, 1)) < 0.8
    groups = merge_groups(masks)

    expected = list(range(count))
    for _ in range(count):
        for a, b in plain_links(masks):
            expected[a] = expected[b] = min(expected[a], expected[b])
    assert partition(groups) == partition(np.array(expected))
    firsts = [groups.tolist().index(group) for group in range(groups.max() + 1)]
    assert firsts == sorted(firsts)


def test_chains_are_one_object() -> None:
    masks = np.zeros((3, 1, 1, 100), np.bool_)
    for member, start in enumerate((0, 4, 8)):
        masks[member, 0, 0, start : start + 84] = True
    masks[0] = False
    masks[0, 0, 0, :50] = True  # covered by neither alone at 90 %, 46 of 50 by the second
    assert merge_groups(masks).tolist() == [0, 0, 0]


def test_empty_masks_are_not_the_same() -> None:
    assert merge_groups(np.zeros((2, 4, 3, 3), np.bool_)).tolist() == [0, 1]


def test_union_in_the_order_of_the_lowest_member() -> None:
    masks = np.zeros((3, 10, 4, 6), np.bool_)
    masks[0, :, 0] = True
    masks[1, :, 1:3] = True
    masks[2, :3, 0, :3] = True  # inside the first on 30 % of the frames
    masks[2, 3:, 3] = True
    merged = merge_objects(ObjectMasks(masks)).values
    np.testing.assert_array_equal(merged, [masks[0] | masks[2], masks[1]])


def test_no_objects() -> None:
    empty = ObjectMasks(np.zeros((0, 5, 4, 6), np.bool_))
    assert merge_objects(empty).values.shape == (0, 5, 4, 6)
