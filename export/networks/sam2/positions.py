"""Positions as numbers: sine tables, rotary tables in real pairs, encoded time."""

import math

import torch
from torch import Tensor

TEMPERATURE = 10000.0


def sine_grid(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Return the sine positions (height·width, channels) of a grid: rows' half first, sine and cosine alternating.

    Positions run from 1 and are scaled to 2π at the last row or column (as in DETR).
    """
    rows = _sine_axis(height, channels // 2, like)[:, None].expand(-1, width, -1)
    columns = _sine_axis(width, channels // 2, like)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


def _sine_axis(length: int, channels: int, like: Tensor) -> Tensor:
    steps = torch.arange(1, length + 1, dtype=torch.float32, device=like.device)
    angle = (steps / (length + 1e-6) * (2 * math.pi))[:, None] / _periods(channels, like)
    return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], -1).flatten(1)


def _periods(channels: int, like: Tensor) -> Tensor:
    """Return the periods of ``channels`` waves, each twice."""
    index = torch.arange(channels, dtype=torch.float32, device=like.device)
    return TEMPERATURE ** (2 * torch.div(index, 2, rounding_mode="floor") / channels)


def sine_time(time: Tensor, channels: int) -> Tensor:
    """Encode times (…) as (…, channels): all sines, then all cosines."""
    angle = time[..., None] / _periods(channels // 2, time)
    return torch.cat([angle.sin(), angle.cos()], -1)


def rotary_table(height: int, width: int, channels: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine (height·width, channels/2) of axial rotary positions: columns first, then rows."""
    index = torch.arange(0, channels, 4, dtype=torch.float32, device=like.device)[: channels // 4]
    frequency = 1.0 / (TEMPERATURE ** (index / channels))
    x = torch.arange(width, dtype=torch.float32, device=like.device)[:, None] * frequency
    y = torch.arange(height, dtype=torch.float32, device=like.device)[:, None] * frequency
    columns = x[None].expand(height, -1, -1)
    rows = y[:, None].expand(-1, width, -1)
    angle = torch.cat([columns, rows], -1).flatten(0, 1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn neighbouring channels of x (…, N, channels) as pairs; tables are (N, channels/2).

    Real arithmetic: complex numbers do not export.
    """
    even, odd = torch.unflatten(x, -1, (-1, 2)).unbind(-1)
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], -1).flatten(-2)
