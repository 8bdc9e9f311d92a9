"""Labelled tracks for the motion network: of scenes, real clips and counterfactual ones, cached as npz files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from samotion.calibration.recording.activations import clip_of
from samotion.calibration.scenes.scene import SceneSpec, scene
from samotion.engines.atomic import atomic_file
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.export.training.motion.counterfactuals import Ingredients
from samotion.export.training.motion.counterfactuals import clip as made_clip
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.sources.folders import list_folder
from samotion.runtime.sources.open import read_clip
from samotion.runtime.stages.depth import estimate
from samotion.runtime.stages.features import describe
from samotion.runtime.stages.tracks import follow, sample_queries
from samotion.runtime.values import Bool, Clip, Float, Int, Tracks

# Only geometry is looked at: light and lens cost time and change nothing. Much stands that looks like what moves.
PLAIN = SceneSpec(
    objects=(1, 10), scenery=(0, 5), nothing_moves=0.15, follow=0.4, look_alike=0.4, occluder=0.2, enters=0.15
).plain()
FAR = 2.0  # points far outside say nothing, but must stay finite
POINTS = 1000  # exact tracks kept of a scene
QUERY_STEP = 10  # frames between a scene's query frames, as in the pipeline
LONGEST = 90  # frames of a real variant
SHORTEST = 20
BORDER = 2  # pixels from a mask's edge within which a label is not trusted
MADE_TRACKS, MADE_SEED = 300, 21  # tracks of a counterfactual clip, and what its seeds start from
MIXED = (0.3, 0.7)  # share of a track's visible points on the object between which its label is not trusted


@dataclass(frozen=True)
class TrackSample:
    """Tracks with labels, N of them over T frames.

    xy: (N, T, 2) float32 = pixel / (W, H) · 2 - 1, not clamped. visible: (N, T) bool. visibility, confidence,
    depth: (N, T) float32; depth is the disparity in [0, 1] under each point. semantics: (N, C) float32.
    query_frame: (N,) int64. label: (N,) int64, 1 moves by itself, 0 does not, -1 unknown. instance: (N,) int64,
    the scene's object (0 background). exact: tracks are the truth, to be made as wrong as a tracker's.
    """

    xy: Float
    visible: Bool
    visibility: Float
    confidence: Float
    depth: Float
    semantics: Float
    query_frame: Int
    label: Int
    instance: Int
    exact: bool

    def save(self, path: Path) -> None:
        """Write the sample; half floats where they lose nothing that matters."""
        half = ("visibility", "confidence", "depth", "semantics")
        arrays = {k: v.astype(np.float16) if k in half else v for k, v in self.__dict__.items()}
        with atomic_file(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def read(cls, path: Path) -> "TrackSample":
        """Return the sample that ``save`` wrote."""
        with np.load(path) as file:
            arrays = {k: file[k] for k in file.files}
        arrays = {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in arrays.items()}
        return cls(**{**arrays, "exact": bool(arrays["exact"])})

    def tracks(self, chosen: Bool | Int) -> "TrackSample":
        """Return the tracks that a mask (N,) or an index array names."""
        parts = {k: v if k == "exact" else v[chosen] for k, v in self.__dict__.items()}
        return TrackSample(**parts)


def unit_xy(xy: Float, size: tuple[int, int]) -> Float:
    """Return pixels (…, 2) of frames of ``size`` (height, width) as 2·xy/(W, H) - 1, not clamped."""
    return np.asarray(xy * np.array([2 / size[1], 2 / size[0]], np.float32) - 1, np.float32)


def depth_under(disparity: Float, xy: Float) -> Float:
    """Return disparity (T, H, W) in the pixels that hold the points xy (N, T, 2): (N, T)."""
    frames, height, width = disparity.shape
    column = np.clip(np.floor(xy[..., 0]), 0, width - 1).astype(np.int64)
    row = np.clip(np.floor(xy[..., 1]), 0, height - 1).astype(np.int64)
    return np.asarray(disparity[np.arange(frames), row, column])


def from_scene(seed: int) -> TrackSample:
    """Return the exact tracks of scene ``seed``, queried at random points of every tenth frame."""
    rng = np.random.default_rng((seed, 1))
    frames, speed, camera = int(rng.choice((24, 36, 48))), float(rng.uniform(0.5, 2)), float(rng.uniform(0.5, 2))
    made = scene(seed, replace(PLAIN, frames=frames, speed=speed, camera=camera))
    frames, height, width = made.instance.shape
    times = rng.choice(np.arange(0, frames, QUERY_STEP), POINTS)
    points = np.stack([times, rng.uniform(0, height - 1, POINTS), rng.uniform(0, width - 1, POINTS)], -1)
    xy, visible, instance = made.tracks(points.astype(np.float32))
    # Predicted disparity is soft at outlines and knows each frame's range only.
    sigma = float(rng.uniform(0.003, 0.015)) * width
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in made.disparity])
    low, high = (f(soft, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    soft = (soft - low) / np.maximum(high - low, 1e-6)
    moves = np.concatenate([[False], made.moving])[instance]
    ones = np.ones(visible.shape, np.float32)
    return TrackSample(
        xy=np.clip(unit_xy(xy, (height, width)), -FAR, FAR),
        visible=visible,
        visibility=ones,
        confidence=ones,
        depth=depth_under(soft, xy),
        semantics=np.zeros((POINTS, 0), np.float32),
        query_frame=times.astype(np.int64),
        label=moves.astype(np.int64),
        instance=instance.astype(np.int64),
        exact=True,
    )


def labels_from_masks(tracks: Tracks, masks: Bool) -> Int:
    """Return 1, 0 or -1 (not to be trusted) a track (N,): where its visible points lie in masks (T, H, W).

    Points within BORDER pixels of an outline do not vote; a track without a vote, or with a mixed one, is -1.
    """
    frames, height, width = masks.shape
    edge = np.ones((2 * BORDER + 1,) * 2, np.uint8)
    solid = masks.astype(np.uint8)
    sure = np.stack([cv2.erode(m, edge) == cv2.dilate(m, edge) for m in solid])
    column = np.clip(np.round(tracks.xy[..., 0]), 0, width - 1).astype(np.int64)
    row = np.clip(np.round(tracks.xy[..., 1]), 0, height - 1).astype(np.int64)
    index = np.arange(frames), row, column
    votes = tracks.visible & sure[index]
    share = (votes & masks[index]).sum(1) / np.maximum(votes.sum(1), 1)
    label = (share > MIXED[1]).astype(np.int64)
    label[(votes.sum(1) == 0) | ((share >= MIXED[0]) & (share <= MIXED[1]))] = -1
    return np.asarray(label)


def read_masks(folder: Path) -> Bool:
    """Return the masks (T, H, W) of a folder of images, true where not black."""
    images = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in list_folder(folder)]
    if any(image is None for image in images):
        raise InputError(f"{folder}: holds masks that cannot be read")
    return np.stack([np.asarray(image) > 0 for image in images])


@dataclass(frozen=True)
class Variant:
    """One cut of a clip: frames start, start + stride, … (count of them), tracked with queries of ``seed``."""

    start: int
    stride: int
    count: int
    seed: int


def variants(frames: int, number: int, seed: int) -> list[Variant]:
    """Return ``number`` seeded cuts of 20 to 90 frames at strides 1 to 3; the first is the plain clip."""
    cuts = [Variant(0, 1, min(frames, LONGEST), seed)]
    rng = np.random.default_rng(seed)
    for index in range(1, number):
        strides = [s for s in (1, 1, 2, 3) if frames // s >= SHORTEST] or [1]
        stride = int(rng.choice(strides))
        count = int(rng.integers(min(SHORTEST, frames // stride), min(LONGEST, frames // stride) + 1))
        start = int(rng.integers(0, frames - (count - 1) * stride))
        cuts.append(Variant(start, stride, count, seed + index))
    return cuts


def from_clip(clip: Clip, masks: Bool, cut: Variant, bundle: Bundle, settings: Settings) -> TrackSample:
    """Return the pipeline's own tracks, depth and semantics of one cut, labelled by masks (T, H, W) of the clip."""
    quiet, chosen = Progress(), slice(cut.start, cut.start + cut.count * cut.stride, cut.stride)
    index = np.arange(cut.count, dtype=np.int64)
    part = Clip(
        clip.name, clip.frames[chosen], Fraction(clip.fps), clip.size, index, cut.count, index / float(clip.fps)
    )
    queries = sample_queries(part, settings.override({"seed": cut.seed}))
    tracks = HOST.filtered(*follow(part, queries, bundle, settings, quiet, HOST), queries[:, 0])
    disparity = estimate(part, bundle, settings, quiet, HOST)
    return TrackSample(
        xy=np.clip(unit_xy(tracks.xy, clip.size), -FAR, FAR),
        visible=tracks.visible,
        visibility=tracks.visibility,
        confidence=tracks.confidence,
        depth=depth_under(HOST.down(disparity), tracks.xy),
        semantics=HOST.down(describe(part, tracks, bundle, settings, quiet, HOST)),
        query_frame=tracks.query_frame,
        label=labels_from_masks(tracks, masks[chosen]),
        instance=np.zeros(len(tracks.xy), np.int64),
        exact=False,
    )


