"""The overlay plays as its source does: aspect, colours, times and sound."""

from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from tests.support.coded import MEDIA, code
from tests.support.video_files import picture, write_video

from samotion.runtime.output.overlay import Overlay
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import open_source
from samotion.runtime.sources.windows import cut
from samotion.runtime.values import Bytes, Labels


def overlay_of(source_path: Path, folder: Path, sound: bool = True, window: int | None = 16) -> Path:
    """Write the overlay of a video in which nothing moves, as a result's writer does."""
    path, settings = folder / "overlay.mp4", Settings(window=window)
    source = open_source(source_path, settings)
    if not sound:
        source.playback.audio = None
    overlay = None
    for window_of in cut(source, source.frames(), settings):
        clip = window_of.clip.part(slice(window_of.shared, None))
        overlay = overlay or Overlay(path, clip, source.playback).__enter__()
        nothing: Labels = np.zeros(clip.size, np.uint8)
        overlay.add(clip, partial(_same, nothing))
    assert overlay is not None
    overlay.__exit__(None, None, None)
    return path


def _same(labels: Labels, _: int) -> Labels:
    return labels


def pictures(path: Path) -> list[Bytes]:
    """Decode a video by its own tags."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def test_pixels_keep_their_aspect(tmp_path: Path) -> None:
    with av.open(str(overlay_of(MEDIA / "anamorphic_sar_2_1.mp4", tmp_path))) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2


def test_colours_are_tagged_and_right(tmp_path: Path) -> None:
    path = overlay_of(MEDIA / "portrait_bt709.mp4", tmp_path)
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.colorspace, codec.color_range) == (Colorspace.ITU709, ColorRange.MPEG)
        assert (codec.color_primaries, codec.color_trc) == (ColorPrimaries.BT709, ColorTrc.BT709)
    image = pictures(path)[0]
    height, width = image.shape[:2]
    for y, x, colour in ((10, 10, (255, 0, 0)), (10, width - 10, (0, 255, 0)), (height - 10, 10, (0, 0, 255))):
        assert np.abs(image[y, x].astype(int) - colour).max() <= 6


def test_hdr_is_tone_mapped(tmp_path: Path) -> None:
    image = pictures(overlay_of(MEDIA / "hdr10_white_203nit.mp4", tmp_path))[0]
    assert np.median(image, axis=(0, 1)).min() >= 248  # most of it is white


def test_the_last_frame_lasts(tmp_path: Path) -> None:
    path = overlay_of(MEDIA / "vfr_last_frame_at_8.4s.mp4", tmp_path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert stream.duration * stream.time_base >= 8.4
        times = [frame.time for frame in container.decode(stream)]
    assert times[-1] == pytest.approx(8.4, abs=1e-3)
    assert [code(image) for image in pictures(path)] == list(range(12))


def test_the_index_comes_first(tmp_path: Path) -> None:
    data = overlay_of(MEDIA / "anamorphic_sar_2_1.mp4", tmp_path).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "libopus"), ("mkv", "ac3"), ("mov", "aac")])
def test_sound_is_copied(tmp_path: Path, suffix: str, codec: str) -> None:
    source = write_video(tmp_path / f"a.{suffix}", [picture(64, 64)] * 60, sound=codec)
    with av.open(str(source)) as container:
        wanted = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    with av.open(str(overlay_of(source, tmp_path))) as container:
        found = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    assert len(wanted) > 5
    assert found == wanted[-len(found) :]
    assert len(found) >= len(wanted) - 1  # what is heard before the first picture is cut
    with av.open(str(overlay_of(source, tmp_path, sound=False))) as container:
        assert not container.streams.audio


def test_sound_that_does_not_fit_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_video(tmp_path / "a.avi", [picture(64, 64)] * 10, codec="mpeg4", sound="pcm_u8")
    with av.open(str(overlay_of(source, tmp_path))) as container:
        assert not container.streams.audio
    assert "its sound (pcm_u8) does not fit into MP4" in caplog.text
