"""Masks on a device: small holes filled, logits enlarged and thresholded."""

from collections.abc import Mapping

import numpy as np

from samotion.runtime.kernels.launching import Array, Buffers, Launch, checked


def hole_buffers(objects: int, height: int, width: int) -> Buffers:
    """Return what ``fill_holes`` writes for K masks of h×w logits: the result ``filled``, and scratch."""
    shape = (objects, height, width)
    return {"filled": (shape, np.float32), "parent": (shape, np.int32), "area": (shape, np.int32)}


def fill_holes(launch: Launch, logits: Array, out: Mapping[str, Array]) -> None:
    """Fill the small background islands of masks (K, h, w) float32, each by itself, into out["filled"].

    Twin: samotion.runtime.ops.reference.fill_holes, mask by mask. out: see ``hole_buffers``.
    """
    objects, height, width = logits.shape
    pixels = checked(objects * height * width)
    parent, area = out["parent"], out["area"]
    launch("masks", "holes_begin", pixels, logits, parent, area, pixels)
    launch("masks", "holes_join", pixels, parent, pixels, height, width)
    launch("masks", "holes_measure", pixels, parent, area, pixels)
    launch("masks", "holes_fill", pixels, logits, parent, area, out["filled"], pixels)


def enlarge(launch: Launch, logits: Array, tables: tuple[Array, ...], masks: Array) -> None:
    """Resize logits (K, h, w) float32 bilinearly to masks (K, H, W) bool, true above 0.

    Twin: tests.support.kernel_twins.enlarged_masks. tables: the arrays of ``tables.linear(w, W)`` and
    ``tables.linear(h, H, sides=False)`` on the device.
    """
    objects, height, width = masks.shape
    pixels = checked(objects * height * width)
    launch("masks", "masks_enlarge", pixels, logits, masks, *tables, pixels, *logits.shape[1:], height, width)
