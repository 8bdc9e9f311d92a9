"""The DINOv2 vision transformer: patch tokens, intermediate layers and keys of the last block.

Facts from facebookresearch/dinov2 (models/vision_transformer.py, layers/); state-dict keys as published.
Images are (B, 3, h, w) float32, ImageNet-normalised, h and w multiples of the patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

# As trained: positions are spread over a grid this much larger than the real one.
GRID_OFFSET = 0.1
# Steepness of PyTorch's cubic kernel, with which the published positions are interpolated.
CUBIC = -0.75
# The kernel reaches at most this many entries past the end of the position table.
REACH = 2


@dataclass(frozen=True)
class VitParams:
    """Sizes of a vision transformer.

    width: channels of a token. depth: blocks. heads: of attention. grid: side of the square position table.
    stride, patch: pixels. by_head: attend with one head after the other, which holds the scores of one head
    instead of all, for strides that make many tokens.
    """

    width: int
    depth: int
    heads: int
    grid: int = 37
    stride: int = 14
    patch: int = 14
    by_head: bool = False


VIT_S = VitParams(384, 12, 6)
VIT_B = VitParams(768, 12, 12)
VIT_L = VitParams(1024, 24, 16)


def cubic(distance: Tensor) -> Tensor:
    """Return the weight of a sample ``distance`` entries away: Keys' cubic kernel, 0 from 2 entries on."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance * CUBIC - 4 * CUBIC
    return torch.where(distance <= 1, near, torch.where(distance < REACH, far, 0.0))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return what queries gather, all of them (B, h, n, d), queries scaled."""
    return (q @ k.transpose(-2, -1)).softmax(-1) @ v


class Attention(nn.Module):
    """Multi-head self-attention over (B, n, C)."""

    def __init__(self, params: VitParams) -> None:
        super().__init__()
        width = params.width
        self.heads, self.by_head = params.heads, params.by_head
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what every token gathers, (B, n, C)."""
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.heads).unbind(0)
        q = q * q.shape[-1] ** -0.5
        if self.by_head:
            found = torch.cat([attend(*head) for head in zip(*(x.split(1, 1) for x in (q, k, v)), strict=True)], 1)
        else:
            found = attend(q, k, v)
        return self.proj(rearrange(found, "b h n d -> b n (h d)"))  # type: ignore[no-any-return]

    def keys(self, x: Tensor) -> Tensor:
        """Return the keys alone, (B, n, C) with channel = d · heads + head, the order as trained."""
        width = x.shape[-1]
        span = slice(width, 2 * width)
        keys = functional.linear(x, self.qkv.weight[span], self.qkv.bias[span])
        return rearrange(keys, "b n (h d) -> b n (d h)", h=self.heads)


class Mlp(nn.Module):
    """Two linear layers, four times wider between, with an exact GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (…, width)."""
        return self.fc2(functional.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class LayerScale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return x scaled."""
        return x * self.gamma


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, params: VitParams) -> None:
        super().__init__()
        width = params.width
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(params)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the next tokens (B, n, C)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class PatchEmbed(nn.Module):
    """One token for each patch; a stride below the patch's size makes patches overlap."""

    def __init__(self, params: VitParams) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, params.width, params.patch, params.stride)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, C, gh, gw)."""
        return self.proj(image)  # type: ignore[no-any-return]


class VisionTransformer(nn.Module):
    """DINOv2 without registers; ``mask_token`` serves self-distillation only but is part of the checkpoint."""

    def __init__(self, params: VitParams) -> None:
        super().__init__()
        self.params = params
        self.cls_token = nn.Parameter(torch.zeros(1, 1, params.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + params.grid**2, params.width))
        self.mask_token = nn.Parameter(torch.zeros(1, params.width))
        self.patch_embed = PatchEmbed(params)
        self.blocks = nn.ModuleList(Block(params) for _ in range(params.depth))
        self.norm = nn.LayerNorm(params.width, eps=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def positions(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the position of every patch, (gh, gw, C), for place numbers 0, 1, … (gh,) and (gw,) float32.

        Bicubic, not antialiased, borders repeated: two small products, because their weights can be computed
        in an exported graph for any grid, which a resize by a fractional scale cannot.
        """
        side = self.params.grid
        height, width = rows[-1] + 1, columns[-1] + 1
        # Published: a grid of the table's own size takes the table as it is.
        offset = torch.where((height == side) & (width == side), 0.0, GRID_OFFSET)
        entries = torch.arange(-REACH, side + REACH, dtype=torch.float32, device=rows.device)
        inside = entries.long().clamp(0, side - 1)
        table = rearrange(self.pos_embed[0, 1:], "(h w) c -> h w c", h=side)
        table = table.index_select(0, inside).index_select(1, inside)

        def weights(places: Tensor, count: Tensor) -> Tensor:  # (n,) -> (n, side + 4)
            centre = (places + 0.5) * (side / (count + offset)) - 0.5
            return cubic((centre[:, None] - entries).abs())

        across = torch.einsum("wj,ijc->iwc", weights(columns, width), table)
        return torch.einsum("hi,iwc->hwc", weights(rows, height), across)

    def embed(self, image: Tensor) -> tuple[Tensor, int, int]:
        """Return tokens (B, 1 + gh·gw, C), the class token first, and the grid (gh, gw)."""
        patches = self.patch_embed(image)
        batch, _, high, wide = patches.shape
        rows, columns = (torch.arange(n, dtype=torch.float32, device=image.device) for n in (high, wide))
        patches = rearrange(patches, "b c h w -> b h w c") + self.positions(rows, columns)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)
        return torch.cat((first, patches.flatten(1, 2)), dim=1), high, wide

    def layers(self, image: Tensor, chosen: Sequence[int]) -> list[Tensor]:
        """Return the patch tokens after each chosen block, normalised: maps (B, C, gh, gw)."""
        x, high, wide = self.embed(image)
        maps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in chosen:
                maps.append(rearrange(self.norm(x)[:, 1:], "b (h w) c -> b c h w", h=high, w=wide))
        return maps

    def keys(self, image: Tensor) -> Tensor:
        """Return the last block's keys of the patches, (B, gh, gw, C) with channel = d · heads + head."""
        x, high, wide = self.embed(image)
        for block in self.blocks[:-1]:
            x = block(x)
        last = self.blocks[-1]
        assert isinstance(last, Block)
        keys = last.attn.keys(last.norm1(x))
        return rearrange(keys[:, 1:], "b (h w) c -> b h w c", h=high, w=wide)
