"""Resizing as published: what the libraries do that the published system calls, and who gets which kernel."""

from dataclasses import fields

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from samotion.runtime.ops.preprocess import MEAN, STD, normalised
from samotion.runtime.ops.resize import OURS, PUBLISHED, kernels
from samotion.runtime.settings import Settings

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 45, 61, 3), np.uint8)
SIZES = [(16, 16), (64, 64), (70, 30), (45, 64)]


def by_torch(frames: np.ndarray, size: tuple[int, int], mode: str) -> np.ndarray:
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    answer = functional.interpolate(planes, size, mode=mode, antialias=True, align_corners=False)
    return answer.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("network", "kernel"),
    [
        ("tracker", Image.Resampling.LANCZOS),
        ("depth", Image.Resampling.BICUBIC),
        ("masks", None),  # as SAM2's loader of frames: whatever Pillow does unasked
    ],
)
def test_uint8_networks_get_pillow_s_kernels(
    network: str, kernel: Image.Resampling | None, size: tuple[int, int]
) -> None:
    found = getattr(PUBLISHED, network)(FRAMES, *size)
    assert found.dtype == np.uint8
    for frame, small in zip(FRAMES, found, strict=True):
        np.testing.assert_array_equal(small, np.array(Image.fromarray(frame).resize(size[::-1], kernel)))
    assert not np.array_equal(found, getattr(OURS, network)(FRAMES, *size))


@pytest.mark.parametrize("size", SIZES)
def test_pillow_s_bicubic_is_the_antialiased_one(size: tuple[int, int]) -> None:
    soft = FRAMES // 4 + 96  # so that nothing overshoots 0 or 255, which Pillow cuts off between its two passes
    assert np.abs(PUBLISHED.depth(soft, *size) - by_torch(soft, size, "bicubic")).max() <= 1.5  # it rounds there, too


@pytest.mark.parametrize("size", [(45, 61), (56, 70), (46, 61)])
def test_semantics_are_resized_as_torchvision_does_tensors_of_floats(size: tuple[int, int]) -> None:
    found = PUBLISHED.semantics(FRAMES, *size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_torch(FRAMES, size, "bilinear"), rtol=0, atol=1e-3)
    planes = ((by_torch(FRAMES, size, "bilinear") / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(normalised(found), planes, rtol=0, atol=1e-4)


def test_disparity_goes_back_to_the_frame_s_size_as_pytorch_s_bicubic() -> None:
    disparity = np.random.default_rng(1).random((28, 42), np.float32)
    found = cv2.resize(disparity, (61, 45), interpolation=cv2.INTER_CUBIC)
    wanted = functional.interpolate(torch.from_numpy(disparity)[None, None], (45, 61), mode="bicubic")[0, 0]
    np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("field", fields(PUBLISHED))
def test_frames_of_the_right_size_stay_as_they_are(field: "object") -> None:
    name = field.name  # type: ignore[attr-defined]
    for chosen in (OURS, PUBLISHED):
        np.testing.assert_array_equal(getattr(chosen, name)(FRAMES, 45, 61), FRAMES)


def test_the_settings_choose() -> None:
    assert kernels(Settings()) is OURS
    assert kernels(Settings.published()) is PUBLISHED
