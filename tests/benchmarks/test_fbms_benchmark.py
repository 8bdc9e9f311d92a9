"""FBMS-59 and SegTrackv2: generated folders of the published layouts, and FBMS's own measures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.datasets.labelled import HEIGHT, WIDTH, perfect, picture_of, put_in_place_of_engines, truth_of

from samotion.benchmarks import fbms
from samotion.benchmarks.accuracy.evaluation import evaluate_clip
from samotion.benchmarks.datasets.fbms_clips import FbmsClip, find, read_definition
from samotion.engines.errors import InputError
from samotion.runtime.values import Bytes

ANNOTATED = [0, 3, 5]
WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)


def definition(clip: str, colours: list[int], frames: list[int], suffix: str) -> str:
    """A Def.dat as the release writes it."""
    lines = ["Ground truth definition file; do not change!", "", "Total number of regions:", str(len(colours))]
    for index, colour in enumerate(colours):
        lines += [f"Scale of region {index}:", str(colour)]
    lines += ["", "Confusion penality matrix", *["0 " * len(colours)] * len(colours), ""]
    lines += ["Total number of frames in this shot:", "6"]
    lines += ["Total number of labeled frames for this shot:", str(len(frames))]
    for frame in frames:
        name = f"{clip}_{frame + 1:04d}_gt.{suffix}"
        lines += ["Frame number:", str(frame), "File name:", name, "Input file name:", f"{clip}_{frame + 1:04d}.ppm"]
    return "\n".join(lines) + "\n"


def write_frames(folder: Path, clip: str, truth: Bytes) -> None:
    folder.mkdir(parents=True)
    for index, labels in enumerate(truth):
        picture_of(labels).save(folder / f"{clip}_{index + 1:04d}.jpg", quality=95)


def write_ppm_clip(data: Path, clip: str = "bear01") -> Path:
    """A clip of the Freiburg part: background white, colours as regions, certainty beside."""
    truth = truth_of(2, 6)
    folder = data / "Testset" / clip
    write_frames(folder, clip, truth)
    (folder / "GroundTruth").mkdir()
    for frame in ANNOTATED:
        stem = folder / "GroundTruth" / f"{clip}_{frame + 1:04d}_gt"
        Image.fromarray(np.array([WHITE, RED, BLUE], np.uint8)[truth[frame]]).save(stem.with_suffix(".ppm"))
        Image.fromarray(np.full((HEIGHT, WIDTH), 255, np.uint8)).save(stem.with_suffix(".pgm"))
    colours = [0xFFFFFF, 0xFF0000, 0x0000FF]
    (folder / "GroundTruth" / f"{clip}Def.dat").write_text(definition(clip, colours, ANNOTATED, "ppm"))
    return folder


def write_pgm_clip(data: Path, clip: str = "cars1") -> Path:
    """A clip of the Berkeley part: grey values as regions."""
    truth = truth_of(1, 6)
    folder = data / "Testset" / clip
    write_frames(folder, clip, truth)
    (folder / "GroundTruth").mkdir()
    for frame in ANNOTATED:
        path = folder / "GroundTruth" / f"{clip}_{frame + 1:04d}_gt.pgm"
        Image.fromarray(np.array([0, 155], np.uint8)[truth[frame]]).save(path)
    (folder / "GroundTruth" / f"{clip}Def.dat").write_text(definition(clip, [0, 155], ANNOTATED, "pgm"))
    return folder


def write_png_clip(data: Path, clip: str = "cats01", name: str = "{:03d}_gt") -> Path:
    """A clip as copies for dense masks have it: no definition, images named by their frames' numbers."""
    truth = truth_of(2, 6)
    folder = data / "Testset" / clip
    write_frames(folder, clip, truth)
    (folder / "GroundTruth").mkdir()
    for frame in ANNOTATED:
        colours = np.array([(0, 0, 0), RED, BLUE], np.uint8)
        Image.fromarray(colours[truth[frame]]).save(folder / "GroundTruth" / f"{name.format(frame + 1)}.png")
    return folder


def test_every_form_of_the_annotation_is_read(tmp_path: Path) -> None:
    for write in (write_ppm_clip, write_pgm_clip, write_png_clip):
        write(tmp_path)
    clips = {clip.name: clip for clip in find(tmp_path)}
    assert sorted(clips) == ["bear01", "cars1", "cats01"]
    assert [clip.name for clip in find(tmp_path / "Testset")] == sorted(clips)
    for name, clip in clips.items():
        truth = clip.scored()
        assert truth.frames is not None
        assert truth.frames.tolist() == ANNOTATED
        found = truth.labels if name != "cats01" else np.array([0, 2, 1], np.uint8)[truth.labels]  # blue sorts first
        np.testing.assert_array_equal(found, truth_of(1 if name == "cars1" else 2, 6)[ANNOTATED])
    certainty = clips["bear01"].scored().certainty
    assert certainty is not None
    assert (certainty == 1).all()


