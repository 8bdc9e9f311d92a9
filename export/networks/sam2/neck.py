"""Image encoder: the trunk and its feature pyramid."""

from torch import Tensor, nn
from torch.nn import functional as F

from samotion.export.networks.sam2.hiera import Hiera
from samotion.export.networks.sam2.sam2_params import Sam2Params


class Lateral(nn.Module):
    """A 1×1 convolution under the name the published weights use."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to (B, out, H, W)."""
        out: Tensor = self.conv(x)
        return out


class Neck(nn.Module):
    """Every stage brought to one width; only stride 16 gets a share of the coarser stage."""

    def __init__(self, widths: tuple[int, ...], out: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(width, out) for width in reversed(widths))

    def forward(self, stages: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of strides 4, 8 and 16; stride 32 only feeds stride 16."""
        coarsest, features, fine, finest = (conv(x) for conv, x in zip(self.convs, reversed(stages), strict=True))
        features = features + F.interpolate(coarsest, scale_factor=2.0, mode="nearest")
        return finest, fine, features


class ImageEncoder(nn.Module):
    """Trunk and neck."""

    def __init__(self, params: Sam2Params) -> None:
        super().__init__()
        self.trunk = Hiera(params.trunk)
        self.neck = Neck(params.trunk.widths, params.width)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (B, 3, S, S) to (B, width, …) at strides 4, 8 and 16."""
        out: tuple[Tensor, Tensor, Tensor] = self.neck(self.trunk(image))
        return out
