"""Reading a file from its middle gives the frames that reading from its start gives, or an error."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests.support.video_files import picture, write_video

from samotion.runtime.settings import Settings
from samotion.runtime.sources.packet_index import PacketIndex
from samotion.runtime.sources.video_file import SeekError, VideoSource
from samotion.runtime.values import Bytes

COUNT = 30


def source(path: Path) -> VideoSource:
    return VideoSource(path, "a", Settings(), counted=False)


def numbered(video: VideoSource) -> dict[int, Bytes]:
    return {frame.stamp.index: frame.image for frame in video.frames()}


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        ("mp4", "libx264", "yuv420p"),
        ("mkv", "libx264", "yuv420p"),
        ("ts", "libx264", "yuv420p"),
        ("mp4", "mpeg4", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("avi", "ffv1", "bgr0"),
    ],
)
def test_frames_from_the_middle_are_those_of_the_whole(tmp_path: Path, suffix: str, codec: str, pixels: str) -> None:
    frames = [picture(64, 96, 6 * number) for number in range(COUNT)]
    path = write_video(tmp_path / f"a.{suffix}", frames, codec=codec, pixels=pixels, group=7)
    index, whole = PacketIndex(path, 10**6), numbered(source(path))
    assert index.count == len(whole) == COUNT
    for begin in (1, 6, 7, 8, 20, COUNT - 1):
        part = source(path)
        part.begin_at(begin, index.seek(begin))
        found = numbered(part)
        assert sorted(found) == list(range(begin, COUNT))
        assert all(np.array_equal(found[number], whole[number]) for number in found)


def test_only_the_keyframe_s_group_is_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [picture(64, 96, n) for n in range(COUNT)], fps=Fraction(25), group=7)
    seek = PacketIndex(path, 10**6).seek(23)
    assert seek is not None
    assert seek.seconds == pytest.approx(23 / 25)


def test_another_time_than_the_packets_say_is_an_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [picture(64, 96, n) for n in range(COUNT)], group=7)
    seek = PacketIndex(path, 10**6).seek(20)
    assert seek is not None
    part = source(path)
    part.begin_at(20, type(seek)(seek.timestamp, seek.seconds + 0.01))
    with pytest.raises(SeekError, match="frame 20 is not where its packets say"):
        numbered(part)


def test_packets_without_an_order_are_told(tmp_path: Path) -> None:
    frames = [picture(64, 96, number) for number in range(COUNT)]
    one = write_video(tmp_path / "a.ts", frames)
    (tmp_path / "b.ts").write_bytes(one.read_bytes() * 2)
    index = PacketIndex(tmp_path / "b.ts", 10**6)
    assert index.trouble
    assert index.seek(20) is None


def test_a_lost_beginning_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", [picture(64, 96, number) for number in range(COUNT)], group=7)
    data = path.read_bytes()
    (tmp_path / "b.ts").write_bytes(data[188 * 12 :])
    assert PacketIndex(tmp_path / "b.ts", 10**6).trouble
