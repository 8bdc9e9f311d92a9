"""Photographed textures and cut-outs from folders of ``<clip>/frames/*.jpg`` and ``<clip>/masks/*.png``."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from samotion.calibration.scenes.textures import Rng
from samotion.engines.errors import InputError
from samotion.runtime.values import Bytes


@dataclass(frozen=True)
class Sources:
    """Clips to draw from: for each the frames, and the masks of the same names; sorted, never empty."""

    clips: tuple[tuple[tuple[Path, ...], tuple[Path, ...]], ...]

    @classmethod
    def load(cls, folder: Path | str) -> "Sources":
        """Find every clip of ``folder``; raises InputError if there is none."""
        clips = []
        for clip in sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []:
            frames = sorted((clip / "frames").glob("*.jpg"))
            masks = [clip / "masks" / f"{frame.stem}.png" for frame in frames]
            if frames and all(mask.is_file() for mask in masks):
                clips.append((tuple(frames), tuple(masks)))
        if not clips:
            raise InputError(f"{folder}: found no <clip>/frames/*.jpg with <clip>/masks/*.png beside them")
        return cls(tuple(clips))

    def _draw(self, rng: Rng) -> tuple[Path, Path]:
        frames, masks = self.clips[int(rng.integers(len(self.clips)))]
        index = int(rng.integers(len(frames)))
        return frames[index], masks[index]

    def photo(self, rng: Rng, height: int, width: int) -> Bytes:
        """Return a random crop of a random frame, resized to (height, width, 3) uint8 RGB."""
        image = _read(self._draw(rng)[0], cv2.IMREAD_COLOR)[..., ::-1]
        rows, columns = image.shape[:2]
        zoom = min(rows / height, columns / width) * rng.uniform(0.5, 1)
        h, w = max(2, int(height * zoom)), max(2, int(width * zoom))
        top, left = int(rng.integers(0, rows - h + 1)), int(rng.integers(0, columns - w + 1))
        crop = image[top : top + h, left : left + w]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def cut_out(self, rng: Rng, height: int) -> tuple[Bytes, Bytes] | None:
        """Return an object's colour (h, w, 3) and alpha (h, w), ``height`` pixels high or at most twice as wide.

        None if the frame drawn shows no object of at least 24×24 pixels clear of the image's edges.
        """
        frame, mask_path = self._draw(rng)
        image, mask = _read(frame, cv2.IMREAD_COLOR)[..., ::-1], _read(mask_path, cv2.IMREAD_GRAYSCALE)
        _, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
        if len(stats) < 2:
            return None
        best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        x, y, w, h = (int(v) for v in stats[best, :4])
        if min(w, h) < 24 or x < 2 or y < 2 or x + w > mask.shape[1] - 2 or y + h > mask.shape[0] - 2:
            return None
        window = slice(y - 2, y + h + 2), slice(x - 2, x + w + 2)
        alpha = np.where(np.asarray(labels)[window] == best, 255, 0).astype(np.uint8)
        scale = min(height / alpha.shape[0], 2 * height / alpha.shape[1])
        size = (max(8, round(alpha.shape[1] * scale)), max(8, round(alpha.shape[0] * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        soft = cv2.resize(cv2.GaussianBlur(alpha, (3, 3), 0), size, interpolation=how)
        # A soft mask reaches into the photograph's background: pull its edge inside.
        alpha = np.clip((np.asarray(soft, np.float32) - 96) * 1.61, 0, 255).astype(np.uint8)
        colour = np.asarray(cv2.resize(image[window], size, interpolation=how), np.uint8)
        return (colour[:, ::-1], alpha[:, ::-1]) if rng.random() < 0.5 else (colour, alpha)


def _read(path: Path, mode: int) -> Bytes:
    image = cv2.imread(str(path), mode)
    if image is None:
        raise InputError(f"{path}: cannot be read as an image")
    return np.asarray(image, np.uint8)