@pytest.mark.parametrize("name", ["cats01_{:04d}", "{:04d}", "cats01_{:04d}_gt"])
def test_png_images_are_matched_by_name_or_number(tmp_path: Path, name: str) -> None:
    frames = FbmsClip("cats01", write_png_clip(tmp_path, name=name)).scored().frames
    assert frames is not None
    assert frames.tolist() == ANNOTATED


def test_a_colour_that_the_definition_does_not_list_is_background(tmp_path: Path) -> None:
    folder = write_ppm_clip(tmp_path)
    path = folder / "GroundTruth" / "bear01_0001_gt.ppm"
    pixels = np.array(Image.open(path))
    pixels[20:, 20:] = (1, 2, 3)
    Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(FbmsClip("bear01", folder).scored().labels[0], truth_of(2, 6)[0])


def break_definition(folder: Path, old: str, new: str) -> None:
    (path,) = (folder / "GroundTruth").glob("*.dat")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bear01_0004_gt.ppm", "bear01_0040_gt.ppm", r"bear01_0040_gt\.ppm: no such file"),
        ("regions:\n3", "regions:\n4", "states 4 regions and 3 frames but lists 3 regions"),
        ("regions:\n3", "regions:\nthree", "no FBMS definition"),
        ("number:\n3", "number:\n0", "do not rise from 0"),
        ("number:\n5", "number:\n17", "frame 17 is annotated but there are 6 frames"),
        ("number:\n5", "numero:\n5", "2 frame numbers"),
    ],
)
def test_broken_definitions_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    folder = write_ppm_clip(tmp_path)
    break_definition(folder, old, new)
    with pytest.raises(InputError, match=message) as caught:
        FbmsClip("bear01", folder).scored()
    assert "\n" not in str(caught.value)


def test_broken_folders_are_named(tmp_path: Path) -> None:
    folder = write_png_clip(tmp_path)
    clip = FbmsClip("cats01", folder)
    truth = folder / "GroundTruth"
    (truth / "006_gt.png").rename(truth / "006_gt_.png")
    assert clip.scored().labels.shape[0] == 3  # the number still tells
    (truth / "006_gt_.png").rename(truth / "last.png")
    with pytest.raises(InputError, match=r"last\.png: no frame of this name or number; frames are cats01_0001 to"):
        clip.scored()
    (truth / "last.png").rename(truth / "0004.png")
    with pytest.raises(InputError, match="two images belong to one frame"):
        clip.scored()
    Image.new("L", (5, 6)).save(truth / "0004.png")
    (truth / "004_gt.png").unlink()
    with pytest.raises(InputError, match="32×24 pixels, but the first mask has 5×6"):
        clip.scored()
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(truth / "0004.png")
    with pytest.raises(InputError, match="colours, expected one for each region"):
        clip.scored()
    for path in truth.iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"neither a \*Def.dat nor PNG images"):
        clip.scored()
    truth.rmdir()
    with pytest.raises(InputError, match="cats01: no GroundTruth"):
        find(tmp_path)[0].scored()
    with pytest.raises(InputError, match="no clips; expected Testset"):
        find(tmp_path / "Testset" / "cats01")
    with pytest.raises(InputError, match="not a folder"):
        find(tmp_path / "missing")
    with pytest.raises(InputError, match="cannot be read"):
        read_definition(tmp_path / "none.dat")


def test_fbms_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ppm_clip(tmp_path)
    write_png_clip(tmp_path)
    broken = write_pgm_clip(tmp_path)
    (broken / "GroundTruth" / "cars1_0001_gt.pgm").unlink()
    seen = put_in_place_of_engines(monkeypatch)
    report = tmp_path / "report.json"
    assert fbms.main(["--data", str(tmp_path), "-o", str(report), "--pictures", str(tmp_path / "sheets")]) == 2
    assert seen == ["bear01", "cats01"]
    record = json.loads(report.read_text())
    assert record["failed"] == ["cars1"]
    assert record["clips"][0]["frames"] == 6
    assert len(record["clips"][0]["per_frame"]["j"]) == len(ANNOTATED)
    assert record["mean"]["j"] > 0.95  # JPEG blurs the squares a little
    assert record["regions"]["found"] == record["regions"]["objects"] == 4
    captured = capsys.readouterr()
    assert "4 of 4 objects found" in captured.out
    assert "cars1_0001_gt.pgm: no such file" in captured.err
    assert len(list((tmp_path / "sheets").iterdir())) == 2


def test_fbms_counts_frames_from_0_and_scores_only_the_annotated(tmp_path: Path) -> None:
    clip = FbmsClip("bear01", write_ppm_clip(tmp_path))

    def late(labelled: object) -> object:
        del labelled
        from samotion.runtime.sources.open import read_clip

        result = perfect(read_clip(clip.frames))
        masks = result.masks.values
        masks[:, [1, 2, 4]] = False  # not annotated
        masks[:, 5] = False
        return result

    report = evaluate_clip(clip, late)  # type: ignore[arg-type]
    assert report.j is not None
    assert report.j[:2].min() > 0.95
    assert report.j[2] == 0


# --- FBMS's own measures -------------------------------------------------------------------------------------------


# --- SegTrackv2 ----------------------------------------------------------------------------------------------------
