"""FBMS-59 and SegTrackv2: generated folders of the published layouts, and FBMS's own measures."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.labelled import HEIGHT, WIDTH, perfect, picture_of, put_in_place_of_engines, truth_of

from samotion.benchmarks import fbms, segtrack
from samotion.benchmarks.evaluation import evaluate_clip
from samotion.benchmarks.fbms_clips import FbmsClip, find, read_definition
from samotion.benchmarks.moseg_metrics import RegionScores, region_scores, summed
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
        from samotion.runtime.clip import read_clip

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


def halves(left: int, right: int, rows: int = 4, columns: int = 8) -> Bytes:
    labels = np.full((1, rows, columns), left, np.uint8)
    labels[:, :, columns // 2 :] = right
    return labels


def test_a_perfect_answer() -> None:
    scores = region_scores(truth_of(2), 7 * truth_of(2))
    assert scores == RegionScores(1, 1, 2, 2)
    assert scores.f == 1


def test_an_empty_answer_leaves_regions_without_a_cluster() -> None:
    truth = halves(0, 1)
    scores = region_scores(truth, np.zeros_like(truth))
    # The one cluster goes to one half, with precision 1/2 and recall 1; the other half has none: 1 and 0.
    assert (scores.precision, scores.recall) == (0.75, 0.5)
    assert (scores.found, scores.objects) == (0, 1)
    assert scores.f == pytest.approx(0.6)


def test_a_split_object_counts_its_larger_part() -> None:
    truth = halves(0, 1)
    prediction = truth.copy()
    prediction[0, 0, 4:] = 2  # a quarter of the object
    scores = region_scores(truth, prediction)
    assert scores.precision == 1
    assert scores.recall == pytest.approx((1 + 0.75) / 2)
    assert scores.found == 1  # F of the object is 6/7


def test_uncertain_pixels_weigh_less() -> None:
    truth = halves(0, 1)
    prediction = truth.copy()
    prediction[0, 0, 4:] = 0
    certainty = np.ones(truth.shape, np.float32)
    certainty[0, 0, 4:] = 0
    assert region_scores(truth, prediction, certainty) == RegionScores(1, 1, 1, 1)
    assert region_scores(truth, prediction).recall < 1
    nothing = np.where(truth == 1, 0, 1).astype(np.float32)  # a region nobody is sure of is not there
    assert region_scores(truth, prediction, nothing).objects == 0


def test_the_data_sets_f_is_that_of_the_mean_precision_and_recall() -> None:
    rows = [RegionScores(1.0, 0.5, 1, 2), RegionScores(0.5, 0.5, 0, 1)]
    assert summed(rows) == {"precision": 0.75, "recall": 0.5, "f": 0.6, "found": 1, "objects": 3}
    assert summed([])["f"] is None


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5))
def test_scores_are_shares_and_names_do_not_matter(seed: int, regions: int, clusters: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, regions, (2, 5, 6)).astype(np.uint8)
    prediction = rng.integers(0, clusters, (2, 5, 6)).astype(np.uint8)
    scores = region_scores(truth, prediction)
    assert 0 <= scores.precision <= 1
    assert 0 <= scores.recall <= 1
    assert 0 <= scores.found <= scores.objects == len(np.unique(truth)) - 1
    order = rng.permutation(clusters).astype(np.uint8)
    other = region_scores(truth, order[prediction])
    if len(np.unique(prediction)) >= len(np.unique(truth)):  # else equal sums may leave another region empty
        assert other.f == pytest.approx(scores.f, abs=0.05)
    assert region_scores(truth, truth).f == 1


# --- SegTrackv2 ----------------------------------------------------------------------------------------------------


def write_segtrack(data: Path) -> None:
    one, two = truth_of(1), truth_of(2)
    for clip, truth in (("frog", one), ("bmx", two)):
        frames = data / "JPEGImages" / clip
        frames.mkdir(parents=True)
        masks = data / "GroundTruth" / clip
        for index, labels in enumerate(truth):
            picture_of(labels).save(frames / f"{clip}_{index:05d}.{'bmp' if clip == 'bmx' else 'png'}")
            for identity in np.unique(labels)[1:]:
                folder = masks / str(identity) if clip == "bmx" else masks
                folder.mkdir(parents=True, exist_ok=True)
                soft = np.where(labels == identity, 255, 60).astype(np.uint8)  # edges of 1 to 254 occur
                pixels = np.stack([np.where(labels == 0, 0, soft)] * 3, axis=-1)
                Image.fromarray(pixels).save(folder / f"{clip}_{index:05d}.png")


def test_segtrack_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_segtrack(tmp_path)
    assert put_in_place_of_engines(monkeypatch) == []
    report = tmp_path / "report.json"
    assert segtrack.main(["--data", str(tmp_path), "-o", str(report)]) == 0
    record = json.loads(report.read_text())
    assert record["mean"] == record["objects_mean"] == {"j": 1, "f": 1}
    assert [len(clip["objects"]) for clip in record["clips"]] == [2, 1]
    assert capsys.readouterr().out.splitlines()[-1].split() == ["the", "paper", "0.763", "-", "-", "-"]
    assert segtrack.main(["--data", str(tmp_path), "--clips", "worm"]) == 2
    assert "no clip worm; it has bmx, frog" in capsys.readouterr().err


def test_broken_segtrack_folders_are_named(tmp_path: Path) -> None:
    write_segtrack(tmp_path)
    bmx = segtrack.find(tmp_path)[0]
    masks = tmp_path / "GroundTruth" / "bmx" / "2"
    (masks / "bmx_00002.png").rename(masks / "bmx_0002.png")
    with pytest.raises(InputError, match=r"bmx: no mask for frame bmx_00002 in .*2 \(1 are missing\)"):
        bmx.scored()
    (masks / "bmx_0002.png").rename(masks / "bmx_00002.png")
    Image.new("L", (WIDTH, HEIGHT)).save(masks / "bmx_00009.png")
    with pytest.raises(InputError, match="has a mask bmx_00009 but there is no such frame"):
        bmx.scored()
    (masks / "bmx_00009.png").unlink()
    for path in masks.iterdir():
        Image.new("L", (8, 9)).save(path)
    with pytest.raises(InputError, match="masks of"):
        bmx.scored()
    with pytest.raises(InputError, match="expected JPEGImages"):
        segtrack.find(tmp_path / "GroundTruth")
    (tmp_path / "GroundTruth").rename(tmp_path / "Truth")
    with pytest.raises(InputError, match="no masks"):
        bmx.scored()
