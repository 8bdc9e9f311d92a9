"""From a clip, or the windows of an input of any length, to everything in it that moves by itself."""

from collections.abc import Iterable, Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from samotion.engines.bundle import Bundle
from samotion.runtime.identity.join import joined
from samotion.runtime.identity.match import UNKNOWN, Identified, identified, link
from samotion.runtime.identity.propagate import MOST_WINDOWS, Known, follow, remember
from samotion.runtime.ops.cuda_ops import arrays_for
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.predictor import MaskPredictor
from samotion.runtime.settings import Settings
from samotion.runtime.sources.windows import Window, windows_of
from samotion.runtime.stages.state import states
from samotion.runtime.stages.support import support
from samotion.runtime.stages.window import Stages, find_groups
from samotion.runtime.values import Bool, Clip, ClipResult, ObjectMasks, Tracks, WindowResult

__all__ = ["find_groups", "segment", "stream"]


def segment(
    clip: Clip, bundle: Bundle, settings: Settings | None = None, progress: Progress | None = None
) -> ClipResult:
    """Return the objects of ``clip`` that move by themselves; the same input and seed give the same masks.

    A clip longer than ``settings.window`` is worked on in windows; object k has the identity k + 1, and each track
    is hidden outside its own window. settings: None takes the published constants with what the bundle states.
    Raises EngineError where an engine fails, InputError where so long a result does not fit in memory, which
    ``stream`` gives window by window.
    """
    settings = settings or Settings().override(bundle.settings)
    return joined(clip, stream(windows_of(clip, settings), bundle, settings, progress))


def stream(
    windows: Iterable[Window], bundle: Bundle, settings: Settings | None = None, progress: Progress | None = None
) -> Iterator[WindowResult]:
    """Yield what each window adds as soon as it is known, in the memory of one window.

    An object is known again by its masks on the frames that two windows share. One that a window does not find,
    because it stands still or is hidden, is followed by SAM2's memory for at most MOST_WINDOWS windows and until
    a whole window does not show it; what comes back after that is a new object. settings, errors: see segment.
    """
    settings = settings or Settings().override(bundle.settings)
    follower = Follower(bundle, settings, progress or Progress())
    for window in windows:
        yield follower.window(window)


class Follower:
    """Works on one window after the other and remembers its objects until the next; see ``stream``."""

    def __init__(self, bundle: Bundle, settings: Settings, progress: Progress) -> None:
        self._bundle = bundle
        self._settings = settings
        self._progress = progress
        self._arrays = arrays_for(bundle)
        self._seen: Identified | None = None
        self._network: MaskPredictor | None = None
        self._last = 0

    def window(self, window: Window) -> WindowResult:
        """Return what ``window`` adds."""
        clip, shared = window.clip, window.shared
        # Sums over several threads round otherwise than over one, and the masks must not depend on the cores.
        single = threadpool_limits(1, "blas")
        with single, self._progress.window(window.start, window.start + len(clip.frames)) as progress:
            stages = Stages(clip, self._bundle, self._settings, progress, self._arrays)
            known = self._known(stages)
            tracks, labels, depth = stages.motion()
            found = np.zeros((0, len(clip.frames), *clip.size), np.bool_)
            # SAM2 does not run at all where nothing moves and nothing is left to follow.
            if labels.dynamic.any() or any(item.still < MOST_WINDOWS for item in known):
                self._network = stages.network()
                if labels.dynamic.any():
                    found = stages.objects(tracks, labels, self._network).values
            self._seen = self._identified(found, known, shared, tracks, stages)
        self._last = max(self._last, int(self._seen.identities.max(initial=0)))
        return WindowResult(
            clip=clip.part(slice(shared, None)),
            identities=self._seen.identities,
            masks=ObjectMasks(self._seen.masks[:, shared:]),
            scores=support(self._seen.masks, tracks, labels.probability).astype(np.float32),
            states=states(self._seen.masks, tracks)[:, shared:],
            tracks=tracks,
            labels=labels,
            start=window.start,
            seconds=stages.seconds,
            arrived=window.arrived,
            depth=None if depth is None else depth[shared:],
        )

    def _known(self, stages: Stages) -> list[Known]:
        """Return the objects of the window before, and let go of its features."""
        if self._seen is None or self._network is None:
            return []
        with stages.timed("carrying"):
            known = remember(self._seen, self._network, self._settings)
        self._seen = self._network = None
        return known

    def _identified(self, found: Bool, known: list[Known], shared: int, tracks: Tracks, stages: Stages) -> Identified:
        """Return who the objects ``found`` in this window are, and the known ones that it did not find."""
        if not shared or self._network is None:
            return Identified(found, np.arange(1, len(found) + 1), np.zeros(len(found), np.int64))
        with stages.timed("linking"):
            tails = [item.tail.last(shared) for item in known]
            links = link(np.stack(tails) if tails else found[:0, :shared], found[:, :shared])
        lost = [item for p, item in enumerate(known) if p not in links and item.still < MOST_WINDOWS]
        with stages.timed("carrying"):
            carried = follow(lost, tracks, self._network, shared, self._settings, stages.progress)
        with stages.timed("linking"):
            names = np.array([UNKNOWN if p == UNKNOWN else known[p].identity for p in links], np.int64)
            return identified(found, names, carried, shared, self._last)
