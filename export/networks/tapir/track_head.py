"""The tracker's head: a cost volume gives a first guess in every frame, a mixer along time refines it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samotion.export.networks.tapir.tapir_params import TapirParams

RADIUS = 3  # cells to each side of a guess that the refinement compares with
LANES = 16  # floats in a vector of AVX-512, in two of AVX2
ARGMAX_RADIUS = 5  # cells around the peak that the soft arg-max averages


class CostVolume(nn.Module):
    """Layers that read a map of similarities as a position, an occlusion and an expected distance."""

    def __init__(self, params: TapirParams) -> None:
        super().__init__()
        wide, deep, hidden = params.cost_channels
        self.hid1 = nn.Conv2d(1, wide, 3, padding=1)
        self.hid2 = nn.Conv2d(wide, 1, 3, padding=1)
        self.hid3 = nn.Conv2d(wide, deep, 3, stride=2)
        self.hid4 = nn.Linear(deep, hidden)
        self.occ_out = nn.Linear(hidden, 2)

    def forward(self, cost: Tensor) -> tuple[Tensor, Tensor]:
        """Map similarities (B, h, w) to heat logits (B, h, w) and (B, 2): occlusion, expected distance."""
        heat, deep = self._plainly(cost) if self.training else (self._heat(cost), self._deep(cost))
        # The mean over the map as a pooling: a mean over axes would leave the convolutions' memory layout first.
        deep = F.avg_pool2d(deep, (deep.shape[2], deep.shape[3])).flatten(1)
        return heat, self.occ_out(torch.relu(self.hid4(deep)))

    def _plainly(self, cost: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat logits (B, h, w) and the deep channels (B, D, h/2, w/2)."""
        hidden = torch.relu(self.hid1(cost.unsqueeze(1)))
        return self.hid2(hidden).squeeze(1), torch.relu(self.hid3(F.pad(hidden, (0, 2, 0, 2))))

    def _heat(self, cost: Tensor) -> Tensor:
        """Return the heat logits, with LANES maps side by side as channels, one hidden channel after the other.

        Convolutions from one channel and to one channel would leave most of a processor's vectors empty.
        """
        maps, height, width = cost.shape
        groups = (maps + LANES - 1) // LANES
        x = F.pad(cost, (0, 0, 0, 0, 0, LANES - 1))[: groups * LANES].reshape(-1, LANES, height, width)
        assert self.hid1.bias is not None
        assert self.hid2.bias is not None
        hidden = (
            torch.relu(_side_by_side(x, *kernel)) for kernel in zip(self.hid1.weight, self.hid1.bias, strict=True)
        )
        heat = _side_by_side(next(hidden), self.hid2.weight[0, :1], self.hid2.bias)
        for c, one in enumerate(hidden, 1):  # ONNX Runtime adds up equal shapes within a convolution
            heat = heat + _side_by_side(one, self.hid2.weight[0, c : c + 1])
        return heat.flatten(0, 1)[:maps]

    def _deep(self, cost: Tensor) -> Tensor:
        """Return the deep channels (B, D, h/2, w/2), two columns of hidden channels as twice as many channels."""
        first, third = self.hid1.weight, self.hid3.weight
        assert self.hid1.bias is not None
        both = torch.cat((F.pad(first, (0, 1)), F.pad(first, (1, 0))))
        hidden = F.conv2d(cost.unsqueeze(1), both, self.hid1.bias.repeat(2), stride=(1, 2), padding=1)
        pairs = torch.cat((third[..., ::2], F.pad(third[..., 1:2], (0, 1))), dim=1)
        return torch.relu(F.conv2d(F.pad(torch.relu(hidden), (0, 1, 0, 2)), pairs, self.hid3.bias, stride=(2, 1)))


