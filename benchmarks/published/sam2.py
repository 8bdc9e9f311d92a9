"""SAM2 as its published video predictor runs it: features of one frame kept, one object, one frame at a time."""

from collections.abc import Mapping

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.ops.guided_filter import enlarger
from samotion.runtime.ops.interface import Held
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.ops.reference import fill_holes
from samotion.runtime.ops.resize import network_input, resize_set
from samotion.runtime.sam2.mask_prompt import mask_prompt
from samotion.runtime.sam2.memory_bank import Memory, MemoryBank, look_up
from samotion.runtime.sam2.predictor import PADDING, Answer
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bool, Clip, Float, Int, Prompt


class OneFrameSam:
    """SAM2's engines over one clip (sam2/sam2/sam2_video_predictor.py).

    Of all features only the last frame's are kept (cached_features in _get_image_feature). All frames are resized
    and normalised at the start (init_state). encoded: how often the encoder has run.
    """

    def __init__(self, clip: Clip, bundle: Bundle, settings: Settings) -> None:
        self.limits = bundle.manifest.masks
        self.frames = len(clip.frames)
        self.size = clip.size
        self.encoded = 0
        self._enlarge = enlarger(clip, settings.follow_edges)
        self._images = network_input("masks", resize_set(settings), clip.frames, (self.limits.size, self.limits.size))
        self._encoder = bundle.engine("mask_encoder")
        self._decoder = bundle.engine("mask_decoder")
        self._memory_encoder = bundle.engine("memory_encoder")
        self._attention = bundle.engine("memory_attention")
        self._cached: tuple[int, Mapping[str, Float]] = (-1, {})
        self._maps(0)  # init_state warms up on frame 0

    def click(self, prompt: Prompt, previous: Held | None = None) -> Answer:
        """Return the mask of one prompt, holes filled; previous: (1, h, w) logits of the answer that it corrects."""
        height, width = self.size
        scale = np.array([self.limits.size / width, self.limits.size / height], np.float32)
        points, labels = (prompt.xy * scale)[None].astype(np.float32), prompt.positive[None].astype(np.int64)
        if previous is None and prompt.votes is not None:
            previous = mask_prompt(prompt.votes, self.size, self.limits.size // 4)[None]
        answer = self._decode(prompt.frame, self._maps(prompt.frame)["features"], points, labels, previous)
        return Answer(fill_holes(answer.mask[0])[None], answer.iou, answer.object_score, answer.pointer)

    def track(self, frame: int, bank: MemoryBank, reverse: bool) -> Answer:
        """Return the mask of the object of ``bank`` on ``frame``, holes open: memories are made of it as it is."""
        found = look_up([bank], frame, self.frames, reverse, self.limits, HOST)
        features = self._attention(
            features=self._maps(frame)["features"],
            memory=HOST.down(found.memory),
            memory_time=found.time,
            pointers=HOST.down(found.pointers),
            pointer_time=found.pointer_time,
            pointer_horizon=np.asarray(max(1, min(self.frames, self.limits.pointers) - 1), np.float32),
        )["conditioned"]
        nothing = np.zeros((1, 1, 2), np.float32), np.full((1, 1), PADDING, np.int64)
        return self._decode(frame, features, *nothing, None, memoryless=False)

    def remember(self, frame: int, answer: Answer, clicked: bool) -> Memory:
        """Return what to remember of an answer on ``frame``."""
        spatial = self._memory_encoder(
            features=self._maps(frame)["features"],
            mask=HOST.down(answer.mask),
            clicked=np.array([clicked]),
            object_score=HOST.down(answer.object_score),
        )["memory"]
        return Memory(spatial[0], answer.pointer[0])

    def at_frame_size(self, frame: int, answer: Answer) -> Bool:
        """Return an answer's mask on ``frame``, holes filled, at the size of the clip's frames (H, W)."""
        return self._enlarge(frame, fill_holes(answer.mask[0]))

    def _maps(self, frame: int) -> Mapping[str, Float]:
        """Return the encoder's three feature maps of ``frame``."""
        if self._cached[0] != frame:
            self._cached = (frame, self._encoder(image=self._images[frame : frame + 1]))
            self.encoded += 1
        return self._cached[1]

    def _decode(
        self, frame: int, features: Float, points: Float, labels: Int, given: Held | None, memoryless: bool = True
    ) -> Answer:
        """Run the mask decoder for one object; given: (1, h, w) logits of a mask prompt."""
        maps, side = self._maps(frame), self.limits.size // 4
        blank = np.zeros((1, side, side), np.float32)
        answer = self._decoder(
            features=features,
            high_0=maps["high_0"],
            high_1=maps["high_1"],
            points=points,
            labels=labels,
            mask_prompt=(blank if given is None else HOST.down(given))[:, None],
            has_mask_prompt=np.array([given is not None]),
            memoryless=np.array([memoryless]),
        )
        return Answer(answer["mask"], answer["iou"], answer["object_score"], answer["pointer"])
