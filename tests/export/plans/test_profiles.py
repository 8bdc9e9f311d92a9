"""Profiles of plans: they hold what the runtime sends, and name an axis that has no range."""

import dataclasses

import pytest

from samotion.engines.engine import TensorSpec
from samotion.engines.errors import EngineError
from samotion.engines.manifest import EMBEDDED, GRAPHS, DepthInput, MasksInput, SemanticsInput, read
from samotion.export.plans.profiles import FIXED, profile, ranges
from samotion.runtime.ops.preprocess import FRAMES_A_BATCH
from samotion.runtime.settings import Settings
from samotion.runtime.stages.masks import PROMPTS_A_BATCH


def test_profiles_hold_what_the_runtime_sends() -> None:
    """The best lengths are the runtime's defaults, and its largest windows, tracks and memories fit."""
    own = {"max_tracks": 700, "clicks": 16, "background_clicks": 12}
    manifest = dataclasses.replace(read(EMBEDDED), settings=own, masks=MasksInput(256, 5, 16, max_clicked=2))
    settings = Settings()
    assert ranges(manifest, "mask_encoder")["B"][1] == ranges(manifest, "track_features")["T"][1] == FRAMES_A_BATCH
    assert ranges(manifest, "track_head")["N"][1] == settings.point_chunk
    assert ranges(manifest, "motion")["T"][1] == settings.window
    assert ranges(read(EMBEDDED), "motion")["T"][1] == Settings().override(read(EMBEDDED).settings).motion_frames
    assert ranges(manifest, "motion")["N"][2] >= settings.max_tracks
    assert ranges(manifest, "motion")["N"][1] == 700
    assert Settings.published().max_frames in range(1, FIXED["T"][2] + 1)
    assert ranges(manifest, "memory_attention")["M"] == (1, 5, 6)  # 2 clicked and 4 recent frames
    assert ranges(manifest, "mask_decoder")["K"] == (1, 4, 16)
    assert PROMPTS_A_BATCH <= 16
    assert ranges(manifest, "mask_decoder")["P"] == (1, 28, 64)
    assert ranges(dataclasses.replace(manifest, settings={}), "mask_decoder")["P"] == (1, settings.clicks, 64)


@pytest.mark.parametrize("name", GRAPHS)
def test_profiles_are_in_order_and_of_the_specs_rank(name: str) -> None:
    manifest = read(EMBEDDED)
    shapes = profile(manifest, name)
    for spec in manifest.graphs[name].inputs:
        for least, best, most, axis in zip(*shapes[spec.name], spec.shape, strict=True):
            assert 0 < least <= best <= most
            assert isinstance(axis, str) or least == most == axis


@pytest.mark.parametrize("size", [(480, 854), (854, 480), (1000, 1000), (418, 1000), (180, 320)])
def test_profiles_hold_frames_of_every_usual_shape(size: tuple[int, int]) -> None:
    from samotion.runtime.stages import depth, features

    for side, longest in ((518, None), (126, 448)):
        manifest = dataclasses.replace(
            read(EMBEDDED), depth=DepthInput(side, 14), semantics=SemanticsInput(14, longest)
        )
        for graph, sent in (
            ("depth", depth.network_size(size, manifest.depth)),
            ("semantics", features.network_size(size, manifest.semantics)),
        ):
            for axis, length in zip("hw", sent, strict=True):
                least, _, most = ranges(manifest, graph)[axis]
                assert least <= length <= most, (graph, axis, length)
    assert ranges(manifest, "depth")["h"][1:] == (126, 308)


def test_an_axis_without_a_range_is_named() -> None:
    manifest = read(EMBEDDED)
    entry = dataclasses.replace(manifest.graphs["depth"], inputs=(TensorSpec("image", "float32", ("Q", 3)),))
    odd = dataclasses.replace(manifest, graphs={**manifest.graphs, "depth": entry})
    with pytest.raises(EngineError, match="depth: axis Q of input image has no range for a plan; known are B, T, N"):
        profile(odd, "depth")
