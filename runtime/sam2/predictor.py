"""SAM2 over one clip: every frame encoded once; clicks, memories and tracking for batches of objects."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.ops.interface import Arrays, Canvas, Held
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.ops.preprocess import FRAMES_A_BATCH, batches
from samotion.runtime.ops.resize import ResizeSet, kernels
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.memory_bank import Memory, MemoryBank, look_up
from samotion.runtime.settings import Settings
from samotion.runtime.stages.votes import mask_prompt
from samotion.runtime.values import Bool, Clip, Float, Int, Prompt

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


class MaskNetwork:
    """SAM2's engines with the features of every frame of one clip; its methods may run on several threads.

    More objects than the engines take at once (``Bundle.most_objects``) go through them in groups.
    """

    def __init__(
        self,
        clip: Clip,
        bundle: Bundle,
        progress: Progress,
        settings: Settings | None = None,
        arrays: Arrays = HOST,
    ) -> None:
        settings = settings or Settings()
        self.arrays = arrays
        self.limits = bundle.manifest.masks
        self.frames = len(clip.frames)
        self.size = clip.size
        self.lanes = bundle.lanes
        self._bundle = bundle
        self._most = bundle.most_objects
        self._clicked_frames = 1
        self._easel = arrays.easel(clip, settings.follow_edges)
        self._decoder = bundle.lane("mask_decoder")
        self._memory_encoder = bundle.lane("memory_encoder")
        self._high_0, self._high_1, self._features = self._encode(clip, bundle, progress, kernels(settings))

    def _encode(
        self, clip: Clip, bundle: Bundle, progress: Progress, resize: ResizeSet
    ) -> tuple[list[Held], list[Held], list[Held]]:
        """Return the three feature maps of every frame, each (1, c, h, w)."""
        engine, side = bundle.lane("mask_encoder"), self.limits.size
        maps: dict[str, list[Held]] = {"high_0": [], "high_1": [], "features": []}

        def encoded(part: slice) -> dict[str, Held]:
            return dict(self.arrays.run(engine, image=self.arrays.images(clip, part, "masks", (side, side), resize)))

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

    def click(self, frame: int, prompts: list[Prompt], previous: Held | None = None) -> Answer:
        """Return the masks that K prompts on ``frame`` ask for, without memory (see ``clicks``)."""

        def clicked(part: slice) -> Answer:
            return self._clicked([frame], prompts[part], None if previous is None else previous[part])

        return self._in_groups(clicked, len(prompts))

    def clicks(self, prompts: list[Prompt], previous: Held | None = None) -> Answer:
        """Return the masks that K prompts, each on its own frame, ask for, without memory.

        previous: (K, h, w) logits of the answers that these prompts correct.
        """

        def clicked(part: slice) -> Answer:
            frames = [prompt.frame for prompt in prompts[part]]
            return self._clicked(frames, prompts[part], None if previous is None else previous[part])

        return self._in_groups(clicked, len(prompts))

    def track(self, frame: int, banks: list[MemoryBank], reverse: bool, in_lane: bool = False) -> Answer:
        """Return the masks of K objects on ``frame`` from what ``banks`` remember of them.

        in_lane: ``spread`` calls this for others at the same time.
        """
        attention = (self._bundle.lane if in_lane else self._bundle.engine)("memory_attention")
        clicked = self._room(banks)
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
        for part in self._groups(len(answer.mask)):
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

    def _groups(self, objects: int) -> list[slice]:
        """Return the slices of ``objects`` that engines take at once."""
        return list(batches(objects, self._most or max(1, objects)))

    def _in_groups(self, work: Callable[[slice], Answer], objects: int) -> Answer:
        """Return the answer for all ``objects`` of work that answers for some."""
        return Answer.joined([work(part) for part in self._groups(objects)], self.arrays)

    def _room(self, banks: list[MemoryBank]) -> int | None:
        """Return for how many clicked frames to leave room in what is looked up, None for no more than needed."""
        if not self.arrays.steady:
            return None
        most = max(len(bank.clicked) for bank in banks)
        self._clicked_frames = max(self._clicked_frames, min(most, self.limits.max_clicked or most))
        return self._clicked_frames

    def _clicked(self, frames: list[int], prompts: list[Prompt], previous: Held | None) -> Answer:
        """Return the masks that prompts on ``frames``, one for each or one for all, ask for."""
        points, labels = self._points(prompts)
        asked = self._votes(prompts) if previous is None else previous
        return self._decode(frames, self._maps(self._features, frames), points, labels, asked)

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
