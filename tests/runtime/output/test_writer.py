import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support.paths import ROOT

from samotion.engines.errors import OutputError
from samotion.runtime.output.overlay import Overlay, draw
from samotion.runtime.output.palette import davis_palette
from samotion.runtime.output.writer import label_map, summary, write_result
from samotion.runtime.values import Bool, Clip, ClipResult, MotionLabels, ObjectMasks, Tracks


def make_result(
    masks: Bool, source_size: tuple[int, int] | None = None, stride: int = 1, fps: Fraction = Fraction(25)
) -> ClipResult:
    """A result on grey frames whose objects are ``masks`` (K, T, H, W)."""
    _, count, height, width = masks.shape
    index = np.arange(count, dtype=np.int64) * stride
    clip = Clip(
        name="clip",
        frames=np.full((count, height, width, 3), 90, np.uint8),
        fps=fps,
        source_size=source_size or (height, width),
        source_index=index,
        source_count=count * stride,
        times=index / float(fps),
    )
    track = np.ones((2, count), np.float32)
    tracks = Tracks(np.zeros((2, count, 2), np.float32), track > 0, track, track, np.zeros(2, np.int64))
    labels = MotionLabels(np.array([0.99, 0.1], np.float32), np.array([True, False]))
    return ClipResult(clip, tracks, labels, ObjectMasks(masks), {"tracks": 1.5})


def two_squares(height: int = 40, width: int = 60, count: int = 4) -> Bool:
    """Two objects that overlap; the second is absent from the first frame."""
    masks = np.zeros((2, count, height, width), np.bool_)
    masks[0, :, 5:20, 5:25] = True
    masks[1, 1:, 10:30, 15:45] = True
    return masks


def read_overlay(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        return list(container.decode(video=0))


def test_everything_is_written(tmp_path: Path) -> None:
    folder = write_result(make_result(two_squares(), stride=3), tmp_path / "new" / "out", {"bundle": {"name": "b"}})
    assert folder == tmp_path / "new" / "out" / "clip"
    assert [path.name for path in folder.parent.iterdir()] == ["clip"]
    assert sorted(path.name for path in folder.iterdir()) == ["masks", "overlay.mp4", "result.json", "tracks.npz"]
    names = sorted(path.name for path in (folder / "masks").iterdir())
    assert names == ["00000.png", "00003.png", "00006.png", "00009.png"]
    image = Image.open(folder / "masks" / "00003.png")
    assert image.mode == "P"
    assert image.getpalette() == davis_palette().ravel().tolist()
    labels = np.asarray(image)
    assert labels[12, 17] == 1, "the lower id wins"
    assert (labels[25, 40], labels[0, 0]) == (2, 0)

    record = json.loads((folder / "result.json").read_text())
    assert record["bundle"] == {"name": "b"}
    assert record["message"] == "2 moving objects in 4 frames"
    assert record["input"]["frames"] == [0, 3, 6, 9]
    first, second = record["objects"]
    assert (first["id"], first["first_frame"], first["last_frame"]) == (1, 0, 9)
    assert (second["id"], second["first_frame"], second["last_frame"]) == (2, 3, 9)
    assert first["area"] == [300] * 4
    assert second["area"] == [0] + [20 * 30 - 10 * 10] * 3
    assert second["boxes"] == [None] + [[15, 10, 45, 30]] * 3
    assert record["seconds"] == {"tracks": 1.5}
    with np.load(folder / "tracks.npz") as arrays:
        assert set(arrays) == {"xy", "visible", "confidence", "probability", "dynamic", "query_frame"}
        assert arrays["dynamic"].tolist() == [True, False]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(16, 65),
    width=st.integers(16, 65),
    scale=st.floats(1, 3),
    seed=st.integers(0, 99),
    count=st.integers(0, 3),
)
def test_any_size_is_written_at_source_size(
    tmp_path: Path, height: int, width: int, scale: float, seed: int, count: int
) -> None:
    masks = np.random.default_rng(seed).random((count, 2, height, width)) < 0.3
    source = (round(height * scale), round(width * scale))
    result = make_result(masks, source)
    folder = write_result(result, tmp_path, {})
    labels = np.asarray(Image.open(folder / "masks" / "00001.png"))
    assert labels.shape == source
    wanted = label_map(result, 1)
    agrees = np.zeros(source, np.bool_)
    for down, right in ((-1e-6, -1e-6), (-1e-6, 1e-6), (1e-6, -1e-6), (1e-6, 1e-6)):  # a tie may fall either way
        rows = ((np.arange(source[0]) + 0.5) * height / source[0] + down).astype(int)
        columns = ((np.arange(source[1]) + 0.5) * width / source[1] + right).astype(int)
        agrees |= labels == wanted[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
    assert agrees.mean() > 0.9, "nearest"
    frames = read_overlay(folder / "overlay.mp4")
    assert [(frame.height, frame.width) for frame in frames] == [(height + height % 2, width + width % 2)] * 2
    record = json.loads((folder / "result.json").read_text())
    assert [facts["area"][1] for facts in record["objects"]] == [
        np.count_nonzero(labels == k + 1) for k in range(count)
    ]


def test_palette_is_the_davis_one() -> None:
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 7: (128, 128, 128)}
    known |= {8: (64, 0, 0), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {identity: tuple(davis_palette()[identity].tolist()) for identity in known} == known


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(15, 2)])
@pytest.mark.parametrize("stride", [1, 4])
def test_overlay_keeps_the_source_pace(tmp_path: Path, fps: Fraction, stride: int) -> None:
    folder = write_result(make_result(two_squares(), stride=stride, fps=fps), tmp_path, {})
    times = [frame.time for frame in read_overlay(folder / "overlay.mp4")]
    assert times == pytest.approx([float(index * stride / fps) for index in range(4)], abs=1e-3)
    with av.open(str(folder / "overlay.mp4")) as container:
        assert container.streams.video[0].average_rate == pytest.approx(fps / stride)


