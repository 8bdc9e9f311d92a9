"""The four graphs of SAM2: inputs, outputs and example tensors of each.

K objects; F frames, F being K or 1 (one frame that all objects share); P points; M memory slots; L pointer
slots. C = width, m = memory_width, features h × w = S/16 × S/16. float32 unless said.
"""

import torch
from torch import Tensor, nn

from samotion.export.networks.sam2.sam2_model import EMPTY_TIME, Sam2
from samotion.export.networks.sam2.sam2_params import Sam2Params
from samotion.export.networks.spec import GraphSpec


class MaskEncoderGraph(nn.Module):
    """image (B, 3, S, S), ImageNet-normalised → high_0, high_1, features (see Sam2.encode)."""

    def __init__(self, model: Sam2) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode frames, once each for all objects and passes."""
        return self.model.encode(image)


class MaskDecoderGraph(nn.Module):
    """Prompts on (conditioned) features → mask (K, 4h, 4w) logits, iou, object_score (K,), pointer (K, C).

    features (F, C, h, w); high_0 (F, C/8, 4h, 4w); high_1 (F, C/4, 2h, 2w), these from mask_encoder.
    points (K, P, 2) pixels of the S × S image, P ≥ 1, with labels (K, P) int64: 1 click, 0 background click,
    -1 padding (all padding: no click, as on tracked frames). mask_prompt (K, 1, 4h, 4w) logits of an earlier
    answer where has_mask_prompt (K,) bool. memoryless (K,) bool: the features have not read any memory.
    """

    def __init__(self, model: Sam2) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        features: Tensor,
        high_0: Tensor,
        high_1: Tensor,
        points: Tensor,
        labels: Tensor,
        mask_prompt: Tensor,
        has_mask_prompt: Tensor,
        memoryless: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Answer K prompts with one mask each."""
        found = self.model.decode(features, high_0, high_1, points, labels, mask_prompt, has_mask_prompt, memoryless)
        mask, iou, pointer = self.model.select(found, labels)
        return mask, iou, found.object_score, pointer


class MemoryEncoderGraph(nn.Module):
    """features (F, C, h, w) as mask_encoder gave them, mask (K, 4h, 4w) logits → memory (K, m, h, w).

    clicked (K,) bool: the frame got clicks, so its mask enters as 0 and 1. object_score (K,) logit.
    """

    def __init__(self, model: Sam2) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, mask: Tensor, clicked: Tensor, object_score: Tensor) -> Tensor:
        """Encode K masks of a frame."""
        return self.model.remember(features, mask, clicked, object_score)


class MemoryAttentionGraph(nn.Module):
    """features (F, C, h, w) of a tracked frame → conditioned (K, C, h, w).

    memory (K, M, m, h, w) with memory_time (K, M) int64: 0 a clicked frame, n ≥ 1 for n frames back, -1 an empty
    slot. pointers (K, L, C) with pointer_time (K, L): frames back, signed in 2.1; -1e4 or less an empty slot.
    pointer_horizon (): min(frames of the clip, 16) − 1, at least 1. Both times are ignored by 2.0 except for
    empty slots. What an empty slot holds must be finite and has no influence; M, L ≥ 1.
    """

    def __init__(self, model: Sam2) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        features: Tensor,
        memory: Tensor,
        memory_time: Tensor,
        pointers: Tensor,
        pointer_time: Tensor,
        pointer_horizon: Tensor,
    ) -> Tensor:
        """Let features read the memory."""
        return self.model.condition(features, memory, memory_time, pointers, pointer_time, pointer_horizon)


def encoder_inputs(params: Sam2Params, frames: int) -> dict[str, Tensor]:
    """Return random inputs of mask_encoder."""
    return {"image": torch.randn(frames, 3, params.image_size, params.image_size)}


