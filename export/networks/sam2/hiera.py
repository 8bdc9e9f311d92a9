"""The trunk: Hiera, a pyramid of windowed attention (arXiv 2306.00989) as SAM2 uses it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samotion.export.networks.sam2.layers import MLP
from samotion.export.networks.sam2.sam2_params import HieraParams


class Attention(nn.Module):
    """Self-attention over a grid; ``pool`` halves the grid of the queries, and so of the output."""

    def __init__(self, width: int, out: int, heads: int, pool: bool) -> None:
        super().__init__()
        self.heads, self.pool = heads, pool
        self.qkv = nn.Linear(width, 3 * out)
        self.proj = nn.Linear(out, out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, width) to (B, H, W, out), or half of H and W."""
        height, width = x.shape[1:3]
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.pool:
            q = halve(q)
            height, width = height // 2, width // 2
        mixed = F.scaled_dot_product_attention(self._split(q), self._split(k), self._split(v))
        out: Tensor = self.proj(torch.unflatten(mixed.transpose(1, 2).flatten(2), 1, (height, width)))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x.flatten(1, 2), -1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Attention, within windows unless ``window`` is 0, and an MLP; the first of a stage may pool and widen."""

    def __init__(self, width: int, out: int, heads: int, window: int, pool: bool) -> None:
        super().__init__()
        self.window, self.pool = window, pool
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, out, heads, pool)
        self.norm2 = nn.LayerNorm(out, eps=1e-6)
        self.mlp = MLP([out, 4 * out, out], nn.GELU)
        self.proj = nn.Linear(width, out) if width != out else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, width) to (B, H, W, out), or half of H and W."""
        normed = self.norm1(x)
        if self.proj is not None:
            x = self.proj(normed)
            x = halve(x) if self.pool else x
        x = x + self._attend(normed, x.shape[1], x.shape[2])
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _attend(self, x: Tensor, height: int, width: int) -> Tensor:
        """Attend in windows and cut the answer to ``height`` × ``width``; padding cells take part, as trained."""
        if not self.window:
            out: Tensor = self.attn(x)
            return out
        side = self.window
        below, right = -x.shape[1] % side, -x.shape[2] % side
        if below or right:
            x = F.pad(x, (0, 0, 0, right, 0, below))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        x = torch.unflatten(torch.unflatten(x, 2, (columns, side)), 1, (rows, side)).transpose(2, 3).flatten(0, 2)
        x = self.attn(x)
        x = torch.unflatten(x, 0, (-1, rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return x[:, :height, :width]


def halve(x: Tensor) -> Tensor:
    """Take the maximum of every 2×2 cells of (B, H, W, C)."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    """Overlapping 7×7 patches every 4 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, 7, stride=4, padding=3)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, H/4, W/4, width)."""
        out: Tensor = self.proj(image)
        return out.permute(0, 2, 3, 1)


class Hiera(nn.Module):
    """Image (B, 3, S, S) to the stages' features, finest first: (B, width·2ⁱ, S/2ⁱ⁺², S/2ⁱ⁺²)."""

    def __init__(self, params: HieraParams) -> None:
        super().__init__()
        self.stage_ends = params.stage_ends
        self.patch_embed = PatchEmbed(params.width)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, params.width, params.table, params.table))
        side = params.windows[0]
        self.pos_embed_window = nn.Parameter(0.02 * torch.randn(1, params.width, side, side))
        self.blocks = nn.ModuleList()
        width, heads, stage = params.width, params.heads, 0
        for index in range(sum(params.blocks)):
            starts = index - 1 in params.stage_ends
            # The block that opens a stage still has the windows of the stage before.
            window = 0 if index in params.global_blocks else params.windows[stage]
            heads, stage = (2 * heads, stage + 1) if starts else (heads, stage)
            self.blocks.append(Block(width, params.widths[stage], heads, window, pool=starts))
            width = params.widths[stage]

    def positions(self, height: int, width: int) -> Tensor:
        """Return the positions (1, height, width, C): a coarse table enlarged, plus one window repeated."""
        coarse = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        side = self.pos_embed_window.shape[-1]
        fine = self.pos_embed_window.repeat(1, 1, height // side, width // side)
        return (coarse + fine).permute(0, 2, 3, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return one feature map a stage; the image's sides are multiples of 4·windows[0]."""
        x = self.patch_embed(image)
        x = x + self.positions(x.shape[1], x.shape[2])
        stages = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        return stages
