"""The sets of DAVIS clips that papers report on, and what the published weights reach there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from samotion.benchmarks.datasets.layouts import DAVIS_MASKS, DAVIS_UNSUPERVISED

# The clips of ImageSets/2017/val.txt: whether ImageSets/2016/val.txt of DAVIS-2016 has them too, and whether every
# annotated object moves and every mover is annotated. The latter is DAVIS17-Moving of "Towards Segmenting Anything
# That Moves" (Dave et al., 2019; release/davis17/moving_val_sequences.txt), which SegAnyMo takes over.
CLIPS = {
    "bike-packing": (False, True),
    "blackswan": (True, True),
    "bmx-trees": (True, True),
    "breakdance": (True, False),
    "camel": (True, False),
    "car-roundabout": (True, False),
    "car-shadow": (True, True),
    "cows": (True, True),
    "dance-twirl": (True, True),
    "dog": (True, True),
    "dogs-jump": (False, True),
    "drift-chicane": (True, True),
    "drift-straight": (True, True),
    "goat": (True, True),
    "gold-fish": (False, False),
    "horsejump-high": (True, True),
    "india": (False, False),
    "judo": (False, True),
    "kite-surf": (True, True),
    "lab-coat": (False, False),
    "libby": (True, True),
    "loading": (False, False),
    "mbike-trick": (False, True),
    "motocross-jump": (True, True),
    "paragliding-launch": (True, True),
    "parkour": (True, True),
    "pigs": (False, True),
    "scooter-black": (True, False),
    "shooting": (False, True),
    "soapbox": (True, True),
}


@dataclass(frozen=True)
class DavisSet:
    """One row of the paper's tables.

    clips: by name. masks: where DAVIS's layout has the masks that are scored. published: what SegAnyMo (CVPR 2025,
    tables 1 and 2) reports, as j and f of all objects together, objects_j and objects_f of matched objects.
    """

    clips: list[str]
    masks: Path
    published: Mapping[str, float] = field(default_factory=dict)


SETS = {
    "davis16": DavisSet([n for n, (old, _) in CLIPS.items() if old], DAVIS_MASKS, {"j": 0.906, "f": 0.910}),
    # SegAnyMo made this one "following the same criteria" and publishes no list: the clips of both.
    "davis16-moving": DavisSet([n for n, both in CLIPS.items() if all(both)], DAVIS_MASKS, {"j": 0.892, "f": 0.897}),
    "davis17": DavisSet(list(CLIPS), DAVIS_UNSUPERVISED),
    "davis17-moving": DavisSet(
        [n for n, (_, moving) in CLIPS.items() if moving],
        DAVIS_UNSUPERVISED,
        {"j": 0.900, "f": 0.890, "objects_j": 0.774, "objects_f": 0.836},
    ),
}
