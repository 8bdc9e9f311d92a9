import contextlib
import logging
import math
import random
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.video_files import picture, write_image, write_video

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources import windows
from samotion.runtime.sources.folders import natural
from samotion.runtime.sources.open import clip_name, open_source, read_clip
from samotion.runtime.values import Bytes

files_vary = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def noise(height: int, width: int, seed: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def close(found: Bytes, wanted: Bytes, tolerance: float = 6) -> bool:
    """Within what chroma subsampling and H.264 change, away from the quarters' borders."""
    return bool(np.abs(found.astype(int) - wanted).mean() < tolerance)


@files_vary
@given(
    height=st.integers(16, 70),
    width=st.integers(16, 70),
    container=st.sampled_from([("mkv", "ffv1"), ("avi", "ffv1"), ("mov", "png")]),
)
def test_any_size_and_container_decodes_exactly(
    tmp_path: Path, height: int, width: int, container: tuple[str, str]
) -> None:
    suffix, codec = container
    pixels = "rgb24" if codec == "png" else "bgr0"
    images = [noise(height, width, seed) for seed in range(3)]
    clip = read_clip(write_video(tmp_path / f"a.{suffix}", images, codec=codec, pixels=pixels))
    assert np.array_equal(clip.frames, images)
    assert clip.source_size == (height, width)
    assert clip.fps == 25
    assert clip.source_count == 3


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("webm", "libvpx-vp9"), ("ts", "mpeg2video")])
def test_lossy_containers(tmp_path: Path, suffix: str, codec: str) -> None:
    sound = "aac" if suffix == "mp4" else None
    path = write_video(tmp_path / f"a.{suffix}", [picture(64, 96)] * 5, codec=codec, sound=sound)
    clip = read_clip(path)
    assert clip.frames.shape == (5, 64, 96, 3)
    assert close(clip.frames[4], picture(64, 96), 12)
    assert np.allclose(clip.times, np.arange(5) / 25, atol=1e-3)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_display_matrix_is_applied(tmp_path: Path, degrees: int, flip: bool) -> None:
    stored = picture(48, 64, 200)
    clip = read_clip(write_video(tmp_path / "a.mp4", [stored] * 2, degrees=degrees, flip=flip))
    shown = np.rot90(stored, degrees // 90)
    shown = shown[:, ::-1] if flip else shown
    assert clip.source_size == shown.shape[:2]
    assert close(clip.frames[0], np.ascontiguousarray(shown))


def test_uneven_times_come_from_the_stream(tmp_path: Path) -> None:
    times = [0, 0.04, 0.2, 0.28, 1.0, 1.04]
    clip = read_clip(write_video(tmp_path / "a.mkv", [picture(32, 32)] * 6, times=times))
    assert np.allclose(clip.times, times, atol=2e-3)


@files_vary
@given(count=st.integers(1, 30), limit=st.integers(1, 30))
def test_striding_keeps_at_most_max_frames(tmp_path: Path, count: int, limit: int) -> None:
    shades = [picture(16, 16, shade * 8) for shade in range(count)]
    path = write_video(tmp_path / "a.mkv", shades, codec="ffv1", pixels="bgr0")
    clip = read_clip(path, Settings(max_frames=limit))
    stride = math.ceil(count / limit)
    assert clip.source_index.tolist() == list(range(0, count, stride))
    assert len(clip.frames) <= limit
    assert clip.frames[:, -1, -1, 0].tolist() == [8 * index for index in clip.source_index]
    assert np.allclose(clip.times, clip.source_index / 25, atol=2e-3)


@files_vary
@given(height=st.integers(16, 120), width=st.integers(16, 120), side=st.integers(16, 130))
def test_longest_side_is_bounded_and_aspect_kept(tmp_path: Path, height: int, width: int, side: int) -> None:
    clip = read_clip(write_image(tmp_path / "a.png", noise(height, width, 0)), Settings(max_side=side))
    assert clip.source_size == (height, width)
    assert max(clip.size) == min(max(height, width), side)
    scale = max(clip.size) / max(height, width)
    assert np.abs(np.array(clip.size) - np.array([height, width]) * scale).max() <= 0.5


def test_truncated_video_gives_the_frames_before_the_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [noise(64, 64, seed) for seed in range(40)]
    whole = write_video(tmp_path / "a.mp4", images, options={"movflags": "faststart"}).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    with caplog.at_level(logging.WARNING, "samotion"):
        source = open_source(cut)
        frames = np.stack([frame.image for frame in source.frames()])
    assert 10 < len(frames) < 35
    assert "cut.mp4" in caplog.text
    whole_clip = read_clip(tmp_path / "a.mp4")
    assert source.damaged in ([], [len(frames) - 1])  # the cut may go through a frame
    before = len(frames) - len(source.damaged)
    assert np.array_equal(frames[:before], whole_clip.frames[:before])


def test_whole_videos_warn_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for suffix in ("mp4", "mkv", "avi", "ts"):
        codec = "mpeg2video" if suffix in ("avi", "ts") else "libx264"
        read_clip(write_video(tmp_path / f"a.{suffix}", [picture(64, 64)] * 30, codec=codec))
    assert not caplog.records


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".txt", ".m3u8", ""])
def test_text_is_no_video(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("#EXTM3U\nthis is text\n" * 50)
    with pytest.raises(InputError, match=path.name):
        read_clip(path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_damage_anywhere_gives_frames_or_input_error(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "whole.mp4"
    if not path.exists():
        write_video(path, [noise(32, 32, index) for index in range(8)], options={"movflags": "faststart"})
    data, chance = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(chance.randint(1, 20)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data[: chance.randint(1, len(data))])
    with contextlib.suppress(InputError):
        assert len(read_clip(damaged).frames) >= 1


def test_images_come_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1, 100):
        write_image(tmp_path / f"f{number}.png", picture(16, 16, number))
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".f0.png").write_text("hidden")
    clip = read_clip(tmp_path, fps=Fraction(30))
    assert clip.frames[:, -1, -1, 0].tolist() == [1, 9, 10, 100]
    assert clip.fps == 30
    assert clip.times.tolist() == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30])
    assert clip.name == tmp_path.name


