"""Sizes of SAM2 and SAM2.1: the published ones, and one small enough for two CPU cores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HieraParams:
    """The trunk: windowed attention in four stages, strides 4, 8, 16 and 32.

    width, heads: of the first stage; both double from stage to stage. blocks: attention blocks a stage.
    windows: side of a stage's windows, in cells. global_blocks: blocks that attend to the whole image.
    table: side of the coarse position table.
    """

    width: int
    heads: int
    blocks: tuple[int, ...]
    windows: tuple[int, ...]
    global_blocks: tuple[int, ...]
    table: int

    @property
    def stage_ends(self) -> tuple[int, ...]:
        """Index of each stage's last block."""
        return tuple(sum(self.blocks[: i + 1]) - 1 for i in range(len(self.blocks)))

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each stage, finest first."""
        return tuple(self.width << i for i in range(len(self.blocks)))


@dataclass(frozen=True)
class Sam2Params:
    """All sizes of one SAM2.

    image_size: side of the square input, in pixels. width: of features and pointers; memory_width: of the
    spatial memory. memory_frames: a clicked frame and the recent ones (this many less one) that have a time of
    their own. max_clicked: most clicked frames read at once, the nearest (None, published: all).
    max_pointers: most frames that object pointers come from. attention_*: the memory attention. decoder_*: the
    mask decoder. mask_scale: the mask logits are enlarged by this much before the memory encoder shrinks them
    to the feature grid.
    signed_pointers (2.1): pointers carry a projected encoding of their signed frame distance.
    absent_memory (2.1): a learned vector marks the spatial memory of frames without the object.
    click_radius: in pixels; above 0, clicks also enter the dense prompt, as discs of this radius in mask logits
    (a small network trained from scratch finds the clicks much sooner; the published ones are 0).
    layer_scale: initial gain of the memory fuser's branches (training only).
    """

    trunk: HieraParams
    image_size: int = 1024
    width: int = 256
    memory_width: int = 64
    memory_frames: int = 7
    max_clicked: int | None = None
    max_pointers: int = 16
    attention_layers: int = 4
    attention_feedforward: int = 2048
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_feedforward: int = 2048
    iou_width: int = 256
    mask_scale: int = 4
    signed_pointers: bool = True
    absent_memory: bool = True
    click_radius: float = 0.0
    layer_scale: float = 1e-6

    @property
    def grid(self) -> int:
        """Side of the feature grid, in cells of 16 pixels."""
        return self.image_size // 16


WINDOWS = (8, 4, 14, 7)
TINY = HieraParams(96, 1, (1, 2, 7, 2), WINDOWS, (5, 7, 9), 7)
SMALL = HieraParams(96, 1, (1, 2, 11, 2), WINDOWS, (7, 10, 13), 7)
BASE_PLUS = HieraParams(112, 2, (2, 3, 16, 3), WINDOWS, (12, 16, 20), 14)
LARGE = HieraParams(144, 2, (2, 6, 36, 4), (8, 4, 16, 8), (23, 33, 43), 7)

_TRUNKS = {"tiny": TINY, "small": SMALL, "base_plus": BASE_PLUS, "large": LARGE}

# By the stem of the official checkpoint; sizes from the published configurations.
OFFICIAL = {
    **{f"sam2.1_hiera_{name}": Sam2Params(trunk) for name, trunk in _TRUNKS.items()},
    **{
        f"sam2_hiera_{name}": Sam2Params(trunk, signed_pointers=False, absent_memory=False)
        for name, trunk in _TRUNKS.items()
    },
}

NANO = Sam2Params(
    HieraParams(32, 1, (1, 2, 4, 1), (8, 4, 8, 8), (5, 7), 4),
    image_size=256,
    width=64,
    memory_width=32,
    memory_frames=5,
    max_clicked=2,
    attention_layers=2,
    attention_feedforward=128,
    decoder_heads=4,
    decoder_feedforward=128,
    iou_width=64,
    mask_scale=1,
    click_radius=12.0,
    layer_scale=0.1,
)
