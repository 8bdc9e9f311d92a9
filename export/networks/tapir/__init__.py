"""BootsTAPIR, the point tracker: the published network and the same classes scaled down."""

from samotion.export.networks.tapir.tapir_graphs import graphs
from samotion.export.networks.tapir.tapir_model import Tapir, Tracking
from samotion.export.networks.tapir.tapir_params import NANO, OFFICIAL, TapirParams

__all__ = ["NANO", "OFFICIAL", "Tapir", "TapirParams", "Tracking", "graphs"]
