"""Depth maps for whoever writes them are the stage's own, only fewer of their pixels."""

import numpy as np
import pytest

from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.stages.depth import LONGEST_MAP, small_maps


@pytest.mark.parametrize("size", [(48, 64), (480, 854), (854, 480), (1, 900), (320, 320), (5, 321)])
def test_a_small_map_shows_the_whole_of_the_frame(size: tuple[int, int]) -> None:
    height, width = size
    rows, columns = np.linspace(0, 1, height), np.linspace(0, 1, width)
    disparity = np.stack([np.add.outer(rows, columns) / 2, np.tile(columns, (height, 1)), np.zeros(size)])
    maps = small_maps(disparity.astype(np.float32), HOST)
    pace = -(-max(size) // LONGEST_MAP)
    assert maps.dtype == np.uint8
    assert maps.shape == (3, -(-(height - min(height - 1, pace // 2)) // pace), -(-(width - pace // 2) // pace))
    assert max(maps.shape[1:]) <= LONGEST_MAP
    seen = np.linspace(0, 255, maps.shape[2])
    assert np.abs(maps[1] - seen).max() <= 255 * pace / width + 1
    assert not maps[2].any()
