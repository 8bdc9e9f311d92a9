"""Muon: its updates are near orthogonal, and it solves what it should solve."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.export.training.loop import _optimisers
from samotion.export.training.muon import Muon, orthogonal


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 1000))
def test_singular_values_come_near_one(rows: int, columns: int, seed: int) -> None:
    torch.manual_seed(seed)
    # Orthogonal factors with known singular values: random ones may be as small as one likes.
    least = min(rows, columns)
    left = torch.linalg.qr(torch.randn(rows, least))[0]
    right = torch.linalg.qr(torch.randn(columns, least))[0]
    made = orthogonal(left @ torch.diag(torch.linspace(0.2, 3, least)) @ right.T)
    values = torch.linalg.svdvals(made)
    assert made.shape == (rows, columns)
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_it_fits_a_linear_map() -> None:
    torch.manual_seed(0)
    x, wanted = torch.randn(64, 8), torch.randn(8, 4)
    weight = torch.nn.Parameter(torch.zeros(8, 4))
    optimiser = Muon([weight], lr=0.1, weight_decay=0.0)
    for step in range(400):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / 400)
        optimiser.zero_grad()
        (x @ weight - x @ wanted).square().mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert (weight - wanted).abs().max() < 0.05


@pytest.mark.parametrize("muon", [False, True])
def test_every_parameter_has_one_optimiser(muon: bool) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 5), torch.nn.Linear(5, 1))
    made = _optimisers(list(model.parameters()), 1e-3, 0.05, muon)
    held = [id(p) for optimiser in made for group in optimiser.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert [len(group["params"]) for group in made[-1].param_groups] == ([1] if muon else [3, 3])
