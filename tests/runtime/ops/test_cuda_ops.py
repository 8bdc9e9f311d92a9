"""The whole pipeline with its arrays on a GPU: to the bit what the CPU gives, in memory that is not allocated twice.

Without a GPU it runs on stand-ins (gpu_stand_in): the engines' graphs by ONNX Runtime, the kernels by their sources,
streams as lazy as they may be. OpenCV resizes by its own code here: see docs/kernels.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import and_, or_
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.gpu.fake_cuda import Memory
from tests.support.gpu.gpu_real import shipped_for
from tests.support.gpu.gpu_stand_in import install, stand_in_bundle, stand_in_onnx_runtime
from tests.support.opencv_code import own_code

from samotion.engines.bundle import EMBEDDED, Bundle
from samotion.engines.machine import this_machine
from samotion.engines.manifest import read
from samotion.engines.trt.flavours import BACKENDS
from samotion.export.networks.motion.motion_network import NANO
from samotion.runtime.cli import DEMO
from samotion.runtime.ops.cuda_ops import arrays_for
from samotion.runtime.ops.interface import Arrays
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.pipeline import segment
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.stages.window import Stages
from samotion.runtime.values import Bytes, Clip, MotionLabels, ObjectMasks, Tracks

# As the published bundles are: one click that is corrected, few clicked frames, masks enlarged as they are.
PUBLISHED = {
    "prompt_step": 16,
    "clicks": 1,
    "background_clicks": 0,
    "all_tracks": False,
    "least_support": None,
    "follow_edges": False,
}
# So few frames make the motion network less sure than the shipped threshold asks.
FEW_FRAMES = {"motion_frames": 5, "dynamic_above": 0.4, "seed": 2}
WAYS: dict[str, dict[str, Any]] = {"as shipped": FEW_FRAMES, "as published": PUBLISHED}
FRAMES = 12


@pytest.fixture(scope="module", autouse=True)
def opencv_s_own() -> Iterator[None]:
    with own_code():
        yield


@pytest.fixture(scope="module")
def cubins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cubins")


@pytest.fixture(params=[None])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cubins: Path) -> Memory:
    """The GPU's, with lazy streams, or those that get on by chance where a test gives a seed."""
    monkeypatch.setenv("SAMOTION_CACHE", str(cubins))
    return install(monkeypatch, request.param)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return read_clip(DEMO).part(slice(24, 24 + FRAMES))


@dataclass
class Found:
    """What the stages find in a clip."""

    tracks: Tracks
    labels: MotionLabels
    masks: ObjectMasks
    depth: Bytes | None = None


def found_in(clip: Clip, bundle: Bundle, way: str, arrays: Arrays) -> Found:
    stages = Stages(clip, bundle, Settings().override(bundle.settings).override(WAYS[way]), Progress(), arrays)
    tracks, labels, depth = stages.motion()
    return Found(tracks, labels, stages.objects(tracks, labels, stages.network()), depth)


@pytest.fixture(scope="module")
def wanted(clip: Clip) -> dict[str, Found]:
    """What the CPU finds."""
    with Bundle.load(threads=1) as host:
        return {way: found_in(clip, host, way, HOST) for way in WAYS}


def same(found: Found, wanted: Found) -> None:
    for name in ("xy", "visible", "visibility", "confidence", "query_frame"):
        assert getattr(found.tracks, name).tobytes() == getattr(wanted.tracks, name).tobytes(), name
    assert found.labels.probability.tobytes() == wanted.labels.probability.tobytes()
    assert wanted.labels.dynamic.any()
    assert wanted.masks.values.any()
    np.testing.assert_array_equal(found.masks.values, wanted.masks.values)
    if wanted.depth is not None:
        np.testing.assert_array_equal(found.depth, wanted.depth)


