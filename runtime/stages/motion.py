"""Which tracks move by themselves (the motion network, then the published choice of a threshold)."""

from typing import Any

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.engines.errors import SettingsError
from samotion.runtime.ops.evidence import informative
from samotion.runtime.ops.global_motion import against_camera
from samotion.runtime.ops.interface import Arrays, Held
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bool, Clip, Float, MotionLabels, Tracks

# The first threshold that at least ENOUGH tracks exceed is taken; long clips ask for more.
THRESHOLDS = (0.95, 0.93, 0.90, 0.85, 0.80, 0.75, 0.70)
LONG_THRESHOLDS = (0.99, 0.98, 0.97, 0.96, 0.95)
LONG_FRAMES = 300
ENOUGH = 10
LAST_RESORT = 3
STEP = 0.1  # by which a bundle's own threshold is lowered
# Tracks less likely to move than this may be clicked as background: those between may lie on an object.
STILL = 0.3
MOST_SCORES = 2**31 - 1  # of one tensor: TensorRT refuses more, and ONNX Runtime's CUDA kernels count in 32 bits


def label(
    clip: Clip,
    tracks: Tracks,
    disparity: Held,
    features: Held,
    bundle: Bundle,
    settings: Settings,
    progress: Progress,
    arrays: Arrays,
) -> MotionLabels:
    """Return each track's probability of moving by itself and the tracks chosen as dynamic.

    disparity: (T, H, W), see depth.estimate. features: (N, C), see features.describe. These and tracks: where
    ``arrays`` has them; what comes back is on the host.

    Where the settings limit the frames that the network sees at once, a longer clip is seen as several interleaved
    ones, and a track's probability is their mean, each weighted by the frames in which it shows the track. Nothing
    moves in a clip that shows the same picture throughout.
    """
    if settings.skip_blank:
        tracks, disparity = _informative(clip, tracks, disparity, arrays)
    count, frames = tracks.visible.shape
    if not count or (settings.skip_blank and frames < 2):
        return MotionLabels(np.zeros(count, np.float32), np.zeros(count, np.bool_))
    pace = 1 if settings.motion_frames is None else -(-frames // settings.motion_frames)
    scores = attention_scores(count, -(-frames // pace))
    if scores > MOST_SCORES:
        raise SettingsError(
            f"the motion network would make {scores} attention scores of {count} tracks in {frames} frames at once, "
            f"expected at most {MOST_SCORES}",
            "use a smaller --window or --max-tracks",
        )
    xy, engine = arrays.normalised_xy(tracks.xy, clip.size), bundle.engine("motion")
    visible = arrays.down(tracks.visible)
    total, weight = np.zeros(len(xy)), np.zeros(len(xy))
    with progress.stage("motion", pace) as stage:
        for first in range(pace):
            seen_at = range(first, frames, pace)
            there, shown = arrays.every(xy, first, pace), visible[:, first::pace]
            further = {"deviations": against_camera(arrays.down(there), shown)} if settings.against_camera else {}
            answer = arrays.run(
                engine,
                xy=there,
                visible=arrays.every(tracks.visible, first, pace),
                visibility=arrays.every(tracks.visibility, first, pace),
                confidence=arrays.every(tracks.confidence, first, pace),
                disparity=disparity if pace == 1 else arrays.joined([disparity[t : t + 1] for t in seen_at]),
                semantics=features,
                **further,
            )
            seen = shown.sum(axis=1)
            total += seen * arrays.down(answer["probability"]).astype(np.float64)
            weight += seen
            stage.advance()
    probability = (total / np.maximum(weight, 1)).astype(np.float32)
    return MotionLabels(probability, choose(probability, frames, settings))


def _informative(clip: Clip, tracks: Tracks, disparity: Held, arrays: Arrays) -> tuple[Tracks, Held]:
    """Return tracks and disparity on the frames that tell anything of motion, where ``arrays`` has them."""
    kept = informative(clip.frames)
    if kept.all():
        return tracks, disparity

    def seen(part: Any) -> Any:
        return arrays.up(arrays.down(part)[:, kept])

    xy, visible, visibility, confidence = map(seen, (tracks.xy, tracks.visible, tracks.visibility, tracks.confidence))
    fewer = Tracks(xy, visible, visibility, confidence, tracks.query_frame)
    return fewer, arrays.up(arrays.down(disparity)[kept])


def attention_scores(tracks: int, frames: int) -> int:
    """Return the elements of the motion network's largest tensor: scores across tracks in a frame, or along time."""
    return tracks * max(tracks, frames**2)


def thresholds(settings: Settings) -> tuple[float, ...]:
    """Return the probabilities above which tracks are dynamic, the first that enough exceed being taken."""
    above, least = settings.dynamic_above, settings.dynamic_least
    if above is None:
        return THRESHOLDS
    lower = 0 if least is None else round(max(0.0, above - least) / STEP)
    return tuple(above - STEP * index for index in range(lower + 1))


def choose(probability: Float, frames: int, settings: Settings) -> Bool:
    """Return which tracks (N,) are dynamic; none, or the likeliest three, where no threshold finds enough."""
    long = settings.dynamic_above is None and frames > LONG_FRAMES
    for threshold in LONG_THRESHOLDS if long else thresholds(settings):
        chosen = probability > threshold
        if chosen.sum() >= ENOUGH:
            return chosen
    chosen = np.zeros(len(probability), np.bool_)
    if settings.best_three:
        chosen[np.argsort(-probability, kind="stable")[:LAST_RESORT]] = True
    return chosen
