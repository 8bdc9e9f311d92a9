"""The classical tracker to compare with: OpenCV's pyramidal Lucas-Kanade, from each frame to the next."""

import cv2
import numpy as np

from samotion.runtime.values import Bool, Bytes, Float, Int

WINDOW = 31  # pixels
LEVELS = 3


def follow_lucas_kanade(frames: Bytes, queries: Int | Float) -> tuple[Float, Bool]:
    """Return where query points go, from their own frame on.

    frames: (T, H, W, 3) uint8 RGB. queries: (N, 3) as (t, y, x) in whole frames and pixels. Returns xy (N, T, 2)
    float32 pixels, the query itself before its frame, and alive (N, T) bool: found in every step so far and inside
    the image. A point that is lost in one step stays where it was and is looked for again.
    """
    start = queries[:, 0].astype(np.int64)
    place = queries[:, :0:-1].astype(np.float32)
    xy = np.repeat(place[:, None], len(frames), axis=1)
    alive = np.zeros(xy.shape[:2], np.bool_)
    alive[np.arange(len(start)), start] = True
    grey = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames]
    height, width = frames.shape[1:3]
    for t in range(len(grey) - 1):
        moving = np.flatnonzero(start <= t)
        if not len(moving):
            continue
        before = np.ascontiguousarray(xy[moving, t])
        after, status, _ = cv2.calcOpticalFlowPyrLK(
            grey[t], grey[t + 1], before[:, None], np.empty(0), winSize=(WINDOW, WINDOW), maxLevel=LEVELS
        )
        found = np.asarray(status)[:, 0] > 0
        after = np.where(found[:, None], np.asarray(after, np.float32)[:, 0], before)
        inside = (after >= 0).all(axis=1) & (after[:, 0] <= width - 1) & (after[:, 1] <= height - 1)
        xy[moving, t + 1] = after
        alive[moving, t + 1] = alive[moving, t] & found & inside
    return xy, alive
