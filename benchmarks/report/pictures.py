"""Contact sheets: frames of a clip with the outlines of the truth and of what was found."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from samotion.benchmarks.accuracy.metrics import Scores
from samotion.benchmarks.datasets.truth import VOID, Truth
from samotion.engines.errors import OutputError
from samotion.runtime.values import Bool, Bytes, Clip

COLUMNS, ROWS = 3, 2
TILE = 480  # pixels, a tile's width
BAR = 28  # pixels, the title's height
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# Okabe and Ito's colours, told apart by colour-blind readers too; the eighth object has the first one's again.
COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)


def contact_sheet(clip: Clip, truth: Truth, prediction: Bytes, j: Scores) -> Bytes:
    """Return up to six annotated frames, evenly spaced, as one picture (h, w, 3) uint8 RGB.

    White outlines are the truth, coloured ones the objects in ``prediction`` (S, H, W). j: (S,) written on each.
    """
    rows = np.unique(np.linspace(0, len(truth.labels) - 1, COLUMNS * ROWS).round().astype(int))
    tiles = [_tile(clip, truth, prediction, j, int(row)) for row in rows]
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % COLUMNS)
    lines = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    title = np.zeros((BAR, lines[0].shape[1], 3), np.uint8)
    _write(title, f"{clip.name}   J {j.mean():.3f}   white: truth, coloured: found", (8, BAR - 9), 0.55)
    return np.concatenate([title, *lines])


def write_sheets(folder: Path, sheets: Sequence[tuple[str, float, Bytes]], count: int) -> list[Path]:
    """Write the ``count`` best and worst of ``sheets`` (name, mean J, picture) as PNG and return their paths.

    They are called best-1-<name>.png, worst-1-<name>.png and so on; no clip is both. Raises OutputError.
    """
    ranked = sorted(sheets, key=lambda sheet: (-sheet[1], sheet[0]))
    best = ranked[:count]
    worst = ranked[len(best) :][::-1][:count]
    written = []
    for kind, chosen in (("best", best), ("worst", worst)):
        for place, (name, _, picture) in enumerate(chosen, 1):
            written.append(folder / f"{kind}-{place}-{name}.png")
            save(written[-1], picture)
    return written


def _tile(clip: Clip, truth: Truth, prediction: Bytes, j: Scores, row: int) -> Bytes:
    source = row if truth.frames is None else int(truth.frames[row])
    index = int(np.searchsorted(clip.source_index, source, side="right")) - 1
    frame = np.asarray(clip.frames[index], np.uint8)
    size = (TILE, round(TILE * frame.shape[0] / frame.shape[1]))
    picture = np.ascontiguousarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    labels = truth.labels[row]
    for identity in _identities(labels):
        _outline(picture, labels == identity, BLACK, 4)
        _outline(picture, labels == identity, WHITE, 2)
    for identity in _identities(prediction[row]):
        _outline(picture, prediction[row] == identity, COLOURS[(identity - 1) % len(COLOURS)], 2)
    _write(picture, f"frame {source}   J {j[row]:.2f}", (6, size[1] - 8), 0.5)
    return picture


def _identities(labels: Bytes) -> list[int]:
    return [int(identity) for identity in np.unique(labels) if identity not in (0, VOID)]


def _outline(picture: Bytes, mask: Bool, colour: tuple[int, int, int], thickness: int) -> None:
    """Draw the outline of a mask (H, W) of any size on ``picture``, in place."""
    height, width = picture.shape[:2]
    small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    edges, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, edges, -1, colour, thickness, cv2.LINE_AA)


def _write(picture: Bytes, text: str, place: tuple[int, int], scale: float) -> None:
    """Write white text with a black edge, in place."""
    for colour, thickness in ((BLACK, 3), (WHITE, 1)):
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)


def save(path: Path, picture: Bytes) -> None:
    """Write a picture (h, w, 3) as PNG, whole or not at all, making its folder; raises OutputError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(partial, format="png")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
