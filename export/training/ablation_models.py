"""The motion network without one of its parts: the rows of the paper's ablation."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from samotion.export.networks.motion.motion_blocks import SpaceTimeLayer
from samotion.export.networks.motion.motion_network import Decoder, MotionNetwork, MotionParams


class Blind(MotionNetwork):
    """Reads zeros in place of some of the encoder's channels."""

    seen: Tensor

    def __init__(self, params: MotionParams, unseen: slice) -> None:
        super().__init__(params)
        seen = torch.ones(params.channels)
        seen[unseen] = 0
        self.register_buffer("seen", seen, persistent=False)

    def augment(
        self,
        xy: Tensor,
        visible: Tensor,
        visibility: Tensor,
        confidence: Tensor,
        depth: Tensor,
        deviations: Tensor | None = None,
    ) -> Tensor:
        """See ``MotionNetwork.augment``."""
        return super().augment(xy, visible, visibility, confidence, depth, deviations) * self.seen


class WithoutSemantics(MotionNetwork):
    """Reads zeros in place of DINOv2's features."""

    def classify(self, channels: Tensor, visible: Tensor, semantics: Tensor) -> Tensor:
        """See ``MotionNetwork.classify``."""
        return super().classify(channels, visible, torch.zeros_like(semantics))


class TimeLayer(SpaceTimeLayer):
    """An ST-ATT layer that attends along time only: a track does not see the others before the decoder."""

    def forward(self, x: Tensor, hidden: Tensor, memory: Tensor) -> Tensor:
        """See ``SpaceTimeLayer.forward``."""
        x = self.norm1(x + self.drop(self.self_attn(x, x, hidden)))
        if self.crossed:
            x = self.norm2(x + self.drop(self.multihead_attn(x, memory)))
        x = x + self.drop(self.linear2(self.linear1(x).relu()))
        out: Tensor = (self.norm3 if self.crossed else self.norm2)(x)
        return out


class JointDecoder(Decoder):
    """Motion and semantics joined before all attention, where MSDE keeps attention to motion."""

    def __init__(self, params: MotionParams) -> None:
        super().__init__(replace(params, semantics=0))
        self.embedding.embedding = nn.Linear(params.width + params.semantics, params.embedding)

    def forward(self, motion: Tensor, semantics: Tensor) -> Tensor:
        """See ``Decoder.forward``."""
        return super().forward(torch.cat((motion, semantics), dim=-1), semantics[:, :0])


def without_attention_across(params: MotionParams) -> MotionNetwork:
    """Return the network whose encoder attends along time only."""
    network = MotionNetwork(params)
    stacks = network.joint_encoder.transformer_model
    for stack, crossed in ((stacks.encoder, False), (stacks.decoder, True)):
        stack.layers = nn.ModuleList(TimeLayer(params, crossed) for _ in stack.layers)
    return network


def without_decoupling(params: MotionParams) -> MotionNetwork:
    """Return the network whose decoder attends to motion and semantics alike."""
    network = MotionNetwork(params)
    network.decoder = JointDecoder(params)
    return network


def _positions(params: MotionParams) -> int:
    """Return how many of the first channels hold xy and Δxy; d and Δd follow."""
    return params.channels - params.deviations - 4


# By the paper's names; "tracks" leaves depth, visibility and confidence along each track.
WITHOUT: Mapping[str, Callable[[MotionParams], MotionNetwork]] = {
    "nothing": MotionNetwork,
    "tracks": lambda params: Blind(params, slice(0, _positions(params))),
    "MSDE": without_decoupling,
    "DINO": WithoutSemantics,
    "ST-ATT": without_attention_across,
    "PE": lambda params: MotionNetwork(replace(params, octaves=0)),
    "depth": lambda params: Blind(params, slice(_positions(params), _positions(params) + 2)),
}