def decoder_inputs(params: Sam2Params, objects: int, frames: int, points: int) -> dict[str, Tensor]:
    """Return random inputs of mask_decoder: the first object has one click, the others have ``points``."""
    side, width = params.grid, params.width
    labels = torch.randint(0, 2, (objects, points))
    labels[0, 1:] = -1
    return {
        "features": torch.randn(frames, width, side, side),
        "high_0": torch.randn(frames, width // 8, 4 * side, 4 * side),
        "high_1": torch.randn(frames, width // 4, 2 * side, 2 * side),
        "points": torch.rand(objects, points, 2) * params.image_size,
        "labels": labels,
        "mask_prompt": torch.randn(objects, 1, 4 * side, 4 * side),
        "has_mask_prompt": torch.arange(objects) % 2 == 1,
        "memoryless": torch.arange(objects) % 3 != 1,
    }


def memory_encoder_inputs(params: Sam2Params, objects: int, frames: int) -> dict[str, Tensor]:
    """Return random inputs of memory_encoder: objects are clicked and absent alternately."""
    side = params.grid
    return {
        "features": torch.randn(frames, params.width, side, side),
        "mask": 4 * torch.randn(objects, 4 * side, 4 * side),
        "clicked": torch.arange(objects) % 2 == 0,
        "object_score": torch.where(torch.arange(objects) % 3 == 1, -3.0, 3.0),
    }


def memory_attention_inputs(
    params: Sam2Params, objects: int, frames: int, slots: int, pointers: int
) -> dict[str, Tensor]:
    """Return random inputs of memory_attention; the last object's last slots are empty if it has others."""
    side = params.grid
    memory_time = (torch.arange(slots) % params.memory_frames).repeat(objects, 1)
    pointer_time = torch.arange(1.0, pointers + 1).repeat(objects, 1)
    memory_time[-1, max(1, slots - 1) :] = -1
    pointer_time[-1, max(1, pointers - 1) :] = EMPTY_TIME
    return {
        "features": torch.randn(frames, params.width, side, side),
        "memory": torch.randn(objects, slots, params.memory_width, side, side),
        "memory_time": memory_time,
        "pointers": torch.randn(objects, pointers, params.width),
        "pointer_time": pointer_time,
        "pointer_horizon": torch.tensor(15.0),
    }


def graphs(model: Sam2) -> list[GraphSpec]:
    """Return the graphs to export, with examples and inputs of other counts to check them on."""
    params = model.params
    frames = {0: "F"}
    objects = {0: "K"}
    return [
        GraphSpec(
            "mask_encoder",
            MaskEncoderGraph(model),
            encoder_inputs(params, 2),
            {"image": {0: "B"}},
            ("high_0", "high_1", "features"),
            encoder_inputs(params, 1),
        ),
        GraphSpec(
            "mask_decoder",
            MaskDecoderGraph(model),
            decoder_inputs(params, 3, 2, 4),
            {
                "features": frames,
                "high_0": frames,
                "high_1": frames,
                "points": {0: "K", 1: "P"},
                "labels": {0: "K", 1: "P"},
                "mask_prompt": objects,
                "has_mask_prompt": objects,
                "memoryless": objects,
            },
            ("mask", "iou", "object_score", "pointer"),
            decoder_inputs(params, 5, 1, 2),
        ),
        GraphSpec(
            "memory_encoder",
            MemoryEncoderGraph(model),
            memory_encoder_inputs(params, 3, 2),
            {"features": frames, "mask": objects, "clicked": objects, "object_score": objects},
            ("memory",),
            memory_encoder_inputs(params, 4, 1),
        ),
        GraphSpec(
            "memory_attention",
            MemoryAttentionGraph(model),
            memory_attention_inputs(params, 3, 2, 4, 5),
            {
                "features": frames,
                "memory": {0: "K", 1: "M"},
                "memory_time": {0: "K", 1: "M"},
                "pointers": {0: "K", 1: "L"},
                "pointer_time": {0: "K", 1: "L"},
            },
            ("conditioned",),
            memory_attention_inputs(params, 2, 1, 2, 3),
        ),
    ]
