"""Mask decoder: tokens and image attend to each other; four masks, their quality and the object's presence."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from samotion.export.networks.sam2.layers import MLP, Attention, LayerNorm2d
from samotion.export.networks.sam2.sam2_params import Sam2Params

# One mask for clear prompts, three for a prompt that could mean a part, an object or a group.
MASKS = 4
STABILITY_DELTA = 0.05
STABILITY_THRESHOLD = 0.98


class Candidates(NamedTuple):
    """masks (K, 4, 4h, 4w) logits; iou (K, 4) in [0, 1]; tokens (K, 4, width); object_score (K,) logit."""

    masks: Tensor
    iou: Tensor
    tokens: Tensor
    object_score: Tensor


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves and to the image, then the image to the tokens."""

    def __init__(self, params: Sam2Params, first: bool) -> None:
        super().__init__()
        width, heads = params.width, params.decoder_heads
        self.first = first
        self.self_attn = Attention(width, heads, width)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = Attention(width, heads, width // 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP([width, params.decoder_feedforward, width])
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = Attention(width, heads, width // 2)

    def forward(
        self, queries: Tensor, image: Tensor, tokens: Tensor, places: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return queries (K, N, C) and image (K, h·w, C) after one exchange; bias (K, 1, 1, N) hides tokens."""
        if self.first:
            # The first block has nothing to add to the tokens yet: no positions, no residual.
            queries = self.self_attn(queries, queries, queries, bias)
        else:
            placed = queries + tokens
            queries = queries + self.self_attn(placed, placed, queries, bias)
        queries = self.norm1(queries)
        queries = self.norm2(queries + self.cross_attn_token_to_image(queries + tokens, image + places, image))
        queries = self.norm3(queries + self.mlp(queries))
        answer = self.cross_attn_image_to_token(image + places, queries + tokens, queries, bias)
        return queries, self.norm4(image + answer)


class TwoWayTransformer(nn.Module):
    """Blocks of exchange and a last look of the tokens at the image."""

    def __init__(self, params: Sam2Params) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(params, i == 0) for i in range(params.decoder_depth))
        self.final_attn_token_to_image = Attention(params.width, params.decoder_heads, params.width // 2)
        self.norm_final_attn = nn.LayerNorm(params.width)

    def forward(self, image: Tensor, places: Tensor, tokens: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (K, N, C) and image (K, h·w, C)."""
        queries = tokens
        for layer in self.layers:
            queries, image = layer(queries, image, tokens, places, bias)
        answer = self.final_attn_token_to_image(queries + tokens, image + places, image)
        return self.norm_final_attn(queries + answer), image


class MaskDecoder(nn.Module):
    """Features and prompt to four candidate masks."""

    def __init__(self, params: Sam2Params) -> None:
        super().__init__()
        width = params.width
        self.transformer = TwoWayTransformer(params)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(MASKS, width)
        self.obj_score_token = nn.Embedding(1, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, stride=2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(width, width // 8, 1)
        self.conv_s1 = nn.Conv2d(width, width // 4, 1)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP([width, width, width, width // 8]) for _ in range(MASKS))
        self.iou_prediction_head = MLP([width, params.iou_width, params.iou_width, MASKS])
        self.pred_obj_score_head = MLP([width, width, width, 1])

    def forward(
        self, features: Tensor, places: Tensor, high_0: Tensor, high_1: Tensor, clicks: Tensor, bias: Tensor
    ) -> Candidates:
        """Decode K prompts.

        features: (K, C, h, w) with the dense prompt added. places: (1, h·w, C). high_0: (K, C/8, 4h, 4w),
        high_1: (K, C/4, 2h, 2w). clicks: (K, N, C) with score bias (K, N).
        """
        height, width = features.shape[2:]
        own = torch.cat([self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own[None].expand(clicks.shape[0], -1, -1), clicks], 1)
        bias = torch.cat([torch.zeros_like(clicks[:, :1, 0]).expand(-1, len(own)), bias], 1)
        answer, image = self.transformer(features.flatten(2).transpose(1, 2), places, tokens, bias[:, None, None])
        enlarge, norm, act, enlarge_more, act_more = self.output_upscaling
        image = torch.unflatten(image.transpose(1, 2), 2, (height, width))
        image = act(norm(enlarge(image) + high_1))
        image = act_more(enlarge_more(image) + high_0)
        mask_tokens = answer[:, 2 : 2 + MASKS]
        weights = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], 1)
        masks = torch.unflatten(weights @ image.flatten(2), 2, image.shape[2:])
        iou = torch.sigmoid(self.iou_prediction_head(answer[:, 1]))
        return Candidates(masks, iou, mask_tokens, self.pred_obj_score_head(answer[:, 0])[:, 0])


def choose(found: Candidates, several: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return one mask (K, 4h, 4w), its iou (K,) and its token (K, C).

    several (K,): take the best of the three by predicted iou. Elsewhere the one mask, or that best of three
    where the one is unstable: few of its cells stay inside when the threshold moves. Its token stays the one's.
    """
    best = found.iou[:, 1:].argmax(1) + 1
    one = found.masks[:, 0]
    inner = (one > STABILITY_DELTA).flatten(1).float().sum(1)
    outer = (one > -STABILITY_DELTA).flatten(1).float().sum(1)
    # An empty mask is stable: 0 ≥ 0.98 · 0.
    unstable = inner < STABILITY_THRESHOLD * outer
    index = torch.where(several | unstable, best, 0)
    token_index = torch.where(several, best, 0)
    mask = _pick(found.masks, index)
    return mask, _pick(found.iou, index), _pick(found.tokens, token_index)


def _pick(x: Tensor, index: Tensor) -> Tensor:
    """Return row index[k] of each x[k]."""
    where = index.reshape(-1, *[1] * (x.ndim - 1)).expand(-1, -1, *x.shape[2:])
    return x.gather(1, where)[:, 0]
