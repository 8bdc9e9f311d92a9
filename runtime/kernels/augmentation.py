"""Trajectory augmentation on a device: the motion network's channels from filtered tracks and disparity."""

from samotion.runtime.kernels.launching import Array, Launch, checked

CHANNELS = 88  # the encoder's, as in augmentation.cu


def normalise(launch: Launch, xy: Array, size: tuple[int, int], out: Array) -> None:
    """Bring pixels (N, T, 2) float32 of frames of ``size`` (height, width) into [-1, 1].

    Twin: samotion.runtime.ops.reference.normalised_xy.
    """
    tracks, frames = xy.shape[:2]
    numbers = checked(2 * tracks * frames)
    launch("augmentation", "augment_normalise", numbers, xy, out, numbers, 2.0 / size[1], 2.0 / size[0])


def augment(
    launch: Launch,
    xy: Array,
    visible: Array,
    visibility: Array,
    confidence: Array,
    disparity: Array,
    as_trained: bool,
    depth: Array,
    channels: Array,
) -> None:
    """Fill ``depth`` (N, T) and ``channels`` (N, T, 88), float32: xy, Δu, Δv and their waves, d, Δd, the two trusts.

    xy: (N, T, 2) in [-1, 1]; visible: (N, T) bool; visibility, confidence: (N, T); disparity: (T, H, W); all float32
    but visible. as_trained: read depth where the published weights expect it (MotionParams.depth_as_trained). Where
    xy is outside [-1, 1] depth is read at the edge, where it is NaN at -1. Twin: twins.augmented.
    """
    (tracks, frames), (height, width) = visible.shape, disparity.shape[1:]
    checked(height * width)
    numbers = checked(tracks * frames * CHANNELS)
    size = tracks, frames
    launch(
        "augmentation",
        "augment_look_up",
        tracks * frames,
        xy,
        disparity,
        depth,
        *size,
        height,
        width,
        int(as_trained),
    )
    launch("augmentation", "augment_channels", numbers, xy, visible, visibility, confidence, depth, channels, *size)
