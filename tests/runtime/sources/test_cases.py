"""Damaged and odd inputs: each frame keeps its number, and what is wrong is said once."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.support.coded import BOMBS, DAMAGED, MEDIA, code

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.folders import in_order
from samotion.runtime.sources.open import open_source
from samotion.runtime.sources.source import Source


def read(path: Path, settings: Settings | None = None) -> tuple[list[int], Source]:
    source = open_source(path, settings)
    return [code(frame.image) for frame in source.frames()], source


@pytest.mark.parametrize(
    ("name", "numbers", "damaged", "warning"),
    [
        ("h264_frame_5_damaged.mp4", [0, 1, 2, 3, 4, 4, 6, 6, 8, 9, 10, 11], [5], "frame 5 is damaged"),
        ("png_frame_5_damaged.mov", [0, 1, 2, 3, 4, 4, 6, 7, 8, 9, 10, 11], [5], "frame 5 is damaged"),
        ("mjpeg_frame_damaged.avi", [0, 1, 2, 3, 3, 5, 6, 7, 8, 9, 10, 11], [4], "frame 4 is damaged"),
        ("ts_packet_lost_in_frame_7.ts", [0, 1, 2, 3, 4, 5, 6, 6, 8, 9, 10, 11], [7], "frame 7 is damaged"),
        ("starts_without_keyframe.mkv", [6, 7, 8, 9, 10, 11], [], "5 frames before its first keyframe"),
        ("two_recordings_joined.ts", [*range(8), *range(8)], [], None),
    ],
)
def test_damaged_frames_keep_their_numbers(
    caplog: pytest.LogCaptureFixture, name: str, numbers: list[int], damaged: list[int], warning: str | None
) -> None:
    found, source = read(MEDIA / name)
    assert found == numbers
    assert source.facts()["damaged"] == damaged
    assert [warning in record.getMessage() for record in caplog.records if warning] == [True] * bool(warning)


def test_the_cores_change_nothing() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity here")
    many = os.sched_getaffinity(0)
    images = []
    try:
        for cores in (many, {min(many)}):
            os.sched_setaffinity(0, cores)
            images.append([frame.image for frame in open_source(MEDIA / "h264_frame_5_damaged.mp4").frames()])
    finally:
        os.sched_setaffinity(0, many)
    assert all((one == other).all() for one, other in zip(*images, strict=True))


def test_silent_damage_is_told(caplog: pytest.LogCaptureFixture) -> None:
    found, source = read(DAMAGED / "silent_flip_8of12.mp4")
    assert len(found) == 12
    assert source.damaged == [0, 4, 8, 9]
    assert "frames 0, 4, 8, 9 are damaged" in caplog.text
    assert len(caplog.records) == 1


def test_a_cut_file_is_known_by_its_stated_length(caplog: pytest.LogCaptureFixture) -> None:
    found, _ = read(DAMAGED / "silent_trunc_7of12.webm")
    assert len(found) == 7
    assert "ends after 7 frames, before the 1.0 s that it states" in caplog.text


def test_the_start_is_recorded() -> None:
    assert read(MEDIA / "starts_without_keyframe.mkv")[1].facts()["start"] == pytest.approx(0.24)
    assert read(MEDIA / "two_recordings_joined.ts")[1].facts()["start"] == pytest.approx(1.4)


@pytest.mark.parametrize("name", ["burst_copies", "decimal_seconds", "animated_apng.png"])
def test_pictures_come_in_order(name: str) -> None:
    assert read(MEDIA / name)[0] == list(range(12))


def test_masks_are_mapped_to_files() -> None:
    facts = read(MEDIA / "gaps_from_1")[1].facts()
    assert facts["files"][6] == "0020.png"
    assert read(MEDIA / "gaps_from_1", Settings(max_frames=6))[1].facts()["files"][3] == "0020.png"


def test_a_grid_of_tiles_is_whole() -> None:
    assert read(MEDIA / "grid_320x256.avif")[1].size == (256, 320)


def test_cover_art_is_no_video() -> None:
    with pytest.raises(InputError, match="has no video in it"):
        read(MEDIA / "song_with_cover.mp3")


def test_a_damaged_jpeg_is_warned_of(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    assert len(read(DAMAGED / "jpeg_half.jpg")[0]) == 1
    assert "jpeg_half.jpg is damaged" in caplog.text
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", sorted(path.name for path in BOMBS.iterdir()))
def test_bombs_are_refused_by_their_header(name: str) -> None:
    with pytest.raises(InputError, match="megapixels"):
        read(BOMBS / name)


def test_broken_links_are_named(tmp_path: Path) -> None:
    for number, file in enumerate(sorted((MEDIA / "burst_copies").iterdir()), 1):
        shutil.copy(file, tmp_path / f"frame{number}.png")
    for number in (4, 5, 6):
        (tmp_path / f"frame{number}.png").unlink()
        (tmp_path / f"frame{number}.png").symlink_to(f".git/annex/{number}.png")
    for given in (tmp_path, tmp_path / "frame%d.png"):
        with pytest.raises(InputError, match=r"frame4\.png, frame5\.png, frame6\.png: links to nothing"):
            read(given)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.m3u8", "#EXTM3U\n#EXTINF:5,\n{video}\n#EXT-X-ENDLIST\n", "an HLS playlist"),
        ("a.mp4", "#EXTM3U\n#EXTINF:5,\n{video}\n#EXT-X-ENDLIST\n", "an HLS playlist"),
        ("a.ffconcat", "ffconcat version 1.0\nfile {video}\n", "an ffconcat list"),
        ("a.sdp", "v=0\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n", "an SDP description"),
        ("a.txt", "terminal art\n", "not a video"),
    ],
)
def test_playlists_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text.format(video=MEDIA / "anamorphic_sar_2_1.mp4"))
    with pytest.raises(InputError, match=words):
        read(tmp_path / name)


@pytest.mark.parametrize("suffix", ["webp", "tiff"])
def test_stills_of_several_pictures_are_refused(tmp_path: Path, suffix: str) -> None:
    pages = [Image.open(file).convert("RGB") for file in sorted((MEDIA / "decimal_seconds").iterdir())[:3]]
    pages[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="holds 3 pictures"):
        read(tmp_path / f"a.{suffix}")


def test_pictures_of_other_kinds_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(MEDIA / "gaps_from_1" / "0001.png", tmp_path / "1.png")
    for other in ("2.exr", "3.gif", "notes.txt", "4.mp4"):
        (tmp_path / other).touch()
    assert len(read(tmp_path)[0]) == 1
    assert "left out 2.exr, 3.gif, 4.mp4" in caplog.text


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["x-1", "x (1)", "x"], ["x", "x (1)", "x-1"]),
        (["1.10", "1.9", "1.8"], ["1.8", "1.9", "1.10"]),
        (["t7.5", "t7.25", "t7.0", "t8.0"], ["t7.0", "t7.25", "t7.5", "t8.0"]),
        (["10", "9", "9.5"], ["9", "9.5", "10"]),
    ],
)
def test_names_sort_as_people_do(names: list[str], wanted: list[str]) -> None:
    assert [path.stem for path in in_order(Path(f"{name}.png") for name in names)] == wanted
