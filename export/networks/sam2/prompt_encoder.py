"""Prompt encoder: clicks to tokens, an earlier mask to a dense map."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samotion.export.networks.sam2.layers import HIDDEN, LayerNorm2d

MASK_WIDTH = 16
# Published limit on a fed back mask's logits.
MASK_LIMIT = 32.0
DISC_LOGIT = 10.0


class RandomPositions(nn.Module):
    """Positions in the unit square through fixed random frequencies."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, unit: Tensor) -> Tensor:
        """Map (…, 2), x and y in [0, 1], to (…, width)."""
        angle = 2 * math.pi * ((2 * unit - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angle.sin(), angle.cos()], -1)


def discs(points: Tensor, labels: Tensor, side: int, pixels: float, radius: float) -> Tensor:
    """Draw clicks as soft discs of mask logits (K, 1, side, side), positive for clicks on the object.

    points: (K, P, 2) and radius in image pixels; labels: (K, P); pixels: of the image to a cell.
    """
    centres = (torch.arange(side, dtype=points.dtype, device=points.device) + 0.5) * pixels
    falls = torch.exp(-0.5 * ((centres - points[..., None]) / radius) ** 2)
    near = falls[:, :, 1, :, None] * falls[:, :, 0, None, :]
    on, off = ((near * (labels == kind)[..., None, None]).amax(1, keepdim=True) for kind in (1, 0))
    return DISC_LOGIT * (on - off)


class PromptEncoder(nn.Module):
    """Clicks and masks as the mask decoder wants them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pe_layer = RandomPositions(width)
        # Background click, click, and the two corners of a box, which the video pipeline never uses.
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, width)
        quarter = MASK_WIDTH // 4
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, quarter, 2, stride=2),
            LayerNorm2d(quarter),
            nn.GELU(),
            nn.Conv2d(quarter, MASK_WIDTH, 2, stride=2),
            LayerNorm2d(MASK_WIDTH),
            nn.GELU(),
            nn.Conv2d(MASK_WIDTH, width, 1),
        )
        self.no_mask_embed = nn.Embedding(1, width)

    def points(self, points: Tensor, labels: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Return tokens (K, P+1, width) of clicks and the score bias (K, P+1) that hides padding.

        points: (K, P, 2) pixels of a side × side image, P ≥ 1; labels: (K, P), -1 is padding.
        The published encoder ends every list of clicks with one padding token, and an empty list with two:
        those stay visible, any further padding is hidden.
        """
        blank = torch.full_like(labels[:, :1], -1)
        marks = torch.cat([labels, blank], 1)
        real = marks >= 0
        kinds = torch.cat([e.weight for e in (self.not_a_point_embed, *self.point_embeddings)])
        places = torch.cat([points, torch.zeros_like(points[:, :1])], 1)
        encoded = self.pe_layer((places + 0.5) / side)
        tokens = torch.where(real[..., None], encoded, 0.0) + F.embedding(marks + 1, kinds)
        none = ~real.any(1, keepdim=True)
        shown = torch.cat([real[:, :1] | none, real[:, 1:-1], blank < 0], 1)
        return tokens, torch.where(shown, 0.0, HIDDEN)

    def dense(self, mask: Tensor, given: Tensor) -> Tensor:
        """Map mask logits (K, 1, 4h, 4w) to (K, width, h, w); where not ``given`` (K,) the learned blank."""
        blank = self.no_mask_embed.weight[:, :, None, None]
        encoded = self.mask_downscaling(mask.clamp(-MASK_LIMIT, MASK_LIMIT))
        return torch.where(given[:, None, None, None], encoded, blank)

    def grid(self, height: int, width: int) -> Tensor:
        """Return the positions (1, height·width, C) of the feature grid's cells."""
        like = self.pe_layer.positional_encoding_gaussian_matrix
        y = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) / height
        x = (torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / width
        unit = torch.stack([x[None].expand(height, -1), y[:, None].expand(-1, width)], -1)
        out: Tensor = self.pe_layer(unit.flatten(0, 1))
        return out[None]
