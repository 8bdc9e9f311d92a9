"""The least time on a GPU: by hand, and how it grows with the objects."""

import pytest

from samotion.benchmarks.speed.limits import CARDS, Card, least, markdown
from samotion.export.graph.operations import Work
from samotion.export.presets import choose
from samotion.export.workload import Step, masks


def test_a_run_takes_its_arithmetic_or_its_traffic() -> None:
    card = Card(half=100.0, single=10.0, memory=4.0)
    assert card.seconds(Work(1000, 2), "fp16") == 10
    assert card.seconds(Work(1000, 2), "fp32") == 100
    assert card.seconds(Work(10, 6), "fp16") == 3  # two bytes a number
    assert card.seconds(Work(10, 6), "fp32") == 6


def test_a_frame_is_the_sum_of_its_runs() -> None:
    steps = [Step("a", 0.5, Work(int(CARDS["L4"].half), 0)), Step("b", 2.0, Work(int(CARDS["L4"].half), 0))]
    assert least(steps)["L4", "fp16"] == pytest.approx(2.5)
    assert "| made | 3 |" in markdown({"made": {3: steps}})


def test_objects_share_the_encoder() -> None:
    one, three = ({step.graph: step for step in masks(choose("fast", "sam2.1-t"), objects)} for objects in (1, 3))
    assert one["mask_encoder"] == three["mask_encoder"]
    for graph in ("memory_attention", "mask_decoder", "memory_encoder"):
        assert three[graph].work.flops == pytest.approx(3 * one[graph].work.flops, rel=0.1)