def _side_by_side(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve each map of x (G, LANES, h, w) with the one kernel weight (1, 3, 3)."""
    biases = None if bias is None else bias.expand(LANES)
    return F.conv2d(x, weight.expand(LANES, 1, 3, 3), biases, padding=1, groups=LANES)


class ChannelMixer(nn.Module):
    """Two linear layers around a GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp2_up = nn.Linear(width, 4 * width)
        self.mlp2_down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        out: Tensor = self.mlp2_down(F.gelu(self.mlp2_up(x), approximate="tanh"))
        return out


class MixerBlock(nn.Module):
    """Depthwise convolutions along time, then a mix of channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(width, bias=False)
        self.mlp1_up = nn.Conv1d(width, 4 * width, 3, padding=1, groups=width)
        self.mlp1_up_1 = nn.Conv1d(4 * width, 4 * width, 3, padding=1, groups=4 * width)
        self.layer_norm_1 = nn.LayerNorm(width, bias=False)
        self.conv_channels_mixer = ChannelMixer(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, T, width) to the same shape."""
        width = x.shape[2]
        time = F.gelu(self.mlp1_up(self.layer_norm(x).permute(0, 2, 1)), approximate="tanh")
        # Each channel's four convolutions are added up: one convolution of four inputs does both.
        weight = self.mlp1_up_1.weight.reshape(width, 4, -1)
        assert self.mlp1_up_1.bias is not None
        time = F.conv1d(time, weight, self.mlp1_up_1.bias.reshape(width, 4).sum(1), padding=1, groups=width)
        x = x + time.permute(0, 2, 1)
        out: Tensor = x + self.conv_channels_mixer(self.layer_norm_1(x))
        return out


class Mixer(nn.Module):
    """Turns guesses and their similarities into updates."""

    def __init__(self, params: TapirParams) -> None:
        super().__init__()
        outputs = 4 + params.high_channels + params.low_channels
        self.linear = nn.Linear(outputs + 3 * (2 * RADIUS + 1) ** 2, params.mixer_width)
        self.layer_norm = nn.LayerNorm(params.mixer_width, bias=False)
        self.linear_1 = nn.Linear(params.mixer_width, outputs)
        self.blocks = nn.ModuleList(MixerBlock(params.mixer_width) for _ in range(params.mixer_blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, T, 4 + C2 + C + 147) to (N, T, 4 + C2 + C)."""
        x = self.linear(x)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.linear_1(self.layer_norm(x))
        return out


def soft_argmax(heat: Tensor, temperature: float) -> Tensor:
    """Return the mean (x, y) near the peak of each heat map, in cells; (0.5, 0.5) is the first cell's centre.

    heat: (B, h, w) logits. Returns (B, 2).
    """
    height, width = heat.shape[1], heat.shape[2]
    probability = torch.softmax(heat.flatten(1) * temperature, dim=-1)
    peak = probability.argmax(-1, keepdim=True)
    x = torch.arange(width, dtype=heat.dtype, device=heat.device)
    y = torch.arange(height, dtype=heat.dtype, device=heat.device)
    right, down = (x - peak % width).square().unsqueeze(1), (y - peak // width).square().unsqueeze(2)
    # Squared distances of cells are whole numbers, so this is 1 inside the radius and 0 from it on.
    near = probability * (ARGMAX_RADIUS**2 - down - right).clamp(0, 1).flatten(1)
    rows, columns = torch.meshgrid(y + 0.5, x + 0.5, indexing="ij")
    moments = near @ torch.stack((columns, rows, torch.ones_like(rows)), dim=-1).reshape(-1, 3)
    return moments[:, :2] / moments[:, 2:].clamp(min=1e-12)


def similarities(grid: Tensor, cell: Tensor, query: Tensor) -> Tensor:
    """Compare each query with the 7×7 neighbourhood of its guess in every frame; outside the grid is 0.

    grid: (T, h, w, C). cell: (N, T, 2) guesses (x, y) in cells, (0, 0) being the first cell's centre.
    query: (N, T or 1, C). Returns (N, T, 49), rows of x.
    """
    frames, height, width, channels = grid.shape
    around = Neighbourhood(cell, height, width)
    start = torch.arange(frames, device=grid.device).reshape(1, -1, 1, 1) * (height * width)
    values = grid.reshape(-1, channels).index_select(0, (start + around.index).flatten())
    values = values.reshape(cell.shape[0], cell.shape[1], -1, channels)
    return around.interpolated((values @ query.unsqueeze(-1)).squeeze(-1))


def looked_up(scores: Tensor, cell: Tensor) -> Tensor:
    """Return what ``similarities`` does from scores (N, T, h, w) of each query with every cell."""
    around = Neighbourhood(cell, scores.shape[2], scores.shape[3])
    return around.interpolated(scores.flatten(2).gather(2, around.index.flatten(2)))


class Neighbourhood:
    """The 8×8 whole cells around guesses (N, T, 2) in cells of a map h × w.

    All 49 samples of a neighbourhood share one fraction of a cell, and interpolation commutes with the dot
    product: so whole cells are compared and their similarities interpolated, instead of four corners of 49 samples.
    """

    def __init__(self, cell: Tensor, height: int, width: int) -> None:
        # Further out than this every neighbour is outside the map; the clamp keeps the indices small.
        cell = torch.minimum(cell.clamp(min=-RADIUS - 2.0), cell.new_tensor([width, height]) + RADIUS)
        corner = torch.floor(cell)
        self.right, self.down = (cell - corner).unsqueeze(-1).unsqueeze(-1).unbind(2)
        steps = torch.arange(-RADIUS, RADIUS + 2, device=cell.device)
        columns, rows = (corner.long().unsqueeze(-1) + steps).unbind(2)
        self.inside = (
            ((rows >= 0) & (rows < height)).unsqueeze(3),
            ((columns >= 0) & (columns < width)).unsqueeze(2),
        )
        self.index = rows.clamp(0, height - 1).unsqueeze(3) * width + columns.clamp(0, width - 1).unsqueeze(2)

    def interpolated(self, near: Tensor) -> Tensor:
        """Return (N, T, 49), rows of x, from the similarities (N, T, 64) with the cells of ``index``."""
        near = near.reshape(self.index.shape) * self.inside[0] * self.inside[1]
        near = near[:, :, :-1] * (1 - self.down) + near[:, :, 1:] * self.down
        return (near[..., :-1] * (1 - self.right) + near[..., 1:] * self.right).flatten(2)


def sample(grid: Tensor, points: Tensor, resolution: int) -> Tensor:
    """Interpolate the grid of each point's own frame; beyond the border the border's value.

    grid: (T, h, w, C). points: (N, 3) whole t, then y, x in pixels of the square of ``resolution``, where a
    pixel's centre lies at +0.5. Returns (N, C).
    """
    height, width, channels = grid.shape[1], grid.shape[2], grid.shape[3]
    last = grid.new_tensor([height - 1, width - 1])
    cell = points[:, 1:] * (height / resolution) - 0.5
    cell = torch.minimum(cell.clamp(min=0.0), last)
    corner = torch.floor(cell)
    down, right = (cell - corner).unsqueeze(-1).unbind(1)
    top, left = corner.long().unbind(1)
    bottom, side = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    table, start = grid.reshape(-1, channels), points[:, 0].long() * height

    def at(row: Tensor, column: Tensor) -> Tensor:
        return table.index_select(0, (start + row) * width + column)

    upper = at(top, left) * (1 - right) + at(top, side) * right
    lower = at(bottom, left) * (1 - right) + at(bottom, side) * right
    return upper * (1 - down) + lower * down
