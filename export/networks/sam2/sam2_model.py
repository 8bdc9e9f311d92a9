"""SAM2 for video: the parts joined, as four steps that a tracker calls."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samotion.export.networks.sam2.layers import HIDDEN, MLP, spread
from samotion.export.networks.sam2.mask_decoder import Candidates, MaskDecoder, choose
from samotion.export.networks.sam2.memory import Memory, MemoryAttention, MemoryEncoder
from samotion.export.networks.sam2.neck import ImageEncoder
from samotion.export.networks.sam2.positions import sine_grid, sine_time
from samotion.export.networks.sam2.prompt_encoder import PromptEncoder, discs
from samotion.export.networks.sam2.sam2_params import Sam2Params

# Logit of every cell where the object is absent; mask probabilities enter the memory as 20·p − 10 (published).
ABSENT = -1024.0
MEMORY_GAIN = 20.0
MEMORY_OFFSET = -10.0
# A pointer whose time is this or less fills an empty slot.
EMPTY_TIME = -1.0e4


class Sam2(nn.Module):
    """SAM2; keys of the state dict are the published ones.

    K objects, F frames, F being K or 1 (one frame for all objects); C = width, m = memory_width; features are
    h × w cells, masks 4h × 4w.
    """

    def __init__(self, params: Sam2Params) -> None:
        super().__init__()
        self.params = params
        width, memory_width = params.width, params.memory_width
        self.image_encoder = ImageEncoder(params)
        self.memory_attention = MemoryAttention(params)
        self.memory_encoder = MemoryEncoder(params)
        self.sam_prompt_encoder = PromptEncoder(width)
        self.sam_mask_decoder = MaskDecoder(params)
        self.obj_ptr_proj = MLP([width, width, width, width])
        self.maskmem_tpos_enc = _small(params.memory_frames, 1, 1, memory_width)
        self.no_mem_embed = _small(1, 1, width)
        self.no_obj_ptr = _small(1, width)
        # Only there because the published weights hold them: video prompted by clicks never uses them.
        self.no_mem_pos_enc = _small(1, 1, width)
        self.mask_downsample = nn.Conv2d(1, 1, 4, stride=4)
        self.no_mem_pos_enc.requires_grad_(False)
        self.mask_downsample.requires_grad_(False)
        self.obj_ptr_tpos_proj = nn.Linear(width, memory_width) if params.signed_pointers else None
        self.no_obj_embed_spatial = _small(1, memory_width) if params.absent_memory else None

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map images (B, 3, S, S) to high_0 (B, C/8, 4h, 4w), high_1 (B, C/4, 2h, 2w), features (B, C, h, w)."""
        finest, fine, features = self.image_encoder(image)
        return self.sam_mask_decoder.conv_s0(finest), self.sam_mask_decoder.conv_s1(fine), features

    def decode(
        self,
        features: Tensor,
        high_0: Tensor,
        high_1: Tensor,
        points: Tensor,
        labels: Tensor,
        mask_prompt: Tensor,
        has_mask_prompt: Tensor,
        memoryless: Tensor,
    ) -> Candidates:
        """Return the candidate masks of K prompts (see GRAPHS in graphs.py for the inputs)."""
        height, width = features.shape[2:]
        tokens, bias = self.sam_prompt_encoder.points(points, labels, 16 * height)
        if self.params.click_radius:
            drawn = discs(points, labels, 4 * width, 4.0, self.params.click_radius)
            mask_prompt = torch.where(has_mask_prompt[:, None, None, None], mask_prompt, 0.0) + drawn
            has_mask_prompt = has_mask_prompt | (labels >= 0).any(1)
        dense = self.sam_prompt_encoder.dense(mask_prompt, has_mask_prompt)
        blank = torch.where(memoryless[:, None, None], self.no_mem_embed, 0.0).transpose(1, 2)[..., None]
        places = self.sam_prompt_encoder.grid(height, width)
        found: Candidates = self.sam_mask_decoder(
            spread(features, points) + blank + dense,
            places,
            spread(high_0, points),
            spread(high_1, points),
            tokens,
            bias,
        )
        return found

    def select(self, found: Candidates, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the answer's mask (K, 4h, 4w), iou (K,) and pointer (K, C); absent objects are blanked."""
        several = (labels >= 0).long().sum(1) <= 1
        mask, iou, token = choose(found, several)
        there = found.object_score > 0
        mask = torch.where(there[:, None, None], mask, ABSENT)
        pointer = torch.where(there[:, None], self.obj_ptr_proj(token), self.no_obj_ptr)
        return mask, iou, pointer

    def remember(self, features: Tensor, mask: Tensor, clicked: Tensor, object_score: Tensor) -> Tensor:
        """Return the spatial memory (K, m, h, w) of frames with masks (K, 4h, 4w) as logits."""
        scale = self.params.mask_scale
        mask = mask[:, None]
        if scale > 1:
            mask = F.interpolate(mask, scale_factor=float(scale), mode="bilinear", align_corners=False)
        hard = (mask > 0).to(mask.dtype)
        mask = torch.where(clicked[:, None, None, None], hard, torch.sigmoid(mask))
        memory: Tensor = self.memory_encoder(features, MEMORY_GAIN * mask + MEMORY_OFFSET)
        if self.no_obj_embed_spatial is not None:
            absent = (object_score <= 0)[:, None, None, None]
            memory = memory + torch.where(absent, self.no_obj_embed_spatial[..., None, None], 0.0)
        return memory

    def condition(
        self,
        features: Tensor,
        memory: Tensor,
        memory_time: Tensor,
        pointers: Tensor,
        pointer_time: Tensor,
        pointer_horizon: Tensor,
    ) -> Tensor:
        """Return features (K, C, h, w) that have read the memory (inputs as in graphs.py)."""
        height, width = features.shape[2:]
        places = sine_grid(height, width, self.params.width, features)
        bank = self._bank(memory, memory_time, pointers, pointer_time, pointer_horizon)
        out: Tensor = self.memory_attention(features, places, bank)
        return out

    def _bank(
        self, memory: Tensor, memory_time: Tensor, pointers: Tensor, pointer_time: Tensor, horizon: Tensor
    ) -> Memory:
        """Join slots and pointers into the keys that a frame attends to."""
        height, width = memory.shape[3:]
        maps = memory.flatten(3).transpose(2, 3)
        # One vector a frame back; the last one is for clicked frames, however far.
        row = torch.where(memory_time > 0, memory_time - 1, self.params.memory_frames - 1)
        moment = F.embedding(row, self.maskmem_tpos_enc[:, 0, 0])[:, :, None]
        placed = maps + sine_grid(height, width, self.params.memory_width, memory) + moment

        pieces = self.params.width // self.params.memory_width
        tokens = torch.unflatten(pointers, 2, (pieces, -1)).flatten(1, 2)
        there = pointer_time > EMPTY_TIME
        placed_tokens = tokens
        if self.obj_ptr_tpos_proj is not None:
            wave = sine_time(torch.where(there, pointer_time, 0.0) / horizon, self.params.width)
            placed_tokens = tokens + self.obj_ptr_tpos_proj(wave).repeat_interleave(pieces, 1)
        seen = torch.cat(
            [
                (memory_time >= 0)[:, :, None].expand(-1, -1, height * width).flatten(1),
                there[:, :, None].expand(-1, -1, pieces).flatten(1),
            ],
            1,
        )
        bias = torch.where(seen, 0.0, HIDDEN)[:, None, None]
        return Memory(maps, placed, tokens, placed_tokens, bias)


def _small(*shape: int) -> nn.Parameter:
    return nn.Parameter(0.02 * torch.randn(*shape))
