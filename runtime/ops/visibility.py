"""From a tracker's logits to tracks that later stages may trust."""

import numpy as np

from samotion.runtime.values import Float, Int, Tracks

THRESHOLD = 0.5


def filter_tracks(xy: Float, occlusion: Float, expected_distance: Float, query_frame: Int) -> Tracks:
    """Decide where each track is visible and drop the tracks that never are.

    xy: (N, T, 2) pixels. occlusion, expected_distance: (N, T) logits. query_frame: (N,). With
    v = 1 − σ(occlusion) and c = 1 − σ(expected_distance) a point is visible where v·c > 0.5; its confidence is
    c where v·c > 0.5 or (1 − v)·c > 0.5, else 0 (SegAnyMo). In a frame where no kept track is visible the
    first of the most confident ones is made visible, so every frame has one unless no track is left.

    Infinite logits are certain answers. A NaN logit or a coordinate that is not finite makes the point hidden
    with visibility and confidence 0, and such a coordinate pair becomes (0, 0).
    """
    sound = np.isfinite(xy).all(axis=-1) & ~np.isnan(occlusion) & ~np.isnan(expected_distance)
    visibility = np.where(sound, _complement_of_sigmoid(occlusion), np.float32(0))
    certainty = np.where(sound, _complement_of_sigmoid(expected_distance), np.float32(0))
    visible = visibility * certainty > THRESHOLD
    decided = visible | ((1 - visibility) * certainty > THRESHOLD)

    kept = visible.any(axis=1)
    visible, sound = visible[kept], sound[kept]
    confidence = np.where(decided, certainty, np.float32(0))[kept]
    if kept.any():
        empty = np.flatnonzero(~visible.any(axis=0))
        # −1 ranks unsound points below confidence 0: they are chosen only where there is nothing else.
        ranked = np.where(sound[:, empty], confidence[:, empty], -1)
        visible[ranked.argmax(axis=0), empty] = True
    finite = np.isfinite(xy[kept]).all(axis=-1, keepdims=True)
    return Tracks(
        xy=np.where(finite, xy[kept], 0).astype(np.float32),
        visible=visible,
        visibility=visibility[kept],
        confidence=confidence,
        query_frame=query_frame[kept].astype(np.int64),
    )


def _complement_of_sigmoid(logits: Float) -> Float:
    """1 − σ(x), without overflow for any x; NaN stays NaN."""
    decayed: Float = np.exp(-np.abs(logits), dtype=np.float32)
    complement: Float = np.where(logits >= 0, decayed, np.float32(1)) / (np.float32(1) + decayed)
    return complement
