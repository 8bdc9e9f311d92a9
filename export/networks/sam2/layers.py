"""Small parts that several networks of SAM2 share."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Added to the scores of keys that must not be seen: far below any score, and still finite in FP16.
HIDDEN = -3.0e4


class MLP(nn.Module):
    """Linear layers with ReLU (or ``activation``) between them."""

    def __init__(self, widths: list[int], activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, widths[0]) to (…, widths[-1])."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        out: Tensor = last(x)
        return out


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x of the same shape, normalised."""
        x = x - x.mean(1, keepdim=True)
        x = x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class Attention(nn.Module):
    """Multi-head attention with separate projections; keys may have a width of their own.

    width: of queries and output. inner: of the heads together. key_width: of keys and values.
    """

    def __init__(self, width: int, heads: int, inner: int, key_width: int | None = None) -> None:
        super().__init__()
        key_width = width if key_width is None else key_width
        self.heads = heads
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(key_width, inner)
        self.v_proj = nn.Linear(key_width, inner)
        self.out_proj = nn.Linear(inner, width)

    def split(self, x: Tensor) -> Tensor:
        """Separate the heads: (B, N, inner) to (B, heads, N, inner / heads)."""
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend with separated heads and project: (B, heads, N, D) to (B, N, width)."""
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend from q (B, N, width) to k, v (B, L, key_width); bias (B, 1, 1, L) is added to the scores."""
        q, k, v = self.split(self.q_proj(q)), self.split(self.k_proj(k)), self.split(self.v_proj(v))
        return self.attend(q, k, v, bias)


def spread(x: Tensor, like: Tensor) -> Tensor:
    """Give x (F, …) as many rows as ``like`` (K, …), where F is K or 1: one frame serves all its objects.

    An index rather than an expansion: the exported graph then takes either count.
    """
    rows = torch.arange(like.shape[0], device=x.device)
    return x.index_select(0, rows.clamp(max=x.shape[0] - 1))
