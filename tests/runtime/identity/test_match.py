"""Who is who across windows: one to one, whatever the order, and the same for as long as an object is there."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from samotion.runtime.identity.match import SAME_IOU, UNKNOWN, Identified, identified, link, overlap_iou
from samotion.runtime.values import Bool, Int

no_hurry = settings(deadline=None, max_examples=50)
SIDE = 24


def boxes(*corners: tuple[int, int, int, int], frames: int = 3) -> Bool:
    """Objects that stand still: each the box (top, left, bottom, right)."""
    masks = np.zeros((len(corners), frames, SIDE, SIDE), np.bool_)
    for own, (top, left, bottom, right) in zip(masks, corners, strict=True):
        own[:, top:bottom, left:right] = True
    return masks


def some_masks(seed: int, count: int) -> Bool:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, SIDE - 6, (count, 2))
    sizes = rng.integers(4, 14, (count, 2))
    return boxes(*[(int(y), int(x), int(y + h), int(x + w)) for (y, x), (h, w) in zip(corners, sizes, strict=True)])


def carried(masks: Bool, *identities: int, still: int = 1) -> Identified:
    return Identified(masks, np.array(identities, np.int64), np.full(len(identities), still, np.int64))


def names(*identities: int) -> Int:
    return np.array(identities, np.int64)


@no_hurry
@given(seed=st.integers(0, 10**6), known=st.integers(0, 5), found=st.integers(0, 5))
def test_links_are_one_to_one_and_alike(seed: int, known: int, found: int) -> None:
    a, b = some_masks(seed, known), some_masks(seed + 1, found)
    links, likeness = link(a, b), overlap_iou(a, b)
    assert links.shape == (found,)
    linked = links[links != UNKNOWN]
    assert len(set(linked.tolist())) == len(linked)
    assert all(likeness[p, k] >= np.float32(SAME_IOU) for k, p in enumerate(links) if p != UNKNOWN)
    # Nothing is left out that could still be joined.
    free = set(range(known)) - set(linked.tolist())
    assert not any(likeness[p, k] > SAME_IOU for p in free for k in np.flatnonzero(links == UNKNOWN))


@no_hurry
@given(seed=st.integers(0, 10**6), known=st.integers(1, 5), found=st.integers(1, 5), data=st.data())
def test_links_do_not_depend_on_the_order(seed: int, known: int, found: int, data: st.DataObject) -> None:
    a, b = some_masks(seed, known), some_masks(seed + 1, found)
    likeness = overlap_iou(a, b)
    alike = likeness[likeness >= SAME_IOU]
    assume(len(np.unique(alike)) == len(alike))  # of equal pairs the order decides, as it says
    p, k = data.draw(st.permutations(range(known))), data.draw(st.permutations(range(found)))
    links = link(a, b)
    again = link(a[p], b[k])
    assert [UNKNOWN if x == UNKNOWN else p[x] for x in again] == links[k].tolist()


def test_the_most_alike_are_joined_first() -> None:
    known = boxes((0, 0, 10, 10), (0, 10, 10, 20))
    found = boxes((0, 3, 10, 13), (0, 1, 10, 11), (15, 15, 20, 20))
    assert link(known, found).tolist() == [UNKNOWN, 0, UNKNOWN]
    assert link(known, found[:1]).tolist() == [0]
    assert link(known[1:], found).tolist() == [UNKNOWN, UNKNOWN, UNKNOWN], "3 of 17 columns are no likeness"


def test_empty_masks_are_like_nothing() -> None:
    empty = np.zeros((2, 3, SIDE, SIDE), np.bool_)
    assert link(empty, empty).tolist() == [UNKNOWN, UNKNOWN]
    assert link(empty[:0], empty).tolist() == [UNKNOWN, UNKNOWN]
    assert link(empty, empty[:0]).tolist() == []


@no_hurry
@given(
    seed=st.integers(0, 10**6),
    found=st.integers(0, 4),
    lost=st.integers(0, 4),
    last=st.integers(10, 300),
    data=st.data(),
)
def test_names_are_unique_and_kept(seed: int, found: int, lost: int, last: int, data: st.DataObject) -> None:
    masks, gone = some_masks(seed, found), some_masks(seed + 1, lost)
    old = data.draw(st.lists(st.integers(1, 9), min_size=found + lost, max_size=found + lost, unique=True))
    linked = [data.draw(st.sampled_from([UNKNOWN, name])) for name in old[:found]]
    result = identified(masks.copy(), names(*linked), carried(gone, *sorted(old[found:])), 1, last)
    assert sorted(set(result.identities.tolist())) == result.identities.tolist()
    assert {name for name in linked if name != UNKNOWN} <= set(result.identities.tolist())
    new = result.identities[result.identities > 9]
    assert new.tolist() == list(range(last + 1, last + 1 + len(new)))
    assert set(result.identities[result.identities <= 9].tolist()) <= set(old)
    assert result.masks[:, 1:].any(axis=(1, 2, 3)).all()
    # Who was found is not still; whoever has tracks keeps its pixels.
    for name, own in zip(linked, masks, strict=True):
        if name != UNKNOWN:
            at = result.identities.tolist().index(name)
            assert result.still[at] == 0
            assert (result.masks[at] | ~own).all()


def test_a_carried_object_that_is_a_found_one_gives_it_its_name() -> None:
    found = boxes((2, 2, 10, 10), (14, 14, 20, 20))
    result = identified(found, names(UNKNOWN, UNKNOWN), carried(boxes((2, 2, 11, 10)), 7), 1, 8)
    assert result.identities.tolist() == [7, 9]
    assert result.masks[0, 2, 10, 5], "the union of both"
    assert result.still.tolist() == [0, 0]


def test_a_link_counts_for_more_than_what_was_carried() -> None:
    result = identified(boxes((2, 2, 10, 10)), names(5), carried(boxes((2, 2, 11, 10)), 3), 1, 8)
    assert result.identities.tolist() == [5]


def test_what_is_carried_never_joins_two_found_ones() -> None:
    found = boxes((0, 0, 10, 8), (0, 8, 10, 20))
    result = identified(found, names(1, 2), carried(boxes((0, 0, 10, 20)), 3), 1, 3)
    assert result.identities.tolist() == [1, 2]


def test_a_carried_object_makes_way_for_a_found_one_and_for_an_older_one() -> None:
    gone = carried(boxes((0, 0, 10, 10), (0, 0, 10, 10), (12, 0, 20, 20)), 2, 3, 4)
    result = identified(boxes((12, 10, 24, 24)), names(1), gone, 1, 4)
    assert result.identities.tolist() == [1, 2, 4]
    assert result.masks[2, 2, 12:20, :10].all()
    assert not result.masks[2, 2, :, 10:].any()
    assert result.still.tolist() == [0, 1, 1]


def test_what_is_not_seen_after_the_shared_frames_is_left_out() -> None:
    found = boxes((0, 0, 5, 5), (10, 10, 15, 15))
    found[0, 1:] = False
    assert identified(found, names(1, UNKNOWN), carried(found[:0]), 1, 1).identities.tolist() == [2]


@no_hurry
@given(seed=st.integers(0, 10**6), count=st.integers(1, 4))
def test_identities_last_through_many_windows(seed: int, count: int) -> None:
    """Squares that drift by a pixel a frame, found in any order in every window."""
    rng = np.random.default_rng(seed)
    where, drift = rng.permutation(4)[:count], rng.integers(-1, 2, count)
    window, overlap = 6, 2
    film = np.zeros((count, 20, 40, 200), np.bool_)
    for own, place, step in zip(film, where, drift, strict=True):
        for t in range(20):
            left = 30 + 45 * int(place) + int(step) * t
            own[t, 10:25, left : left + 12] = True
    true: dict[int, int] = {}
    last, before = 0, None
    for start in range(0, 20 - window + 1, window - overlap):
        order = rng.permutation(count)
        found = film[order, start : start + window]
        if before is None:
            result = Identified(found, np.arange(1, count + 1), np.zeros(count, np.int64))
        else:
            links = link(before.masks[:, -overlap:], found[:, :overlap])
            result = identified(found.copy(), before.identities[links], carried(found[:0]), overlap, last)
        for name, own in zip(result.identities, result.masks, strict=True):
            (same,) = [k for k in range(count) if np.array_equal(own, film[k, start : start + window])]
            assert true.setdefault(same, name) == name
        last, before = max(last, int(result.identities.max())), result
    assert len(true) == count