def scene_files(cache: Path, seeds: range) -> list[Path]:
    """Return one cached sample a seed, making those that are not there."""
    cache.mkdir(parents=True, exist_ok=True)
    files = [cache / f"scene_{seed:06d}.npz" for seed in seeds]
    for seed, file in zip(seeds, files, strict=True):
        if not file.exists():
            from_scene(seed).save(file)
    return files


def clip_files(cache: Path, davis: Path, bundle: Bundle, number: int) -> dict[str, list[Path]]:
    """Return ``number`` cached samples of each <clip>/frames + <clip>/masks in ``davis``, by clip.

    The cache keeps samples apart by the bundle's digest: other engines make other tracks.
    """
    folder = cache / bundle.digest
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.parent.name for path in davis.glob("*/frames"))
    if not names:
        raise InputError(f"{davis}: no <clip>/frames in this folder")
    return {name: list(_variants_of(folder, davis / name, bundle, number)) for name in names}


def made_files(cache: Path, given: Ingredients, bundle: Bundle, number: int) -> list[Path]:
    """Return ``number`` cached samples of counterfactual clips, making those that are not there."""
    folder = cache / bundle.digest
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings().override(bundle.settings).override({"max_tracks": MADE_TRACKS})
    files = [folder / f"made_{seed:04d}.npz" for seed in range(number)]
    for seed, file in enumerate(files):
        if not file.exists():
            frames, masks = made_clip(np.random.default_rng([MADE_SEED, seed]), given)
            clip = clip_of(file.stem, frames)
            from_clip(clip, masks, Variant(0, 1, len(masks), seed), bundle, settings).save(file)
            print(f"made {file.name}", flush=True)
    return files


def _variants_of(folder: Path, source: Path, bundle: Bundle, number: int) -> Iterator[Path]:
    """Yield the cached samples of one clip, making those that are not there."""
    settings = Settings().override(bundle.settings)
    files = [folder / f"{source.name}_{index}.npz" for index in range(number)]
    if not all(file.exists() for file in files):
        clip, masks = read_clip(source / "frames", settings), read_masks(source / "masks")
        if masks.shape != clip.frames.shape[:3]:
            raise InputError(f"{source}: masks {masks.shape} do not fit frames {clip.frames.shape[:3]}")
        for file, cut in zip(files, variants(len(masks), number, seed=0), strict=True):
            if not file.exists():
                from_clip(clip, masks, cut, bundle, settings).save(file)
                print(f"made {file.name}", flush=True)
    yield from files
