"""The kernels on a real GPU against their twins: the comparisons that the CPU runs, on larger cases."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.kernels import test_depth_kernel as depth
from tests.kernels import test_features_kernel as features
from tests.kernels import test_filtering_kernel as filtering
from tests.kernels import test_masks_kernel as masks
from tests.kernels import test_memory_kernel as memory
from tests.kernels import test_resizing_kernel as resizing
from tests.support import kernel_twins
from tests.support.gpu.kernels_host import Numbers
from tests.support.opencv_code import own_code

from samotion.engines.device import Device
from samotion.engines.errors import EngineError
from samotion.runtime.kernels.device import CudaModules, _value
from samotion.runtime.kernels.launching import Buffers
from samotion.runtime.kernels.resizing import ResizeSet, recipe

RNG = np.random.default_rng(0)
on_gpu = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def opencv_s_own() -> Iterator[None]:
    with own_code():  # the twins of depth and masks are OpenCV's, and exact where no library steps in
        yield


class Gpu:
    """A Place (kernels_host) on the GPU, with pycuda's arrays."""

    def __init__(self, cache: Path) -> None:
        self.device = Device()
        with self.device.active():
            self.start = CudaModules(self.device, cache).on()

    def __call__(self, source: str, kernel: str, threads: int, *arguments: Any) -> None:
        self.start(source, kernel, threads, *arguments)

    def put(self, array: Numbers) -> Any:
        from pycuda import gpuarray

        return gpuarray.to_gpu(np.ascontiguousarray(array))

    def allocate(self, wanted: Buffers) -> Mapping[str, Any]:
        from pycuda import gpuarray

        return {name: gpuarray.empty(shape, np.dtype(kind)) for name, (shape, kind) in wanted.items()}

    def take(self, array: Any) -> Numbers:
        found: Numbers = array.get()
        return found

    def address(self, array: Any) -> int:
        return int(array.ptr)


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpu]:
    try:
        place = Gpu(tmp_path_factory.mktemp("cubins"))
    except EngineError as error:
        pytest.skip(f"no GPU to run the kernels on: {error}")
    with place.device.active():
        yield place


@on_gpu
@pytest.mark.parametrize("tracks", [1, 64, 65, 5000])
def test_filtering(tracks: int, gpu: Gpu) -> None:
    filtering.compare(filtering.many(tracks), gpu)
    queries = np.stack([RNG.integers(0, 7, tracks), *RNG.integers(0, 480, (2, tracks))], axis=1).astype(np.float32)
    xy = RNG.random((tracks, 7, 2), np.float32) * 256
    filtering.compare_normalised(xy * 900, (480, 854), gpu)
    filtering.compare_in_frame((xy, queries, np.array([0.3, 0.53], np.float32)), gpu)


@on_gpu
def test_depth(gpu: Gpu) -> None:
    depth.compare(RNG.gamma(2, 3, (2, 294, 518)).astype(np.float32), (480, 854), gpu)


@on_gpu
def test_memory(gpu: Gpu) -> None:
    rows = [list(RNG.normal(size=(count, 64, 64, 64)).astype(np.float32)) for count in (7, 3, 0)]
    memory.compare(rows, (8, 64, 64, 64), gpu)
    memory.compare_every(RNG.random((700, 120, 2), np.float32), 1, 3, gpu)


@on_gpu
@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 0.95])
def test_masks(share: float, gpu: Gpu) -> None:
    logits = np.where(RNG.random((3, 256, 256)) < share, -1, 1).astype(np.float32)
    masks.compare_holes(logits, gpu)
    smooth = RNG.normal(0, 4, (3, 64, 64)).astype(np.float32)
    wanted = kernel_twins.enlarged_masks(smooth, 480, 854)
    np.testing.assert_array_equal(masks.enlarged(smooth, 480, 854, gpu), wanted)


@on_gpu
def test_features(gpu: Gpu) -> None:
    xy = (RNG.random((500, 4, 2), np.float32) * 1.2 - 0.1) * np.array([854, 480], np.float32)
    grid = RNG.normal(size=(17, 30, 96)).astype(np.float32)
    features.compare((grid, xy, RNG.integers(0, 4, 500), (480, 854)), gpu)


@on_gpu
@pytest.mark.parametrize("published", list(ResizeSet))
@pytest.mark.parametrize("network", resizing.NETWORKS)
def test_resizing(network: Any, published: ResizeSet, gpu: Gpu) -> None:
    frame = RNG.integers(0, 256, (480, 854, 3), np.uint8)
    for size in ((256, 256), (294, 518), (490, 868), (1024, 1024), (240, 427)):
        made = recipe((480, 854), size, network, published)
        np.testing.assert_array_equal(resizing.by_kernel(frame, made, gpu), kernel_twins.planes(frame, made))


class Pointed:
    """An array that says where on a device it lies."""

    __cuda_array_interface__: Mapping[str, Any] = {"data": (2**40, False)}


def test_arguments_are_passed_as_the_kernels_read_them() -> None:
    assert [_value(argument) for argument in (7, 0.5, Pointed())] == [7, 0.5, 2**40]
    assert [_value(argument).itemsize for argument in (7, 0.5, Pointed())] == [4, 4, 8]
