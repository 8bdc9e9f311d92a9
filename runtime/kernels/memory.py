"""Memories brought together on a device. Twin: samotion.runtime.ops.reference.padded."""

import math

from samotion.runtime.kernels.launching import Array, Launch, checked


def gather(launch: Launch, addresses: Array, out: Array) -> None:
    """Fill ``out`` (K, M, …) float32 with the rows that lie at ``addresses`` (K, M) uint64, zeros where that is 0."""
    length = math.prod(out.shape[2:])
    numbers = checked(math.prod(out.shape))
    launch("memory", "memory_gather", numbers, addresses, out, numbers, length)


def every(launch: Launch, source: Array, first: int, pace: int, out: Array) -> None:
    """Fill ``out`` with every ``pace``-th frame, from ``first`` on, of ``source`` (N, T, …), of any type.

    Twin: source[:, first::pace].
    """
    tracks, frames = source.shape[:2]
    size = math.prod(source.shape[2:]) * source.dtype.itemsize
    numbers = math.prod(out.shape) * out.dtype.itemsize
    checked(tracks * frames * size)
    launch("memory", "memory_every", numbers, source, out, numbers, out.shape[1], frames, size, first, pace)
