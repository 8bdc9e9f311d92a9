from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from samotion.runtime.output.report.film import FRAME_BITS, SAVED_FRAMES, Film
from samotion.runtime.values import Bytes


def write(path: Path, rate: Fraction, pictures: list[Bytes]) -> tuple[list[Bytes], list[Bytes]]:
    """Write a film, with negatives for depth, and return both as they are read again, each at its time."""
    film = Film(path, rate, pictures[0].shape[:2])
    for picture in pictures:
        film.add(picture, 255 - picture)
    film.finish()
    with av.open(str(path)) as read:
        frames = list(read.decode(video=0))
        assert [frame.time for frame in frames] == [float(n / rate) for n in range(len(pictures))]
        both = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
    height = len(pictures[0])
    return [frame[:height] for frame in both], [frame[height:] for frame in both]


def test_noise_stays_within_the_bits_a_frame(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write(tmp_path / "film", Fraction(5), [rng.integers(0, 256, (270, 480, 3), np.uint8) for _ in range(60)])
    assert (tmp_path / "film").stat().st_size < (60 + SAVED_FRAMES) * FRAME_BITS / 8 * 1.1


def test_a_frame_every_ten_seconds_looks_as_good(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (27, 48, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    pictures, depths = write(tmp_path / "film", Fraction(1, 10), [coarse] * 3)
    for wanted, found in ((coarse, pictures), (255 - coarse, depths)):
        far = [np.abs(wanted.astype(int) - own).mean() for own in found]
        assert max(far) < 16  # half of the colour's pixels are not kept
