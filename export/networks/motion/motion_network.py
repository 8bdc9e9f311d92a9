"""The motion network: ST-ATT encoder over track and time, MSDE decoder over tracks (CVPR 2025).

Layout, sizes and oddities are those of the published ``moseg.pth``; state-dict keys are its keys.
N tracks, T frames of H×W pixels, C semantic channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from samotion.export.networks.motion.motion_blocks import FirstBlock, MotionParams, SecondBlock, SpaceTimeLayer
from samotion.export.networks.spec import GraphSpec
from samotion.runtime.ops.global_motion import CHANNELS, GAPS

__all__ = ["NANO", "OFFICIAL", "MotionGraph", "MotionNetwork", "MotionParams", "example", "graphs"]

OFFICIAL = MotionParams()
NANO = MotionParams(
    heads=2,
    first_layers=1,
    second_layers=1,
    embedding=64,
    decoder_heads=4,
    decoder_feed_forward=128,
    decoder_blocks=2,
    semantics=96,
    dropout=0.0,  # trained for minutes, it does not overfit
    depth_as_trained=False,
    deviations=len(GAPS) * CHANNELS,
)


def encode_octaves(values: Tensor, octaves: int) -> Tensor:
    """Append sin and cos of ``values`` (…, D) at 1, 2, 4, … times their size → (…, D + 2·octaves·D)."""
    scales = 2.0 ** torch.arange(octaves, dtype=values.dtype, device=values.device)
    scaled = values.unsqueeze(-2) * scales.unsqueeze(-1)  # (…, octaves, D)
    waves = torch.stack((scaled.sin(), scaled.cos()), dim=-2)  # (…, octaves, 2, D)
    return torch.cat((values, waves.flatten(-3)), dim=-1)


def disparity_cells(xy: Tensor, height: int, width: int, as_trained: bool) -> Tensor:
    """Return the flat pixel index (N, T) int64 at which each track's disparity is read; xy in [-1, 1]."""
    x, y = xy.unbind(-1)
    if as_trained:
        # The published weights were trained with [-1, 1] coordinates taken for [0, 1] ones: truncated
        # toward zero, flattened, and only then clamped. A track reads the depth of another place.
        cells = (y * height).to(torch.int64) * width + (x * width).to(torch.int64)
        return cells.clamp(0, height * width - 1)
    column = ((x + 1) * (width / 2)).to(torch.int64).clamp(0, width - 1)
    row = ((y + 1) * (height / 2)).to(torch.int64).clamp(0, height - 1)
    return row * width + column


def forward_difference(values: Tensor, visible: Tensor) -> Tensor:
    """Next minus current of values (N, T, D), 0 in the last frame.

    As trained it is 0 where the *next* frame is hidden, whether or not the current one is.
    """
    step = (values[:, 1:] - values[:, :-1]) * visible[:, 1:, None].to(values.dtype)
    return torch.cat((step, torch.zeros_like(values[:, :1])), dim=1)


class Stack(nn.Module):
    """ST-ATT layers and the norm that ends them."""

    def __init__(self, params: MotionParams, layers: int, crossed: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SpaceTimeLayer(params, crossed) for _ in range(layers))
        self.norm = nn.LayerNorm(params.width)

    def forward(self, x: Tensor, hidden: Tensor, memory: Tensor) -> Tensor:
        """x, memory (N, T, C), hidden (N, T) bool → (N, T, C)."""
        for layer in self.layers:
            x = layer(x, hidden, memory)
        out: Tensor = self.norm(x)
        return out


class Stacks(nn.Module):
    """The two stacks: the second starts from the same tokens and attends to the first."""

    def __init__(self, params: MotionParams) -> None:
        super().__init__()
        self.encoder = Stack(params, params.first_layers, crossed=False)
        self.decoder = Stack(params, params.second_layers, crossed=True)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """Tokens (N, T, C), hidden (N, T) bool → (N, T, C)."""
        out: Tensor = self.decoder(tokens, hidden, self.encoder(tokens, hidden, tokens))
        return out


class TrackEncoder(nn.Module):
    """From 88 channels a track and frame to one vector a track: the maximum over time."""

    def __init__(self, params: MotionParams) -> None:
        super().__init__()
        self.input_fc1 = nn.Conv2d(params.channels, params.width, 1)
        self.fc2 = nn.Conv2d(params.width, params.width, 1)
        self.transformer_model = Stacks(params)

    def forward(self, channels: Tensor, visible: Tensor) -> Tensor:
        """Channels (N, T, 88), visible (N, T) bool → (N, width)."""
        x = functional.linear(channels, self.input_fc1.weight.flatten(1), self.input_fc1.bias).relu()
        x = functional.linear(x, self.fc2.weight.flatten(1), self.fc2.bias).relu()
        # A track hidden throughout keeps its frame 0, or its attention would have no key left.
        never = ~visible.any(dim=1, keepdim=True)
        hidden = ~torch.cat((visible[:, :1] | never, visible[:, 1:]), dim=1)
        # As trained, the maximum takes hidden frames in.
        out: Tensor = self.transformer_model(x, hidden).amax(dim=1)
        return out


class Embedding(nn.Module):
    """One linear layer, a level deeper than it need be because the checkpoint's keys say so."""

    def __init__(self, params: MotionParams) -> None:
        super().__init__()
        self.embedding = nn.Linear(params.width, params.embedding)


