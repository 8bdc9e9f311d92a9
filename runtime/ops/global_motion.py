"""How far each track strays from what the camera's own motion explains, at several gaps of time."""

import numpy as np

from samotion.runtime.values import Bool, Float

GAPS = (1, 4, 12)  # frames between the two that are compared
CHANNELS = 5  # of each gap: deviation over the tracks' noise (x, y), in pixels (x, y), whether it is known
PIXEL = 2 / 256  # of the tracker's input, in coordinates of [-1, 1]
LEAST_NOISE = 0.3  # pixels: below it the tracker's own errors are all there is
SOFT_ROUNDS, ROUNDS = 4, 9  # rounds of the fit that weigh by 1/deviation, and all rounds
REACH = 1.5  # times the noise: deviations beyond it count little in the later rounds
STEADY = 1e-6  # keeps the fit solvable where a pair of frames shares too few tracks


def against_camera(xy: Float, visible: Bool) -> Float:
    """Return what each track does beside the camera's motion (N, T, len(GAPS) · CHANNELS) float32.

    xy: (N, T, 2) in [-1, 1]. visible: (N, T) bool. Frame t is compared with frame t + gap: a quadratic motion of the
    whole image is fitted to the tracks that both show, robustly, since movers are among them; a track's deviation
    from it is given over the median deviation and in pixels, both through asinh. 0 where either frame hides it.
    """
    return np.concatenate([_channels(xy, visible, gap) for gap in GAPS], -1)


def _channels(xy: Float, visible: Bool, gap: int) -> Float:
    """Return one gap's channels (N, T, CHANNELS); all 0 in the last ``gap`` frames."""
    out = np.zeros((*visible.shape, CHANNELS), np.float32)
    if gap >= visible.shape[1] or not len(visible):
        return out
    known = visible[:, :-gap] & visible[:, gap:]
    deviation, noise = deviations(xy[:, :-gap], xy[:, gap:], known)
    out[:, :-gap, 0:2] = np.arcsinh(deviation / noise[:, None])
    out[:, :-gap, 2:4] = np.arcsinh(deviation / PIXEL)
    out[:, :-gap, 4] = 1
    out[:, :-gap] *= known[..., None]
    return out


def deviations(before: Float, after: Float, known: Bool) -> tuple[Float, Float]:
    """Return how far tracks (N, T, 2) end from where the whole image's motion takes them, and the noise (T,).

    before, after: (N, T, 2), where pairs of frames have the tracks; known: (N, T), which pairs show them. noise: the
    median deviation of each pair's tracks, LEAST_NOISE pixels at least.
    """
    terms, shown = _terms(before), known.T
    flow = (after - before).astype(np.float64).transpose(1, 0, 2)
    weight, steady = shown.astype(np.float64), STEADY * np.eye(terms.shape[-1])
    for index in range(ROUNDS):
        weighted = (terms * weight[..., None]).transpose(0, 2, 1)
        left = flow - terms @ np.linalg.solve(weighted @ terms + steady, weighted @ flow)
        size = np.hypot(left[..., 0], left[..., 1])
        if index < SOFT_ROUNDS:
            weight = shown / np.maximum(size, LEAST_NOISE * PIXEL)
        else:
            noise = np.maximum(_medians(size, shown), LEAST_NOISE * PIXEL)
            weight = shown / (1 + (size / (REACH * noise[:, None])) ** 2) ** 2
    return left.transpose(1, 0, 2).astype(np.float32), noise.astype(np.float32)


def _terms(xy: Float) -> Float:
    """Return what the motion of points (N, T, 2) is a sum of: (T, N, 6)."""
    x, y = np.moveaxis(xy.astype(np.float64), -1, 0)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).transpose(1, 0, 2)


def _medians(size: Float, shown: Bool) -> Float:
    """Return each row's median (T,) of the entries of size (T, N) that are shown; 0 where none is."""
    ordered = np.sort(np.where(shown, size, np.inf), axis=1)
    middle = np.maximum(shown.sum(axis=1) - 1, 0) // 2
    found = ordered[np.arange(len(size)), middle]
    return np.where(np.isfinite(found), found, 0.0)
