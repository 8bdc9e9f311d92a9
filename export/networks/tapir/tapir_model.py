"""The tracker whole, and its three graphs."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samotion.export.networks.tapir.feature_network import ExtraConvs, ResNet, unit
from samotion.export.networks.tapir.tapir_params import OFFICIAL, TapirParams
from samotion.export.networks.tapir.track_head import CostVolume, Mixer, looked_up, sample, similarities, soft_argmax


@dataclass(frozen=True)
class Tracking:
    """One guess: xy (N, T, 2) pixels of S×S, occlusion and expected_distance (N, T) logits."""

    xy: Tensor
    occlusion: Tensor
    expected_distance: Tensor


class Tapir(nn.Module):
    """BootsTAPIR at any size; the state dict has the published keys."""

    def __init__(self, params: TapirParams = OFFICIAL) -> None:
        super().__init__()
        self.params = params
        self.resnet_torch = ResNet(params)
        self.torch_cost_volume_track_mods = CostVolume(params)
        self.torch_pips_mixer = Mixer(params)
        self.extra_convs = ExtraConvs(params)

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the grids low (T, S/8, S/8, C) and high (T, S/4, S/4, C2), unit length in each cell.

        frames: (T, 3, S, S) float32 in [-1, 1].
        """
        low, high = self.resnet_torch(frames)
        return unit(self.extra_convs(low.permute(0, 2, 3, 1))), unit(high.permute(0, 2, 3, 1))

    def queries(self, low: Tensor, high: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return query_low (N, C) and query_high (N, C2) at points (N, 3): whole t, then y, x in pixels."""
        side = self.params.resolution
        return sample(low, points, side), sample(high, points, side)

    def first_guess(self, cost: Tensor, points: Tensor) -> tuple[Tracking, Tensor]:
        """Return the guess of the cost volume (N, T, h, w), and its heat logits of the same shape.

        A track passes exactly through its own point; a point whose t is no frame here (say -1) binds nothing.
        """
        frames, height, width = cost.shape[1:]
        heat, out = self.torch_cost_volume_track_mods(cost.reshape(-1, height, width))
        xy = soft_argmax(heat, self.params.temperature) * (self.params.resolution / height)
        own = points[:, :1] == torch.arange(frames, device=cost.device)
        xy = torch.where(own.unsqueeze(-1), points[:, 1:].flip(-1).unsqueeze(1), xy.reshape(-1, frames, 2))
        out = out.reshape(-1, frames, 2)
        return Tracking(xy, out[..., 0], out[..., 1]), heat.reshape(-1, frames, height, width)

    def near(self, guess: Tracking, query: Tensor, grids: tuple[Tensor, Tensor], cost: Tensor | None) -> list[Tensor]:
        """Return the similarities (N, T, 49) around a guess with high, low and halved low features.

        query: (N, T, C2 + C), high features first. grids: high and low (T, h, w, C). cost: (N, T, h, w) comparisons
        of the query with all of low, if they are there.
        """
        high, low = grids
        fine, coarse = torch.split(query, [self.params.high_channels, self.params.low_channels], dim=-1)
        if cost is None:
            # Comparing with all of low is one matrix product a frame, faster than gathering from it; and comparing
            # with the mean of four cells is the mean of four comparisons.
            scores = (coarse.transpose(0, 1) @ low.flatten(1, 2).transpose(1, 2)).transpose(0, 1)
            cost = torch.unflatten(scores, 2, low.shape[1:3])
        halved = F.avg_pool2d(cost, 2)
        return [
            similarities(high, self.cells(guess, high.shape[1]), fine),
            looked_up(cost, self.cells(guess, cost.shape[2])),
            looked_up(halved, self.cells(guess, halved.shape[2])),
        ]

    def cells(self, guess: Tracking, side: int) -> Tensor:
        """Return a guess (N, T, 2) in cells of a map with ``side`` cells a side, 0 being the first one's centre."""
        return guess.xy * (side / self.params.resolution) - 0.5

    def refine(self, guess: Tracking, query: Tensor, near: list[Tensor]) -> tuple[Tracking, Tensor]:
        """Return a better guess and the queries (N, T, C2 + C) adapted to each frame.

        query: (N, T or 1, C2 + C), high features first. near: (N, T, 49) similarities around the guess.
        """
        adapted = query.expand(-1, guess.xy.shape[1], -1)
        state = torch.stack((guess.occlusion, guess.expected_distance), dim=-1)
        # The position itself is hidden from the mixer, as trained: two zeros stand in its place.
        out = self.torch_pips_mixer(torch.cat((torch.zeros_like(guess.xy), state, adapted, *near), dim=-1))
        move = Tracking(out[..., :2], out[..., 2], out[..., 3])
        better = Tracking(
            guess.xy + move.xy,
            guess.occlusion + move.occlusion,
            guess.expected_distance + move.expected_distance,
        )
        return better, adapted + out[..., 4:]

    def track(
        self, query_low: Tensor, query_high: Tensor, low: Tensor, high: Tensor, points: Tensor
    ) -> tuple[list[Tracking], Tensor]:
        """Return the first guess and each refinement of it, the last one being the answer, and the heat logits.

        Gradients do not pass from one guess's position to the next.
        """
        cost = (query_low @ low.flatten(0, 2).T).reshape(-1, *low.shape[:3])
        guess, heat = self.first_guess(cost, points)
        grids = (high, low)
        query = torch.cat((query_high, query_low), dim=-1).unsqueeze(1)
        guesses = [guess]
        for step in range(self.params.iterations):
            start = Tracking(guess.xy.detach(), guess.occlusion, guess.expected_distance)
            near = self.near(start, query, grids, None if step else cost)  # refined queries are others
            guess, query = self.refine(start, query, near)
            guesses.append(guess)
        return guesses, heat

    def forward(self, frames: Tensor, points: Tensor) -> list[Tracking]:
        """Track points (N, 3) = (t, y, x) through frames (T, 3, S, S); first guess to last."""
        low, high = self.features(frames)
        return self.track(*self.queries(low, high, points), low, high, points)[0]
