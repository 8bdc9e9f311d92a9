"""The motion network's sizes and blocks: attention, ST-ATT layers, the decoder's two kinds of block."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional

# Far below any attention score and still finite, so that a frame in which every track is hidden
# gives a plain average instead of NaN.
HIDDEN = -1e4


@dataclass(frozen=True)
class MotionParams:
    """Sizes of the network; the defaults are the published ones.

    octaves: frequencies of the NeRF encoding. width, heads, feed_forward, first_layers, second_layers:
    the encoder's two stacks. embedding, decoder_heads, decoder_feed_forward, decoder_blocks: the decoder,
    with so many blocks in each of its halves. semantics: channels of the semantic features.
    depth_as_trained: look disparity up where the published weights do (see ``disparity_cells``); networks
    of our own training look it up under the track. deviations: channels a track and frame of what it does beside
    the camera's motion (0: published, no such input; see samotion.runtime.ops.global_motion).
    """

    octaves: int = 10
    width: int = 16
    heads: int = 4
    feed_forward: int = 64
    first_layers: int = 2
    second_layers: int = 2
    embedding: int = 128
    decoder_heads: int = 8
    decoder_feed_forward: int = 512
    decoder_blocks: int = 4
    semantics: int = 768
    dropout: float = 0.1
    depth_as_trained: bool = True
    deviations: int = 0

    @property
    def channels(self) -> int:
        """Encoder input channels: xy and Δxy encoded, d, Δd, visibility, confidence (88 as published), deviations."""
        return 2 * (2 + 4 * self.octaves) + 4 + self.deviations


class Attention(nn.Module):
    """Multi-head attention with the keys of ``nn.MultiheadAttention``, one head after the other.

    A head at a time bounds the memory of the scores at batch × queries × keys floats. Where also ``in_turn``, the
    items of the batch follow each other: attention across 5000 tracks in 120 frames takes 100 MB a head, not 12 GB.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, memory: Tensor, hidden: Tensor | None = None, in_turn: bool = False) -> Tensor:
        """query (B, L, C), memory (B, S, C), hidden (B, S) bool, keys to leave out → (B, L, C).

        in_turn: one item of the batch after the other, which needs ``hidden``.
        """
        weights = self.in_proj_weight.chunk(3)
        biases = self.in_proj_bias.chunk(3)
        q = functional.linear(query, weights[0], biases[0])
        k = functional.linear(memory, weights[1], biases[1])
        v = functional.linear(memory, weights[2], biases[2])
        bias = None if hidden is None else hidden.to(k.dtype) * HIDDEN
        # Training takes PyTorch's fused kernel: half the time, and no scores kept for the gradient.
        attend = self._fused if self.training else self._in_turn if in_turn else self._by_head
        out: Tensor = self.out_proj(attend(q, k, v, bias))
        return out

    def _in_turn(self, *batch: Tensor | None) -> Tensor:
        """Do as ``_by_head``, one item of the batch after the other: a Scan in the exported graph."""
        if torch.compiler.is_exporting():
            state = torch.zeros(1)  # an operator that carries nothing from item to item is refused
            out: Tensor = scan(lambda carried, item: (carried.clone(), self._by_head(*item)), state, batch)[1]
            return out
        return torch.stack([self._by_head(*item) for item in zip(*batch, strict=True)])

    def _by_head(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """q (…, L, C), k, v (…, S, C), bias (…, S) added to every score → (…, L, C)."""
        size = q.shape[-1] // self.heads
        q = q * size**-0.5
        heads = []
        for qh, kh, vh in zip(*(x.chunk(self.heads, -1) for x in (q, k, v)), strict=True):
            left, right = qh, kh
            if bias is not None:
                # The mask rides along as one more channel of the product: no second pass over the scores.
                left = torch.cat((qh, torch.ones_like(qh[..., :1])), -1)
                right = torch.cat((kh, bias.unsqueeze(-1)), -1)
            scores = torch.matmul(left, right.transpose(-2, -1))
            heads.append(torch.matmul(scores.softmax(-1), vh))
        return torch.cat(heads, dim=-1)

    def _fused(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """Do as ``_by_head``."""
        q, k, v = (x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2) for x in (q, k, v))
        mask = None if bias is None else bias[:, None, None, :]
        return functional.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)


class SpaceTimeLayer(nn.Module):
    """One post-norm ST-ATT layer: along time, then across tracks with the *same* attention weights.

    With ``crossed`` (second stack) it also attends, along time and unmasked, to the first stack's output.
    Norm numbers are those of the checkpoint: 1 after time, 3 (first stack) or 4 (second) after tracks.
    """

    def __init__(self, params: MotionParams, crossed: bool) -> None:
        super().__init__()
        width = params.width
        self.self_attn = Attention(width, params.heads)
        self.linear1 = nn.Linear(width, params.feed_forward)
        self.linear2 = nn.Linear(params.feed_forward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.drop = nn.Dropout(params.dropout)
        if crossed:
            self.multihead_attn = Attention(width, params.heads)
            self.norm4 = nn.LayerNorm(width)
        self.crossed = crossed

    def forward(self, x: Tensor, hidden: Tensor, memory: Tensor) -> Tensor:
        """x, memory (N, T, C), hidden (N, T) bool → (N, T, C); memory is read only where crossed."""
        x = self.norm1(x + self.drop(self.self_attn(x, x, hidden)))
        across = x.transpose(0, 1)
        across = self.self_attn(across, across, hidden.transpose(0, 1), in_turn=True).transpose(0, 1)
        x = (self.norm4 if self.crossed else self.norm3)(x + self.drop(across))
        if self.crossed:
            x = self.norm2(x + self.drop(self.multihead_attn(x, memory)))
        x = x + self.drop(self.linear2(self.linear1(x).relu()))
        out: Tensor = (self.norm3 if self.crossed else self.norm2)(x)
        return out


class FirstBlock(nn.Module):
    """Self-attention on motion only; semantics join in the feed-forward input, after the norm."""

    def __init__(self, params: MotionParams) -> None:
        super().__init__()
        width = params.embedding
        self.attention = Attention(width, params.decoder_heads)
        inner = params.decoder_feed_forward
        self.ffn = nn.Sequential(nn.Linear(width + params.semantics, inner), nn.ReLU(), nn.Linear(inner, width))
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.drop = nn.Dropout(params.dropout)

    def forward(self, x: Tensor, semantics: Tensor) -> Tensor:
        """x (1, N, E), semantics (1, N, C) → (1, N, E)."""
        x = self.norm1(x + self.drop(self.attention(x, x)))
        out: Tensor = self.norm2(x + self.drop(self.ffn(torch.cat((x, semantics), dim=-1))))
        return out


class SecondBlock(nn.Module):
    """Self-attention on motion, then attention to the first half's result."""

    def __init__(self, params: MotionParams) -> None:
        super().__init__()
        width, inner = params.embedding, params.decoder_feed_forward
        self.self_attention = Attention(width, params.decoder_heads)
        self.cross_attention = Attention(width, params.decoder_heads)
        self.ffn = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.drop = nn.Dropout(params.dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x, memory (1, N, E) → (1, N, E)."""
        x = self.norm1(x + self.drop(self.self_attention(x, x)))
        x = self.norm2(x + self.drop(self.cross_attention(x, memory)))
        out: Tensor = self.norm3(x + self.drop(self.ffn(x)))
        return out
