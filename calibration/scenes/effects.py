"""Photometric factors, applied to finished frames: light, vignette, noise and compression."""

import cv2
import numpy as np

from samotion.calibration.scenes.camera import waves
from samotion.calibration.scenes.textures import Rng, noise
from samotion.runtime.values import Bytes, Float


def light(rng: Rng, frames: Bytes) -> Bytes:
    """Change brightness, colour and a soft gradient over time, sometimes with flicker."""
    count, height, width, _ = frames.shape
    amplitude, rate, phase = waves(rng, [0.1, 0.1, 0.1], 2, 0.03, 0.4)
    shared = rng.normal(0, 0.15, 2)
    time = np.arange(count)[:, None, None]
    gain = 1 + ((amplitude + shared[:, None]) * np.sin(time * rate[:, None] + phase)).sum(1)
    if rng.random() < 0.3:
        gain = gain + rng.normal(0, rng.uniform(0.01, 0.06), (count, 1))
    field = noise(rng, height, width, 2, 2)[..., None] - 0.5
    sway = rng.uniform(0, 0.5) * np.sin(np.arange(count) * rng.uniform(0.03, 0.2))
    out = np.empty_like(frames)
    for t in range(count):
        level = np.clip(gain[t], 0.4, 1.7).astype(np.float32) + field * np.float32(sway[t])
        out[t] = np.clip(frames[t] * level + 0.5, 0, 255)
    return out


def _vignette(rng: Rng, height: int, width: int) -> Float:
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    return np.asarray(1 - np.float32(rng.uniform(0.1, 0.35)) * (x * x + y * y), np.float32)


def vignette(rng: Rng, frames: Bytes) -> Bytes:
    """Darken the corners alike in every frame."""
    fall = np.asarray(np.clip(_vignette(rng, *frames.shape[1:3]), 0, 1) * 256, np.uint16)[..., None]
    return np.asarray((frames * fall) >> 8, np.uint8)


def grain(rng: Rng, frames: Bytes) -> Bytes:
    """Add sensor noise, fresh in every frame."""
    _, height, width, _ = frames.shape
    pool = rng.normal(0, rng.uniform(1, 9), (height + 61, width + 67, 3)).astype(np.int16)
    if rng.random() < 0.4:
        pool = np.asarray(cv2.GaussianBlur(pool, (3, 3), 0.7), np.int16)
    out = np.empty_like(frames)
    for t, frame in enumerate(frames):
        y, x = rng.integers(0, 61), rng.integers(0, 67)
        out[t] = np.clip(frame + pool[y : y + height, x : x + width], 0, 255)
    return out


def compress(rng: Rng, frames: Bytes) -> Bytes:
    """Send every frame through JPEG of one quality."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))]
    out = np.empty_like(frames)
    for t, frame in enumerate(frames):
        _, code = cv2.imencode(".jpg", frame[..., ::-1], quality)
        out[t] = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return out
