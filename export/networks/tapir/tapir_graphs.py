"""The tracker as three ONNX graphs, so that feature grids are made once for all queries."""

import torch
from torch import Tensor, nn

from samotion.export.networks.spec import GraphSpec
from samotion.export.networks.tapir.tapir_model import Tapir


class TrackFeatures(nn.Module):
    """frames ("T", 3, S, S) in [-1, 1] → low ("T", S/8, S/8, C), high ("T", S/4, S/4, C2)."""

    def __init__(self, model: Tapir) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return low, high."""
        return self.model.features(frames)


class TrackQueries(nn.Module):
    """low, high, points ("N", 3) = (t, y, x) in pixels of S×S → query_low ("N", C), query_high ("N", C2)."""

    def __init__(self, model: Tapir) -> None:
        super().__init__()
        self.model = model

    def forward(self, low: Tensor, high: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return query_low, query_high."""
        return self.model.queries(low, high, points)


class TrackHead(nn.Module):
    """Queries, grids and points → xy ("N", "T", 2) pixels of S×S, occlusion, expected_distance ("N", "T") logits.

    A point whose t is no frame of the grids (say -1) does not bind its track.
    """

    def __init__(self, model: Tapir) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, query_low: Tensor, query_high: Tensor, low: Tensor, high: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return xy, occlusion, expected_distance."""
        last = self.model.track(query_low, query_high, low, high, points)[0][-1]
        return last.xy, last.occlusion, last.expected_distance


def inputs_of(model: Tapir, frames: int, count: int) -> dict[str, Tensor]:
    """Return random inputs of all three graphs by name, where the model is."""
    params, place = model.params, next(model.parameters()).device
    random = torch.Generator().manual_seed(frames)
    video = (torch.rand(frames, 3, params.resolution, params.resolution, generator=random) * 2 - 1).to(place)
    points = torch.rand(count, 3, generator=random) * params.resolution
    points[:, 0] = torch.randint(frames, (count,), generator=random).float()
    points = points.to(place)
    with torch.no_grad():
        low, high = model.features(video)
        query_low, query_high = model.queries(low, high, points)
    return {
        "frames": video,
        "points": points,
        "low": low,
        "high": high,
        "query_low": query_low,
        "query_high": query_high,
    }


def graphs(model: Tapir) -> list[GraphSpec]:
    """Return track_features, track_queries and track_head with any number of frames and points."""
    frames, count = {0: "T"}, {0: "N"}
    example, unseen = inputs_of(model, 4, 3), inputs_of(model, 5, 7)

    def spec(name: str, module: nn.Module, dynamic: dict[str, dict[int, str]], outputs: tuple[str, ...]) -> GraphSpec:
        return GraphSpec(
            name=name,
            module=module.eval(),
            inputs={key: example[key] for key in dynamic},
            dynamic=dynamic,
            outputs=outputs,
            unseen={key: unseen[key] for key in dynamic},
        )

    grids = {"low": frames, "high": frames}
    queries = {"query_low": count, "query_high": count}
    points = {"points": count}
    answers = ("xy", "occlusion", "expected_distance")
    return [
        spec("track_features", TrackFeatures(model), {"frames": frames}, ("low", "high")),
        spec("track_queries", TrackQueries(model), {**grids, **points}, ("query_low", "query_high")),
        spec("track_head", TrackHead(model), {**queries, **grids, **points}, answers),
    ]