# With one object at once those that are found take turns.
@pytest.mark.parametrize(
    ("way", "most_objects", "memory"), [("as shipped", 16, None), ("as published", 1, 0)], indirect=["memory"]
)
def test_the_gpu_s_answers_are_the_cpu_s(
    way: str, most_objects: int, clip: Clip, wanted: dict[str, Found], memory: Memory
) -> None:
    assert len(wanted[way].masks.values) >= (2 if way == "as shipped" else 1)
    with stand_in_bundle(most_objects) as bundle:
        same(found_in(clip, bundle, way, arrays_for(bundle)), wanted[way])
        assert memory.count("alloc")
        assert memory.count("pinned")
        # Other clips of the same shape: what came once in the first is recorded as a graph in the second.
        same(found_in(clip.part(slice(None)), bundle, way, arrays_for(bundle)), wanted[way])
        memory.log.clear()
        same(found_in(clip.part(slice(None)), bundle, way, arrays_for(bundle)), wanted[way])
    assert memory.count("launched") == memory.count("run")  # every run is a graph's
    assert not memory.count("alloc")
    assert not memory.count("pinned")
    came_and_went(memory, clip, wanted[way], way == "as shipped")
    # Before the host waits for anything the tracker's three engines and depth have all their work.
    waited = next(i for i, entry in enumerate(memory.log) if entry[0] == "sync")
    assert len({entry[1] for entry in memory.log[:waited] if entry[0] == "run"}) == 4


def came_and_went(memory: Memory, clip: Clip, found: Found, as_shipped: bool) -> None:
    """Frames went up once; masks came down once; beside them little.

    as_shipped: all tracks' votes for each object went up once, and for the masks the logits that the host makes them
    of came down.
    """
    up, down = ([entry[1] for entry in memory.log if entry[0] == name] for name in ("up", "down"))
    assert found.depth is not None
    down.remove(4 * found.depth.size)  # small depth maps, once
    pixels, objects = clip.frames[0].size // 3, len(found.masks.values)
    assert up.count(clip.frames.nbytes) == 1
    logits = 4 * objects * FRAMES * 64 * 64
    # What tracks do beside the camera is worked out on the host.
    deviations = 4 * found.tracks.visible.size * NANO.deviations
    assert sum(up) <= 1.1 * clip.frames.nbytes + as_shipped * logits + deviations
    masks = [logits] if as_shipped else [FRAMES * pixels] * objects
    assert down.count(masks[0]) == len(masks)
    tracks = sum(part.nbytes for part in vars(found.tracks).values()) + 8 * len(found.tracks.xy)
    clicked = 10 * pixels  # a mask for each click of grouping, and for each that is corrected
    assert sum(down) <= sum(masks) + 1.1 * tracks + clicked


def test_onnx_runtime_s_answers_stay_there_too(
    clip: Clip, wanted: dict[str, Found], memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_onnx_runtime(monkeypatch, memory)
    with Bundle(EMBEDDED, read(EMBEDDED), "cuda", 1) as bundle:
        same(found_in(clip, bundle, "as shipped", arrays_for(bundle)), wanted["as shipped"])
    came_and_went(memory, clip, wanted["as shipped"], True)


@pytest.mark.slow
def test_objects_are_carried_from_window_to_window(memory: Memory) -> None:
    clip = read_clip(DEMO).part(slice(0, 32))
    window = {"window": 16, "overlap": 6, "follow_edges": False, "prompt_step": 8}
    with Bundle.load(threads=1) as host, stand_in_bundle() as bundle:
        settings = Settings().override(host.settings).override(window)
        wanted, found = (segment(clip, one, settings) for one in (host, bundle))
    assert wanted.seconds["carrying"] > 0
    assert memory.count("up")
    same(Found(found.tracks, found.labels, found.masks), Found(wanted.tracks, wanted.labels, wanted.masks))


@pytest.mark.gpu
@pytest.mark.skipif(this_machine().gpu is None, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("provider", ["cuda", *BACKENDS])
@pytest.mark.parametrize("way", WAYS)
def test_on_a_real_gpu_the_answers_are_close_to_the_cpu_s(
    way: str, provider: str, clip: Clip, wanted: dict[str, Found], tmp_path: Path
) -> None:
    """Its own float32: masks that overlap, and the same labels except those at the threshold."""
    with Bundle.load(shipped_for(provider, tmp_path), provider=provider) as bundle:
        arrays = arrays_for(bundle)
        found, again = (found_in(clip, bundle, way, arrays) for _ in range(2))
    same(again, found)
    assert (found.labels.dynamic == wanted[way].labels.dynamic).mean() >= 0.99
    both, either = (op(found.masks.values.any(0), wanted[way].masks.values.any(0)).sum() for op in (and_, or_))
    assert both / either >= 0.98
