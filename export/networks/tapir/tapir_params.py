"""Sizes of the tracker."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TapirParams:
    """Sizes of one tracker; the defaults are BootsTAPIR's (checkpoint v2).

    resolution: side S in pixels of the square frames. channels, blocks: of the four residual groups; the second
    group gives the high features (S/4), the last one the low features (S/8). extra_convs, extra_multiplier:
    convolution blocks after the low features, and how much wider they are inside. cost_channels: widths of the
    cost-volume convolutions hid1, hid3 and of the layer hid4. mixer_width, mixer_blocks: of the refinement's
    mixer. iterations: refinements. temperature: of the soft arg-max.
    """

    resolution: int = 256
    channels: tuple[int, int, int, int] = (64, 128, 256, 256)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    extra_convs: int = 5
    extra_multiplier: int = 4
    cost_channels: tuple[int, int, int] = (16, 32, 16)
    mixer_width: int = 512
    mixer_blocks: int = 12
    iterations: int = 4
    temperature: float = 20.0

    @property
    def low_channels(self) -> int:
        """Channels C of the low features."""
        return self.channels[3]

    @property
    def high_channels(self) -> int:
        """Channels C2 of the high features."""
        return self.channels[1]


OFFICIAL = TapirParams()
NANO = TapirParams(
    channels=(16, 32, 64, 64),
    blocks=(1, 1, 1, 1),
    extra_convs=1,
    extra_multiplier=1,
    cost_channels=(8, 16, 16),
    mixer_width=64,
    mixer_blocks=3,
    iterations=2,
)
