"""BootsTAPIR, the point tracker: the published network and the same classes scaled down."""

from samotion.export.tapir.graphs import graphs
from samotion.export.tapir.model import Tapir, Tracking
from samotion.export.tapir.params import NANO, OFFICIAL, TapirParams

__all__ = ["NANO", "OFFICIAL", "Tapir", "TapirParams", "Tracking", "graphs"]
