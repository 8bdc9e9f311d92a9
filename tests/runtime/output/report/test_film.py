from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from samotion.runtime.output.report.film import FRAME_BITS, Film


def test_noise_stays_within_the_bits_a_frame(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "film"
    film = Film(path, Fraction(5), (270, 480))
    for _ in range(20):
        film.add(rng.integers(0, 256, (270, 480, 3), np.uint8))
    film.finish()
    assert path.stat().st_size < (20 + 5) * FRAME_BITS / 8 * 1.1  # and what the encoder may have saved in a second
    with av.open(str(path)) as read:
        assert [frame.time for frame in read.decode(video=0)] == [n / 5 for n in range(20)]