@given(st.lists(st.text(max_size=8), max_size=5), st.lists(st.integers(0, 10**9), unique=True, max_size=5))
def test_any_names_sort_and_numbers_by_value(names: list[str], numbers: list[int]) -> None:
    sorted(names, key=natural)
    found = sorted((f"frame{number}.png" for number in numbers), key=natural)
    assert found == [f"frame{number}.png" for number in sorted(numbers)]


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tiff", "webp"])
def test_image_formats(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a.{suffix}", picture(32, 48)[..., ::-1])
    assert close(read_clip(tmp_path).frames[0], picture(32, 48), 12)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_is_scaled_to_rgb(tmp_path: Path, suffix: str) -> None:
    grey = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    write_image(tmp_path / f"a.{suffix}", grey)
    found = read_clip(tmp_path).frames[0]
    assert np.array_equal(found[..., 0], found[..., 2])
    assert np.abs(found[..., 0] - grey / 257).max() <= 0.5


def test_alpha_is_dropped(tmp_path: Path) -> None:
    image = np.dstack([picture(16, 16)[..., ::-1], np.zeros((16, 16), np.uint8)])
    write_image(tmp_path / "a.png", image)
    assert np.array_equal(read_clip(tmp_path).frames[0], picture(16, 16))


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tiff", np.zeros((16, 16), np.float32))
    with pytest.raises(InputError, match="float32"):
        read_clip(tmp_path)


def test_mixed_sizes_name_both(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(32, 48))
    write_image(tmp_path / "b.png", picture(48, 32))
    with pytest.raises(InputError, match=r"a\.png is 48×32, b\.png is 32×48"):
        read_clip(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_unreadable_image_is_named(tmp_path: Path, content: bytes) -> None:
    write_image(tmp_path / "a.png", picture(32, 48))
    (tmp_path / "b.png").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.png"):
        read_clip(tmp_path)


def test_patterns_take_the_numbers_that_fit(tmp_path: Path) -> None:
    for name in ("s_00002.png", "s_00010.png", "s_00001.png", "s_3.png", "t_00004.png"):
        write_image(tmp_path / name, picture(16, 16, int(name[2:-4])))
    clip = read_clip(tmp_path / "s_%05d.png")
    assert clip.frames[:, -1, -1, 0].tolist() == [1, 2, 10]
    assert clip.name == "s"
    assert read_clip(tmp_path / "s_%d.png").frames[:, -1, -1, 0].tolist() == [3]


@pytest.mark.parametrize("pattern", ["%05d.png", "%d_%d.png", "%02d/a_%02d.png", "nowhere/%d.png"])
def test_patterns_that_name_nothing(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(InputError):
        read_clip(tmp_path / pattern)


def test_missing_empty_and_special_inputs(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    for path, words in (
        (tmp_path / "none.mp4", "no such file"),
        (tmp_path / "empty.mp4", "not a video"),
        (tmp_path / "folder", "no images"),
        (Path("/dev/null"), "neither"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(InputError, match=words):
            read_clip(path)


def test_too_small_is_said(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(InputError, match="2×2"):
        read_clip(tmp_path)
    with pytest.raises(InputError, match="2×2"):
        read_clip(write_video(tmp_path / "a.mp4", [np.zeros((2, 2, 3), np.uint8)] * 3))


def test_more_frames_than_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "machine_memory", lambda: 32 * 32 * 3 * 10)
    path = write_video(tmp_path / "a.mp4", [picture(32, 32)] * 6)
    with pytest.raises(InputError, match="--max-frames 5"):
        read_clip(path)
    assert len(read_clip(path, Settings(max_frames=5)).frames) == 3


def test_names(tmp_path: Path) -> None:
    (tmp_path / "dog.d").mkdir()
    (tmp_path / "a.b.mp4").touch()
    assert clip_name(tmp_path / "dog.d") == "dog.d"
    assert clip_name(tmp_path / "dog.d" / ".") == "dog.d"
    assert clip_name(tmp_path / "a.b.mp4") == "a.b"
    assert clip_name(tmp_path / "dog.d" / "%05d.png") == "dog.d"


def test_grey_jpeg_with_exif_turn_is_upright(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    Image.fromarray(cv2.cvtColor(picture(32, 48), cv2.COLOR_RGB2GRAY)).save(tmp_path / "a.jpg", exif=exif)
    assert read_clip(tmp_path).source_size == (48, 32)
