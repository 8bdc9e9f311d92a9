"""Resizing as published: what the libraries do that the published system calls, and who gets which kernel."""

from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from samotion.runtime.kernels.resizing import Network, ResizeSet
from samotion.runtime.kernels.tables import MEAN, STD
from samotion.runtime.ops.resize import network_input, resize_set, resized_for
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
    network: Network, kernel: Image.Resampling | None, size: tuple[int, int]
) -> None:
    found = resized_for(network, ResizeSet.PUBLISHED, FRAMES, size)
    assert found.dtype == np.uint8
    for frame, small in zip(FRAMES, found, strict=True):
        np.testing.assert_array_equal(small, np.array(Image.fromarray(frame).resize(size[::-1], kernel)))
    assert not np.array_equal(found, resized_for(network, ResizeSet.OURS, FRAMES, size))


@pytest.mark.parametrize("size", SIZES)
def test_pillow_s_bicubic_is_the_antialiased_one(size: tuple[int, int]) -> None:
    soft = FRAMES // 4 + 96  # so that nothing overshoots 0 or 255, which Pillow cuts off between its two passes
    found = resized_for("depth", ResizeSet.PUBLISHED, soft, size)
    assert np.abs(found - by_torch(soft, size, "bicubic")).max() <= 1.5  # it rounds there, too


@pytest.mark.parametrize("size", [(45, 61), (56, 70), (46, 61)])
def test_semantics_are_resized_as_torchvision_does_tensors_of_floats(size: tuple[int, int]) -> None:
    found = resized_for("semantics", ResizeSet.PUBLISHED, FRAMES, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_torch(FRAMES, size, "bilinear"), rtol=0, atol=1e-3)
    planes = ((by_torch(FRAMES, size, "bilinear") / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    given = network_input("semantics", ResizeSet.PUBLISHED, FRAMES, size)
    np.testing.assert_allclose(given, planes, rtol=0, atol=1e-4)


def test_disparity_goes_back_to_the_frame_s_size_as_pytorch_s_bicubic() -> None:
    disparity = np.random.default_rng(1).random((28, 42), np.float32)
    found = cv2.resize(disparity, (61, 45), interpolation=cv2.INTER_CUBIC)
    wanted = functional.interpolate(torch.from_numpy(disparity)[None, None], (45, 61), mode="bicubic")[0, 0]
    np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("network", get_args(Network))
def test_frames_of_the_right_size_stay_as_they_are(network: Network) -> None:
    for chosen in ResizeSet:
        np.testing.assert_array_equal(resized_for(network, chosen, FRAMES, (45, 61)), FRAMES)


def test_the_settings_choose() -> None:
    assert resize_set(Settings()) is ResizeSet.OURS
    assert resize_set(Settings.published()) is ResizeSet.PUBLISHED
