"""What points on a frame say of an object, drawn as SAM2's mask prompt."""

import numpy as np

from samotion.runtime.values import Float, Votes

REACH = 0.04  # of the frame's width and height: standard deviation of a vote's reach
DOUBT = 0.3  # votes that everywhere count for neither side, so that far from all tracks nothing is said
LOGIT = 10.0  # of a unanimous vote, as clicks enter the prompt (export.networks.sam2: DISC_LOGIT)


def mask_prompt(votes: Votes, size: tuple[int, int], side: int) -> Float:
    """Return votes on a frame of ``size`` (height, width) as mask logits (side, side)."""
    unit = np.asarray(votes.xy / np.array(size[::-1], np.float32), np.float32)
    return drawn(unit, votes.weight, side)


def drawn(unit: Float, weight: Float, side: int) -> Float:
    """Return votes as mask logits (side, side): the mean of those near a cell, weighted by their nearness.

    unit: (P, 2) places in parts of the frame's width and height. weight: (P,), −1 to 1.
    """
    cells = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side
    x, y = (np.exp(-0.5 * ((cells - unit[:, axis, None]) / REACH) ** 2, dtype=np.float32) for axis in (0, 1))
    down = y.T
    balance, heard = (down * weight) @ x, (down * np.abs(weight)) @ x
    return np.asarray(LOGIT * balance / (heard + DOUBT), np.float32)
