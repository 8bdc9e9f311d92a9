"""SAM2 and SAM2.1 (Segment Anything in Images and Videos, 2024) for objects that clicks point at."""

from samotion.export.networks.sam2.sam2_graphs import graphs
from samotion.export.networks.sam2.sam2_model import Sam2
from samotion.export.networks.sam2.sam2_params import NANO, OFFICIAL, HieraParams, Sam2Params

__all__ = ["NANO", "OFFICIAL", "HieraParams", "Sam2", "Sam2Params", "graphs"]
