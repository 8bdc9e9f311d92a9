"""SAM2 over one clip: every frame encoded once; clicks, memories and tracking for batches of objects."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.memory import Memory, MemoryBank, look_up
from samotion.runtime.preprocess import FRAMES_A_BATCH, batches, normalised
from samotion.runtime.progress import Progress
from samotion.runtime.refining import enlarger
from samotion.runtime.resizing import Kernels, kernels
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bool, Clip, Float, Int, Prompt

HOLE_PIXELS = 8  # background islands up to this size in the low-resolution mask are filled (SAM2)
FILLED = np.float32(0.1)
PADDING = -1
# Bytes that the attention scores of the objects tracked at once may take; one object is tracked whatever it takes.
SCORES_BYTES = 2**30

Part = TypeVar("Part")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Answer:
    """What the mask decoder says of K objects on one frame.

    mask: (K, h, w) logits at the network's low resolution. iou, object_score: (K,). pointer: (K, d).
    """

    mask: Float
    iou: Float
    object_score: Float
    pointer: Float

    def of(self, chosen: slice) -> "Answer":
        """Return the answer for some of the objects."""
        return Answer(self.mask[chosen], self.iou[chosen], self.object_score[chosen], self.pointer[chosen])


class MaskNetwork:
    """SAM2's engines with the features of every frame of one clip; its methods may run on several threads."""

    def __init__(self, clip: Clip, bundle: Bundle, progress: Progress, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self.limits = bundle.manifest.masks
        self.frames = len(clip.frames)
        self.size = clip.size
        self.lanes = bundle.lanes
        self._bundle = bundle
        self._enlarge = enlarger(clip, settings.follow_edges)
        self._decoder = bundle.lane("mask_decoder")
        self._memory_encoder = bundle.lane("memory_encoder")
        self._high_0, self._high_1, self._features = self._encode(clip, bundle, progress, kernels(settings))

    def _encode(
        self, clip: Clip, bundle: Bundle, progress: Progress, resize: Kernels
    ) -> tuple[list[Float], list[Float], list[Float]]:
        """Return the three feature maps of every frame, each (1, c, h, w)."""
        engine, side = bundle.lane("mask_encoder"), self.limits.size
        maps: dict[str, list[Float]] = {"high_0": [], "high_1": [], "features": []}

        def encoded(part: slice) -> dict[str, Float]:
            return dict(engine(image=normalised(resize.masks(clip.frames[part], side, side))))

        with progress.stage("encoder", self.frames) as stage:
            for answer in bundle.spread(encoded, batches(self.frames, FRAMES_A_BATCH)):
                count = len(answer["features"])
                for name, found in maps.items():
                    found.extend(answer[name][i : i + 1] for i in range(count))
                stage.advance(count)
        return maps["high_0"], maps["high_1"], maps["features"]

    def spread(self, work: Callable[[Part], Done], parts: Iterable[Part]) -> Iterator[Done]:
        """Yield ``work(part)`` of every part in order, several at the same time (see Bundle.spread)."""
        return self._bundle.spread(work, parts)

    def shares(self, banks: list[MemoryBank]) -> tuple[list[slice], bool]:
        """Return the slices of ``banks`` to track in a batch each, and whether side by side or one after the other.

        Side by side there is a share for each lane, or several, so that SCORES_BYTES are kept; objects of which a
        lane each would be too much take turns with all threads.
        """
        clicked = max(len(bank.clicked) for bank in banks)
        slots = min(clicked, self.limits.max_clicked or clicked) + self.limits.memory_frames - 1
        each = 2 * 4 * slots * (self.limits.size // 16) ** 4  # scores and their softmax, float32
        lanes = self.lanes if self.lanes * each <= SCORES_BYTES and len(banks) > 1 else 1
        most = min(SCORES_BYTES // (each * lanes), -(-len(banks) // lanes))
        return list(batches(len(banks), max(1, most))), lanes > 1

    def click(self, frame: int, prompts: list[Prompt], previous: Float | None = None) -> Answer:
        """Return the masks that K prompts on ``frame`` ask for, without memory (see ``clicks``)."""
        return self._clicked([frame], prompts, previous)

    def clicks(self, prompts: list[Prompt], previous: Float | None = None) -> Answer:
        """Return the masks that K prompts, each on its own frame, ask for, without memory.

        previous: (K, h, w) logits of the answers that these prompts correct.
        """
        return self._clicked([prompt.frame for prompt in prompts], prompts, previous)

    def track(self, frame: int, banks: list[MemoryBank], reverse: bool, in_lane: bool = False) -> Answer:
        """Return the masks of K objects on ``frame`` from what ``banks`` remember of them.

        in_lane: ``spread`` calls this for others at the same time.
        """
        found = look_up(banks, frame, self.frames, reverse, self.limits)
        attention = (self._bundle.lane if in_lane else self._bundle.engine)("memory_attention")
        features = attention(
            features=self._features[frame],
            memory=found.memory,
            memory_time=found.time,
            pointers=found.pointers,
            pointer_time=found.pointer_time,
            pointer_horizon=np.asarray(max(1, min(self.frames, self.limits.pointers) - 1), np.float32),
        )["conditioned"]
        points = np.zeros((len(banks), 1, 2), np.float32)
        labels = np.full((len(banks), 1), PADDING, np.int64)
        return self._decode([frame], features, points, labels, memoryless=False)

    def remember(self, frame: int, answer: Answer, clicked: bool) -> list[Memory]:
        """Return what to remember of K objects that were just segmented on ``frame``."""
        count = len(answer.mask)
        spatial = self._memory_encoder(
            features=self._features[frame],
            mask=answer.mask,
            clicked=np.full(count, clicked),
            object_score=answer.object_score,
        )["memory"]
        return [Memory(spatial[k], answer.pointer[k]) for k in range(count)]

    def at_frame_size(self, frame: int, mask: Float) -> Bool:
        """Return a low-resolution mask (h, w) of logits on ``frame`` as a mask of the clip's frames (H, W)."""
        return self._enlarge(frame, mask)

    def _clicked(self, frames: list[int], prompts: list[Prompt], previous: Float | None) -> Answer:
        """Return the masks that prompts on ``frames``, one for each or one for all, ask for."""
        points, labels = self._points(prompts)
        return self._decode(frames, _maps(self._features, frames), points, labels, previous)

    def _decode(
        self,
        frames: list[int],
        features: Float,
        points: Float,
        labels: Int,
        previous: Float | None = None,
        memoryless: bool = True,
    ) -> Answer:
        """Run the mask decoder for K objects on ``frames``; previous: (K, h, w) mask prompts."""
        count, side = len(points), self.limits.size // 4
        asked = np.zeros((count, side, side), np.float32) if previous is None else previous
        answer = self._decoder(
            features=features,
            high_0=_maps(self._high_0, frames),
            high_1=_maps(self._high_1, frames),
            points=points,
            labels=labels,
            mask_prompt=asked[:, None],
            has_mask_prompt=np.full(count, previous is not None),
            memoryless=np.full(count, memoryless),
        )
        return Answer(answer["mask"], answer["iou"], answer["object_score"], answer["pointer"])

    def _points(self, prompts: list[Prompt]) -> tuple[Float, Int]:
        """Return points (K, P, 2) in pixels of the network's input and labels (K, P), padded."""
        height, width = self.size
        scale = np.array([self.limits.size / width, self.limits.size / height], np.float32)
        longest = max(len(prompt.xy) for prompt in prompts)
        points = np.zeros((len(prompts), longest, 2), np.float32)
        labels = np.full((len(prompts), longest), PADDING, np.int64)
        for k, prompt in enumerate(prompts):
            points[k, : len(prompt.xy)] = prompt.xy * scale
            labels[k, : len(prompt.xy)] = prompt.positive
        return points, labels


def _maps(maps: list[Float], frames: list[int]) -> Float:
    """Return the maps (F, c, h, w) of ``frames``; one frame for all stays one."""
    if len(set(frames)) == 1:
        return maps[frames[0]]
    return np.concatenate([maps[frame] for frame in frames])


def fill_holes(mask: Float) -> Float:
    """Return a mask (h, w) of logits in which background islands of at most 8 pixels are foreground."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask <= 0).astype(np.uint8), connectivity=8)
    small = np.zeros(count, np.bool_)
    small[1:] = stats[1:, cv2.CC_STAT_AREA] <= HOLE_PIXELS
    return np.where(small[labels], FILLED, mask).astype(np.float32) if small.any() else mask
