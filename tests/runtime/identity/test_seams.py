"""Stretches get one numbering: that of a follower which went through all of them."""

from fractions import Fraction

import numpy as np

from samotion.runtime.identity.seams import Renaming
from samotion.runtime.values import Clip, MotionLabels, ObjectMasks, Tracks, WindowResult

T, SIDE = 4, 8


def piece(objects: dict[int, int]) -> WindowResult:
    """A window with objects that are columns of the image, by identity."""
    identities = np.array(sorted(objects), np.int64)
    masks = np.zeros((len(objects), T, SIDE, SIDE), np.bool_)
    for k, identity in enumerate(identities):
        masks[k, :, :, objects[int(identity)]] = True
    nothing = np.zeros((0, T), np.float32)
    return WindowResult(
        Clip(
            "a",
            np.zeros((T, SIDE, SIDE, 3), np.uint8),
            Fraction(24),
            (SIDE, SIDE),
            np.arange(T),
            T,
            np.arange(T) / 24,
        ),
        identities,
        ObjectMasks(masks),
        np.float32(0.1) * identities.astype(np.float32),
        np.repeat(identities[:, None], T, axis=1).astype(np.uint8),
        Tracks(nothing[..., None].repeat(2, 2), nothing > 0, nothing, nothing, np.zeros(0, np.int64)),
        MotionLabels(np.zeros(0, np.float32), np.zeros(0, np.bool_)),
        0,
        {},
        0.0,
    )


def columns(found: WindowResult) -> dict[int, int]:
    """Which column each object is, by identity."""
    return {
        int(identity): int(np.flatnonzero(own[0, 0])[0])
        for identity, own in zip(found.identities, found.masks.values, strict=True)
    }


def test_objects_keep_their_numbers_across_a_seam() -> None:
    names = Renaming()
    assert columns(names.renamed(piece({1: 0, 2: 5}))) == {1: 0, 2: 5}
    seam = names.meet(piece({1: 5, 2: 0, 3: 7}))
    assert (seam.known, seam.found, seam.ious.tolist()) == (2, 3, [1.0, 1.0])
    after = names.renamed(piece({1: 5, 2: 0, 3: 7, 4: 2}))
    assert columns(after) == {1: 0, 2: 5, 3: 7, 4: 2}
    assert after.identities.tolist() == [1, 2, 3, 4]
    assert np.allclose(after.scores, [0.2, 0.1, 0.3, 0.4]), "scores go with their objects"
    assert after.states[:, 0].tolist() == [2, 1, 3, 4]


def test_a_new_object_gets_the_next_free_number() -> None:
    names = Renaming()
    names.renamed(piece({1: 0, 2: 1, 3: 2}))
    names.renamed(piece({3: 2}))
    names.meet(piece({1: 2}))
    assert columns(names.renamed(piece({1: 2, 2: 6}))) == {3: 2, 4: 6}


def test_where_nothing_is_shared_all_is_new() -> None:
    names = Renaming()
    names.renamed(piece({}))
    assert names.meet(piece({1: 3})).ious.size == 0
    assert columns(names.renamed(piece({1: 3}))) == {1: 3}