class Decoder(nn.Module):
    """MSDE: which tracks move, from all tracks' motion and, apart from it, their semantics."""

    def __init__(self, params: MotionParams) -> None:
        super().__init__()
        self.embedding = Embedding(params)
        self.encoders = nn.ModuleList(FirstBlock(params) for _ in range(params.decoder_blocks))
        self.decoders = nn.ModuleList(SecondBlock(params) for _ in range(params.decoder_blocks))
        self.output_layer = nn.Linear(params.embedding, 1)

    def forward(self, motion: Tensor, semantics: Tensor) -> Tensor:
        """Motion (N, width), semantics (N, C) → logit (N,)."""
        start = self.embedding.embedding(motion.unsqueeze(0))
        memory = start
        for block in self.encoders:
            memory = block(memory, semantics.unsqueeze(0))
        x = start  # the second half starts again from the embedding
        for block in self.decoders:
            x = block(x, memory)
        logits: Tensor = self.output_layer(x)
        return logits.flatten()


class MotionNetwork(nn.Module):
    """The motion network; ``forward`` gives logits, ``MotionGraph`` probabilities."""

    def __init__(self, params: MotionParams = OFFICIAL) -> None:
        super().__init__()
        self.params = params
        self.joint_encoder = TrackEncoder(params)
        self.decoder = Decoder(params)

    def look_up(self, xy: Tensor, disparity: Tensor) -> Tensor:
        """Return each track's disparity (N, T) from maps (T, H, W)."""
        frames, height, width = disparity.shape
        cells = disparity_cells(xy, height, width, self.params.depth_as_trained)
        return disparity.reshape(frames, height * width).gather(1, cells.transpose(0, 1)).transpose(0, 1)

    def augment(
        self,
        xy: Tensor,
        visible: Tensor,
        visibility: Tensor,
        confidence: Tensor,
        depth: Tensor,
        deviations: Tensor | None = None,
    ) -> Tensor:
        """Return the encoder's channels (N, T, 88 + D); depth (N, T) from ``look_up``, others as in ``forward``."""
        depth = depth.unsqueeze(-1)
        return torch.cat(
            (
                encode_octaves(xy, self.params.octaves),
                encode_octaves(forward_difference(xy, visible), self.params.octaves),
                depth,
                forward_difference(depth, visible),
                visibility.unsqueeze(-1),
                confidence.unsqueeze(-1),
                *(() if deviations is None else (deviations,)),
            ),
            dim=-1,
        )

    def classify(self, channels: Tensor, visible: Tensor, semantics: Tensor) -> Tensor:
        """Return logits (N,) from channels (N, T, 88), visible (N, T) bool and semantics (N, C)."""
        logits: Tensor = self.decoder(self.joint_encoder(channels, visible), semantics)
        return logits

    def forward(
        self,
        xy: Tensor,
        visible: Tensor,
        visibility: Tensor,
        confidence: Tensor,
        disparity: Tensor,
        semantics: Tensor,
        deviations: Tensor | None = None,
    ) -> Tensor:
        """Return logits (N,) that each track moves by itself.

        xy (N, T, 2) = pixel / (W, H) · 2 - 1, clamped to [-1, 1]; visible (N, T) bool; visibility,
        confidence (N, T) in [0, 1]; disparity (T, H, W) in [0, 1]; semantics (N, C); deviations (N, T, D), of
        networks that take them (see MotionParams). All float32 but visible.
        """
        depth = self.look_up(xy, disparity)
        channels = self.augment(xy, visible, visibility, confidence, depth, deviations)
        return self.classify(channels, visible, semantics)


class MotionGraph(nn.Module):
    """Graph ``motion``: the network's inputs → probability (N,)."""

    def __init__(self, network: MotionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        xy: Tensor,
        visible: Tensor,
        visibility: Tensor,
        confidence: Tensor,
        disparity: Tensor,
        semantics: Tensor,
        deviations: Tensor | None = None,
    ) -> Tensor:
        """Shapes as in ``MotionNetwork.forward`` → probability (N,) in [0, 1]."""
        logits: Tensor = self.network(xy, visible, visibility, confidence, disparity, semantics, deviations)
        return logits.sigmoid()


def example(
    params: MotionParams, tracks: int = 7, frames: int = 5, size: tuple[int, int] = (12, 16), seed: int = 0
) -> dict[str, Tensor]:
    """Return random inputs of the graph, of the ranges that the pipeline gives; track 0 is hidden throughout."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    visible = uniform(tracks, frames) > 0.3
    visible[0] = False
    further = {"deviations": torch.randn((tracks, frames, params.deviations), generator=generator)}
    return {
        "xy": uniform(tracks, frames, 2) * 2 - 1,
        "visible": visible,
        "visibility": uniform(tracks, frames),
        "confidence": uniform(tracks, frames),
        "disparity": uniform(frames, *size),
        "semantics": torch.randn((tracks, params.semantics), generator=generator),
        **(further if params.deviations else {}),
    }


def graphs(network: MotionNetwork) -> list[GraphSpec]:
    """Return the graph ``motion``: tracks, frames and the disparity's size are free."""
    tracks = {0: "N", 1: "T"}
    dynamic = dict.fromkeys(("xy", "visible", "visibility", "confidence"), tracks)
    dynamic |= {"disparity": {0: "T", 1: "H", 2: "W"}, "semantics": {0: "N"}}
    if network.params.deviations:
        dynamic["deviations"] = tracks
    inputs, unseen = example(network.params), example(network.params, 19, 11, (9, 21), seed=1)
    return [GraphSpec("motion", MotionGraph(network), inputs, dynamic, ("probability",), unseen)]
