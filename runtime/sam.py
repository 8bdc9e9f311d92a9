"""SAM2 over one clip: every frame encoded once; clicks, memories and tracking for batches of objects."""

from dataclasses import dataclass

import cv2
import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.memory import Memory, MemoryBank, look_up
from samotion.runtime.preprocess import batches, normalised, resized
from samotion.runtime.progress import Progress
from samotion.runtime.values import Bool, Clip, Float, Int, Prompt

FRAMES_A_BATCH = 4
HOLE_PIXELS = 8  # background islands up to this size in the low-resolution mask are filled (SAM2)
FILLED = np.float32(0.1)
PADDING = -1


@dataclass(frozen=True)
class Answer:
    """What the mask decoder says of K objects on one frame.

    mask: (K, h, w) logits at the network's low resolution. iou, object_score: (K,). pointer: (K, d).
    """

    mask: Float
    iou: Float
    object_score: Float
    pointer: Float


class MaskNetwork:
    """SAM2's engines with the features of every frame of one clip."""

    def __init__(self, clip: Clip, bundle: Bundle, progress: Progress) -> None:
        self.limits = bundle.manifest.masks
        self.frames = len(clip.frames)
        self.size = clip.size
        self._decoder = bundle.engine("mask_decoder")
        self._memory_encoder = bundle.engine("memory_encoder")
        self._attention = bundle.engine("memory_attention")
        self._high_0, self._high_1, self._features = self._encode(clip, bundle, progress)

    def _encode(self, clip: Clip, bundle: Bundle, progress: Progress) -> tuple[list[Float], list[Float], list[Float]]:
        """Return the three feature maps of every frame, each (1, c, h, w)."""
        engine, side = bundle.engine("mask_encoder"), self.limits.size
        maps: dict[str, list[Float]] = {"high_0": [], "high_1": [], "features": []}
        with progress.stage("encoder", self.frames) as stage:
            for part in batches(self.frames, FRAMES_A_BATCH):
                answer = engine(image=normalised(resized(clip.frames[part], side, side, cv2.INTER_AREA)))
                for name, found in maps.items():
                    found.extend(answer[name][i : i + 1] for i in range(part.stop - part.start))
                stage.advance(part.stop - part.start)
        return maps["high_0"], maps["high_1"], maps["features"]

    def click(self, frame: int, prompts: list[Prompt], previous: Float | None = None) -> Answer:
        """Return the masks that K prompts on ``frame`` ask for, without memory.

        previous: (K, h, w) logits of the answers that these prompts correct.
        """
        points, labels = self._clicks(prompts)
        count, side = len(prompts), self.limits.size // 4
        asked = np.zeros((count, side, side), np.float32) if previous is None else previous
        return self._decode(frame, self._features[frame], points, labels, asked, given=previous is not None)

    def track(self, frame: int, banks: list[MemoryBank], reverse: bool) -> Answer:
        """Return the masks of K objects on ``frame`` from what ``banks`` remember of them."""
        found = look_up(banks, frame, self.frames, reverse, self.limits)
        features = self._attention(
            features=self._features[frame],
            memory=found.memory,
            memory_time=found.time,
            pointers=found.pointers,
            pointer_time=found.pointer_time,
            pointer_horizon=np.asarray(max(1, min(self.frames, self.limits.pointers) - 1), np.float32),
        )["conditioned"]
        points = np.zeros((len(banks), 1, 2), np.float32)
        labels = np.full((len(banks), 1), PADDING, np.int64)
        side = self.limits.size // 4
        blank = np.zeros((len(banks), side, side), np.float32)
        return self._decode(frame, features, points, labels, blank, given=False, memoryless=False)

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

    def at_frame_size(self, mask: Float) -> Bool:
        """Return a low-resolution mask (h, w) of logits as a mask of the clip's frames (H, W)."""
        height, width = self.size
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) > 0

    def _decode(
        self,
        frame: int,
        features: Float,
        points: Float,
        labels: Int,
        mask: Float,
        given: bool,
        memoryless: bool = True,
    ) -> Answer:
        """Run the mask decoder for K objects on ``frame``; mask: (K, h, w) prompts, read if ``given``."""
        count = len(points)
        answer = self._decoder(
            features=features,
            high_0=self._high_0[frame],
            high_1=self._high_1[frame],
            points=points,
            labels=labels,
            mask_prompt=mask[:, None],
            has_mask_prompt=np.full(count, given),
            memoryless=np.full(count, memoryless),
        )
        return Answer(answer["mask"], answer["iou"], answer["object_score"], answer["pointer"])

    def _clicks(self, prompts: list[Prompt]) -> tuple[Float, Int]:
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


def fill_holes(mask: Float) -> Float:
    """Return a mask (h, w) of logits in which background islands of at most 8 pixels are foreground."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask <= 0).astype(np.uint8), connectivity=8)
    small = np.zeros(count, np.bool_)
    small[1:] = stats[1:, cv2.CC_STAT_AREA] <= HOLE_PIXELS
    return np.where(small[labels], FILLED, mask).astype(np.float32) if small.any() else mask
