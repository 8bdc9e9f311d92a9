"""One numbering of the objects in stretches of a video that were worked on side by side."""

from dataclasses import dataclass, replace

import numpy as np

from samotion.runtime.identity.match import UNKNOWN, link, overlap_iou
from samotion.runtime.values import Float, WindowResult


@dataclass(frozen=True)
class Seam:
    """Where two stretches meet. known, found: how many objects each has on the frames that both show.

    ious: (J,) of the masks of the objects that were joined.
    """

    known: int
    found: int
    ious: Float


class Renaming:
    """Names objects as if one follower had gone through all stretches: by their masks on frames that two share."""

    def __init__(self) -> None:
        self._names: dict[int, int] = {}
        self._last = 0
        self._before: WindowResult | None = None

    def meet(self, piece: WindowResult) -> Seam:
        """Begin a stretch. ``piece``: what it says of the window that the stretch before ended with."""
        assert self._before is not None
        known, found = self._before.masks.values, piece.masks.values
        links, ious = link(known, found), overlap_iou(known, found)
        joined = np.flatnonzero(links != UNKNOWN)
        self._names = {int(piece.identities[k]): int(self._before.identities[links[k]]) for k in joined}
        return Seam(len(known), len(found), ious[links[joined], joined])

    def renamed(self, piece: WindowResult) -> WindowResult:
        """Return the next piece of a stretch under the common numbers; new objects get the next free ones."""
        for identity in piece.identities.tolist():
            if identity not in self._names:
                self._last += 1
                self._names[identity] = self._last
        names = np.array([self._names[identity] for identity in piece.identities.tolist()], np.int64)
        order = np.argsort(names)
        self._before = replace(
            piece,
            identities=names[order],
            masks=replace(piece.masks, values=piece.masks.values[order]),
            scores=piece.scores[order],
            states=piece.states[order],
        )
        return self._before
