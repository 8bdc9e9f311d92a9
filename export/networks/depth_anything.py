"""Depth-Anything-V2: relative inverse depth from one image.

Facts from DepthAnything/Depth-Anything-V2 (dpt.py, util/blocks.py); state-dict keys as published.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from samotion.export.networks.dinov2 import example
from samotion.export.networks.spec import GraphSpec
from samotion.export.networks.vit import VIT_B, VIT_L, VIT_S, VisionTransformer, VitParams


@dataclass(frozen=True)
class DepthParams:
    """vit: the backbone; layers: blocks the head reads, coarsest last.

    stages: channels read at 1/4, 1/2, 1 and 2 times the patch; features: channels of the fusion; last:
    channels before the answer; side: pixels that an image's height or width is resized to.
    """

    vit: VitParams
    layers: tuple[int, int, int, int]
    stages: tuple[int, int, int, int]
    features: int
    last: int = 32
    side: int = 518


SMALL = DepthParams(VIT_S, (2, 5, 8, 11), (48, 96, 192, 384), 64)
BASE = DepthParams(VIT_B, (2, 5, 8, 11), (96, 192, 384, 768), 128)
LARGE = DepthParams(VIT_L, (4, 11, 17, 23), (256, 512, 1024, 1024), 256)
NANO = DepthParams(
    VitParams(width=96, depth=6, heads=3, grid=16), (1, 2, 3, 5), (24, 32, 48, 64), 24, last=16, side=126
)


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return x (B, C, h, w) at another size, bilinear with corners on corners."""
    return functional.interpolate(x, tuple(size), mode="bilinear", align_corners=True)


class Residual(nn.Module):
    """Two 3×3 convolutions with a ReLU before each, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, h, w)."""
        return x + self.conv2(functional.relu(self.conv1(functional.relu(x))))  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """Adds a finer map to the coarser result, refines, and enlarges to ``size``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(width, width, 1)
        self.resConfUnit1 = Residual(width)  # the coarsest fusion never uses its own, but ships it
        self.resConfUnit2 = Residual(width)

    def forward(self, coarse: Tensor, fine: Tensor | None, size: Sequence[int]) -> Tensor:
        """Return (B, width, *size)."""
        x = coarse if fine is None else coarse + self.resConfUnit1(fine)
        return self.out_conv(resize(self.resConfUnit2(x), size))  # type: ignore[no-any-return]


class Scratch(nn.Module):
    """The layers that the published head keeps under ``scratch``."""

    def __init__(self, params: DepthParams) -> None:
        super().__init__()
        width = params.features
        for number, stage in enumerate(params.stages, start=1):
            self.add_module(f"layer{number}_rn", nn.Conv2d(stage, width, 3, padding=1, bias=False))
        self.refinenet1 = Fusion(width)
        self.refinenet2 = Fusion(width)
        self.refinenet3 = Fusion(width)
        self.refinenet4 = Fusion(width)
        self.output_conv1 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(width // 2, params.last, 3, padding=1), nn.ReLU(), nn.Conv2d(params.last, 1, 1)
        )

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Fuse four maps (B, stage, h, w), finest first, into one (B, 1, *size)."""
        first, second, third, fourth = (
            self.get_submodule(f"layer{number}_rn")(x) for number, x in enumerate(maps, start=1)
        )
        x = self.refinenet4(fourth, None, third.shape[-2:])
        x = self.refinenet3(x, third, second.shape[-2:])
        x = self.refinenet2(x, second, first.shape[-2:])
        x = self.refinenet1(x, first, [2 * n for n in first.shape[-2:]])
        return self.output_conv2(resize(self.output_conv1(x), size))  # type: ignore[no-any-return]


class Head(nn.Module):
    """The DPT head: token maps at four scales, fused from coarse to fine."""

    def __init__(self, params: DepthParams) -> None:
        super().__init__()
        one, two, _, four = params.stages
        self.projects = nn.ModuleList(nn.Conv2d(params.vit.width, stage, 1) for stage in params.stages)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(one, one, 4, stride=4),
                nn.ConvTranspose2d(two, two, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(four, four, 3, stride=2, padding=1),
            ]
        )
        self.scratch = Scratch(params)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Return (B, 1, *size) from four token maps (B, C, gh, gw)."""
        scaled = [
            scale(project(x)) for x, project, scale in zip(maps, self.projects, self.resize_layers, strict=True)
        ]
        return self.scratch(scaled, size)  # type: ignore[no-any-return]


class DepthAnything(nn.Module):
    """Graph: image ("B", 3, "h", "w") ImageNet-normalised, multiples of 14 -> disparity ("B", "h", "w") ≥ 0."""

    def __init__(self, params: DepthParams) -> None:
        super().__init__()
        self.params = params
        self.pretrained = VisionTransformer(params.vit)
        self.depth_head = Head(params)

    def raw(self, image: Tensor) -> Tensor:
        """Return the disparity (B, h, w) before its negative part is cut off."""
        maps = self.pretrained.layers(image, self.params.layers)
        size = [n * self.params.vit.patch for n in maps[0].shape[-2:]]
        return self.depth_head(maps, size)[:, 0]  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        """Return the disparity."""
        return functional.relu(self.raw(image))


def graphs(model: DepthAnything) -> list[GraphSpec]:
    """Return the one graph of this network."""
    vit, dynamic = model.params.vit, {"image": {0: "B", 2: "h", 3: "w"}}
    return [GraphSpec("depth", model, example(vit), dynamic, ("disparity",), example(vit, 9, 7, 1))]