def test_overlay_keeps_uneven_times(tmp_path: Path) -> None:
    result = make_result(two_squares())
    uneven = np.array([0, 0.04, 0.5, 2.0])
    folder = write_result(replace(result, clip=replace(result.clip, times=uneven)), tmp_path, {})
    times = [frame.time for frame in read_overlay(folder / "overlay.mp4")]
    assert times == pytest.approx(uneven.tolist(), abs=1e-3)


def test_drawing_leaves_the_background_alone() -> None:
    result = make_result(two_squares(120, 160))
    labels, frame = label_map(result, 2), result.clip.frames[2]
    drawn = draw(frame, labels)
    assert (drawn[60:, 80:] == frame[60:, 80:]).all()
    inside, colour = drawn[7, 7].astype(int), davis_palette()[1]
    assert inside[0] > inside[1]
    assert colour[0] > colour[1]


def test_nothing_moves_is_said_and_masks_are_empty(tmp_path: Path) -> None:
    result = make_result(np.zeros((0, 3, 20, 30), np.bool_))
    assert summary(0, 3) == "nothing moves in 3 frames"
    folder = write_result(result, tmp_path, {}, overlay=False)
    assert not (folder / "overlay.mp4").exists()
    assert not np.asarray(Image.open(folder / "masks" / "00002.png")).any()
    one = make_result(np.zeros((0, 1, 20, 30), np.bool_))
    assert "nothing can be said" in summary(0, 1)
    assert write_result(one, tmp_path, {}) == folder
    assert [path.name for path in (folder / "masks").iterdir()] == ["00000.png"]


def test_same_result_same_bytes(tmp_path: Path) -> None:
    folders = [write_result(make_result(two_squares()), tmp_path / name, {}) for name in ("a", "b")]
    for path in sorted(folders[0].rglob("*.*")):
        assert path.read_bytes() == (folders[1] / path.relative_to(folders[0])).read_bytes(), path.name


def test_only_earlier_results_are_replaced(tmp_path: Path) -> None:
    result = make_result(two_squares())
    (tmp_path / "clip").mkdir()
    write_result(result, tmp_path, {"run": 1})  # an empty folder may go
    write_result(result, tmp_path, {"run": 2})
    assert json.loads((tmp_path / "clip" / "result.json").read_text())["run"] == 2
    assert os.listdir(tmp_path) == ["clip"]
    (tmp_path / "clip" / "result.json").write_text("[]")
    with pytest.raises(OutputError, match="no earlier result"):
        write_result(result, tmp_path, {})
    assert os.listdir(tmp_path) == ["clip"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("bug")])
def test_failure_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise failure

    write_result(make_result(two_squares()), tmp_path, {"run": 1})
    monkeypatch.setattr(Overlay, "add", fail)
    expected = OutputError if isinstance(failure, OSError) else type(failure)
    for out in (tmp_path, tmp_path / "deep" / "new"):
        with pytest.raises(expected):
            write_result(make_result(two_squares()), out, {"run": 2})
    assert os.listdir(tmp_path) == ["clip"]
    assert json.loads((tmp_path / "clip" / "result.json").read_text())["run"] == 1


FILL = """
import resource, sys
from pathlib import Path
import numpy as np
from samotion.engines.errors import OutputError
from samotion.runtime.output.writer import write_result
from tests.runtime.output.test_writer import make_result
masks = np.random.default_rng(0).random((3, 12, 240, 320)) < 0.5
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    write_result(make_result(masks), Path(sys.argv[1]), {})
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("limit", [4_000, 60_000])
def test_a_full_disk_is_an_output_error(tmp_path: Path, limit: int) -> None:
    """4 kB stops a mask, 60 kB only the overlay."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path / "out"), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "cannot be written" in done.stdout, done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none"])
def test_unwritable_places(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_result(make_result(two_squares()), tmp_path / place, {})
    assert os.listdir(tmp_path) == ["file"]


SAME = """
import hashlib
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from tests.runtime.output.test_writer import make_result
from samotion.runtime.output.overlay import Overlay
from samotion.runtime.values import Playback
shape = (12, 480, 854)
made = make_result(np.zeros((1, *shape), np.bool_)).clip
noise = np.random.default_rng(0).integers(0, 256, (12, 60, 107, 3), np.uint8)
frames = noise.repeat(8, axis=1).repeat(8, axis=2)[:, :480, :854]
clip = replace(made, frames=np.stack([np.roll(frames[0], 3 * t, axis=1) for t in range(12)]))
path = Path(sys.argv[1])
with Overlay(path, clip, Playback()) as overlay:
    overlay.add(clip, lambda _: np.zeros((480, 854), np.uint8))
print(hashlib.sha256(path.read_bytes()).hexdigest())
"""


def test_the_same_frames_are_the_same_bytes(tmp_path: Path) -> None:
    """Whatever was in the memory before: glibc fills what it gives out with a byte of ours."""
    said = {
        subprocess.run(
            [sys.executable, "-c", SAME, tmp_path / f"{fill}.mp4"],
            env=os.environ | {"MALLOC_PERTURB_": str(fill), "PYTHONPATH": f"{ROOT / '.dev'}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for fill in (1, 85, 170)
    }
    assert len(said) == 1
