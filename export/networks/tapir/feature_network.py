"""The tracker's image network: a pre-activation ResNet with instance norm, then wider convolution blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samotion.export.networks.tapir.tapir_params import TapirParams

STRIDES = (1, 2, 2, 1)  # of the residual groups, after the stem's 2


class ResidualBlock(nn.Module):
    """Norm, ReLU, convolution, twice; the shortcut is projected after the first ReLU where ``project``."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, project: bool) -> None:
        super().__init__()
        # "SAME" padding of the original framework: an even size halved pads bottom and right alone.
        self.padding = (1, 1, 1, 1) if stride == 1 else (0, 2, 0, 2)
        self.proj_conv = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False) if project else None
        self.bn_0 = nn.InstanceNorm2d(channels_in, affine=True)
        self.conv_0 = nn.Conv2d(channels_in, channels_out, 3, stride, bias=False)
        self.bn_1 = nn.InstanceNorm2d(channels_out, affine=True)
        self.conv_1 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, h, w) to (B, channels_out, h/stride, w/stride)."""
        active = torch.relu(self.bn_0(x))
        shortcut = x if self.proj_conv is None else self.proj_conv(active)
        inner = torch.relu(self.bn_1(self.conv_0(F.pad(active, self.padding))))
        out: Tensor = self.conv_1(inner) + shortcut
        return out


class ResidualGroup(nn.Module):
    """Residual blocks of one width; the first strides and projects."""

    def __init__(self, channels_in: int, channels_out: int, count: int, stride: int) -> None:
        super().__init__()
        first = ResidualBlock(channels_in, channels_out, stride, project=True)
        rest = [ResidualBlock(channels_out, channels_out, 1, project=False) for _ in range(count - 1)]
        self.blocks = nn.ModuleList([first, *rest])

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks in turn."""
        for block in self.blocks:
            x = block(x)
        return x


class ResNet(nn.Module):
    """Stem and four residual groups."""

    def __init__(self, params: TapirParams) -> None:
        super().__init__()
        widths = (params.channels[0], *params.channels)
        self.initial_conv = nn.Conv2d(3, widths[0], 7, stride=2, bias=False)
        self.block_groups = nn.ModuleList(
            ResidualGroup(widths[i], widths[i + 1], params.blocks[i], STRIDES[i]) for i in range(4)
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Map frames (T, 3, S, S) to low (T, C, S/8, S/8) and high (T, C2, S/4, S/4)."""
        x = self.initial_conv(F.pad(frames, (2, 4, 2, 4)))
        high = self.block_groups[1](self.block_groups[0](x))
        return self.block_groups[3](self.block_groups[2](high)), high


class ExtraConvBlock(nn.Module):
    """Layer norm, then two convolutions around a residual; the residual is the *normed* input, as trained."""

    def __init__(self, channels: int, multiplier: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels)
        self.conv = nn.Conv2d(channels, channels * multiplier, 3, padding=1)
        self.conv_1 = nn.Conv2d(channels * multiplier, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (T, h, w, C), channels last, to the same shape."""
        x = self.layer_norm(x).permute(0, 3, 1, 2)
        x = x + self.conv_1(F.gelu(self.conv(x), approximate="tanh"))
        return x.permute(0, 2, 3, 1)


class ExtraConvs(nn.Module):
    """Blocks after the low features."""

    def __init__(self, params: TapirParams) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ExtraConvBlock(params.low_channels, params.extra_multiplier) for _ in range(params.extra_convs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (T, h, w, C) to the same shape."""
        for block in self.blocks:
            x = block(x)
        return x


def unit(x: Tensor) -> Tensor:
    """Scale the last axis to length 1 (shorter than 1e-6 stays shorter)."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True).clamp(min=1e-12))
