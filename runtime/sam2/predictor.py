"""SAM2 over one clip: every frame encoded once, then clicks, memories and tracking."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.kernels.resizing import ResizeSet
from samotion.runtime.ops.interface import Arrays, Canvas, Held
from samotion.runtime.ops.preprocess import FRAMES_A_BATCH, batches
from samotion.runtime.ops.resize import resize_set
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.mask_prompt import mask_prompt
from samotion.runtime.sam2.memory_bank import Memory, MemoryBank, look_up
from samotion.runtime.sam2.scheduler import Scheduler
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bool, Clip, Float, Int, Prompt

PADDING = -1


@dataclass(frozen=True)
class Answer:
    """What the mask decoder says of K objects on one frame.

    mask: (K, h, w) logits at the network's low resolution. iou, object_score: (K,). pointer: (K, d).
    """

    mask: Held
    iou: Held
    object_score: Held
    pointer: Held

    def of(self, chosen: slice) -> "Answer":
        """Return the answer for some of the objects."""
        return Answer(self.mask[chosen], self.iou[chosen], self.object_score[chosen], self.pointer[chosen])

    @classmethod
    def joined(cls, parts: list["Answer"], arrays: Arrays) -> "Answer":
        """Return one answer for the objects of all ``parts``."""
        if len(parts) == 1:
            return parts[0]
        fields = ("mask", "iou", "object_score", "pointer")
        return cls(*(arrays.joined([getattr(part, field) for part in parts]) for field in fields))


class MaskPredictor:
    """SAM2's engines with the features of every frame of one clip; its methods may run on several threads.

    scheduler: which objects go through the engines together. limits: of SAM2, from the bundle's manifest. frames: how
    many. size: (height, width) of the clip's frames.
    """

    def __init__(self, clip: Clip, bundle: Bundle, settings: Settings, progress: Progress, arrays: Arrays) -> None:
        self.arrays = arrays
        self.scheduler = Scheduler(bundle, arrays.steady)
        self.limits = bundle.manifest.masks
        self.frames = len(clip.frames)
        self.size = clip.size
        self._bundle = bundle
        self._easel = arrays.easel(clip, settings.follow_edges)
        self._decoder = bundle.lane("mask_decoder")
        self._memory_encoder = bundle.lane("memory_encoder")
        self._high_0, self._high_1, self._features = self._encode(clip, resize_set(settings), progress)

    def click(self, prompts: list[Prompt], previous: Held | None = None) -> Answer:
        """Return the masks that K prompts, each on its own frame, ask for, without memory.

        previous: (K, h, w) logits of the answers that these prompts correct.
        """

        def clicked(part: slice) -> Answer:
            own = prompts[part]
            frames = [prompt.frame for prompt in own]
            asked = self._votes(own) if previous is None else previous[part]
            return self._decode(frames, self._maps(self._features, frames), *self._points(own), asked)

        return self._in_groups(clicked, len(prompts))

    def track(self, frame: int, banks: list[MemoryBank], reverse: bool, in_lane: bool = False) -> Answer:
        """Return the masks of K objects on ``frame`` from what ``banks`` remember of them.

        in_lane: the scheduler calls this for others at the same time.
        """
        attention = (self._bundle.lane if in_lane else self._bundle.engine)("memory_attention")
        clicked = self.scheduler.room(banks)
        horizon = np.asarray(max(1, min(self.frames, self.limits.pointers) - 1), np.float32)

        def tracked(part: slice) -> Answer:
            own = banks[part]
            found = look_up(own, frame, self.frames, reverse, self.limits, self.arrays, clicked)
            features = self.arrays.run(
                attention,
                features=self._features[frame],
                memory=found.memory,
                memory_time=found.time,
                pointers=found.pointers,
                pointer_time=found.pointer_time,
                pointer_horizon=horizon,
            )["conditioned"]
            points = np.zeros((len(own), 1, 2), np.float32)
            labels = np.full((len(own), 1), PADDING, np.int64)
            return self._decode([frame], features, points, labels, memoryless=False)

        return self._in_groups(tracked, len(banks))

    def remember(self, frame: int, answer: Answer, clicked: bool) -> list[Memory]:
        """Return what to remember of K objects that were just segmented on ``frame``."""
        memories = []
        for part in self.scheduler.groups(len(answer.mask)):
            own = answer.of(part)
            spatial = self.arrays.run(
                self._memory_encoder,
                features=self._features[frame],
                mask=own.mask,
                clicked=np.full(len(own.mask), clicked),
                object_score=own.object_score,
            )["memory"]
            memories += [Memory(spatial[k], own.pointer[k]) for k in range(len(own.mask))]
        return memories

    def at_frame_size(self, frame: int, mask: Held) -> Bool:
        """Return a low-resolution mask (h, w) of logits on ``frame`` as a mask of the clip's frames (H, W)."""
        return self._easel.mask(frame, mask)

    def canvas(self, objects: int) -> Canvas:
        """Return what the masks of so many objects are drawn on, frame by frame."""
        return self._easel.canvas(objects)

    def _encode(self, clip: Clip, resize: ResizeSet, progress: Progress) -> tuple[list[Held], list[Held], list[Held]]:
        """Return the three feature maps of every frame, each (1, c, h, w)."""
        engine, side = self._bundle.lane("mask_encoder"), self.limits.size
        maps: dict[str, list[Held]] = {"high_0": [], "high_1": [], "features": []}

        def encoded(part: slice) -> dict[str, Held]:
            return dict(self.arrays.run(engine, image=self.arrays.images(clip, part, "masks", (side, side), resize)))

        with progress.stage("encoder", self.frames) as stage:
            for answer in self.scheduler.spread(encoded, batches(self.frames, FRAMES_A_BATCH)):
                count = len(answer["features"])
                for name, found in maps.items():
                    found.extend(answer[name][i : i + 1] for i in range(count))
                stage.advance(count)
        return maps["high_0"], maps["high_1"], maps["features"]

    def _in_groups(self, work: Callable[[slice], Answer], objects: int) -> Answer:
        """Return the answer for all ``objects`` of work that answers for some."""
        return Answer.joined([work(part) for part in self.scheduler.groups(objects)], self.arrays)

    def _votes(self, prompts: list[Prompt]) -> Float | None:
        """Return the mask prompts (K, h, w) that draw what else is known of the objects, None where nothing is."""
        said = [prompt.votes for prompt in prompts if prompt.votes is not None]
        if len(said) < len(prompts):
            return None
        return np.stack([mask_prompt(votes, self.size, self.limits.size // 4) for votes in said])

    def _decode(
        self,
        frames: list[int],
        features: Held,
        points: Float,
        labels: Int,
        previous: Held | None = None,
        memoryless: bool = True,
    ) -> Answer:
        """Run the mask decoder for K objects on ``frames``; previous: (K, h, w) mask prompts."""
        count, side = len(points), self.limits.size // 4
        asked = self.arrays.zeros((count, side, side)) if previous is None else previous
        answer = self.arrays.run(
            self._decoder,
            features=features,
            high_0=self._maps(self._high_0, frames),
            high_1=self._maps(self._high_1, frames),
            points=points,
            labels=labels,
            mask_prompt=asked.reshape(count, 1, side, side),
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

    def _maps(self, maps: list[Held], frames: list[int]) -> Held:
        """Return the maps (F, c, h, w) of ``frames``; one frame for all stays one."""
        if len(set(frames)) == 1:
            return maps[frames[0]]
        return self.arrays.joined([maps[frame] for frame in frames])
