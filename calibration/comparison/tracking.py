"""SAM2 by itself on a labelled scene: clicked once on the first frame, then carried on by its memory alone."""

import cv2
import numpy as np

from samotion.calibration.scenes.scene import Scene
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.memory_bank import MemoryBank
from samotion.runtime.sam2.predictor import Answer, MaskPredictor
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip, Float, Prompt

OBJECTS = 3


def clicks(made: Scene) -> list[Prompt]:
    """Return a click well inside each of the up to OBJECTS largest objects of a scene's first frame.

    Raises InputError where it shows none.
    """
    first = made.instance[0]
    numbers, areas = np.unique(first[first > 0], return_counts=True)
    found = []
    for number in numbers[np.argsort(-areas, kind="stable")][:OBJECTS]:
        inside = cv2.distanceTransform((first == number).astype(np.uint8), cv2.DIST_L2, 5)
        y, x = np.unravel_index(int(np.argmax(inside)), first.shape)
        found.append(Prompt(0, np.array([[x, y]], np.float32), np.ones(1, np.bool_)))
    if not found:
        raise InputError("the scene shows no object in its first frame")
    return found


def propagate(bundle: Bundle, clip: Clip, prompts: list[Prompt]) -> Float:
    """Return mask logits (K, T, h, w) of K objects clicked on frame 0, at the network's low resolution.

    From frame 1 on nothing but memory is read: the bank of an object is full once the clip is longer than it.
    """
    network = MaskPredictor(clip, bundle, Settings(), Progress(), HOST)
    banks = [MemoryBank() for _ in prompts]
    answer = network.click(prompts)
    masks = [answer.mask]
    _remember(network, banks, 0, answer)
    reach = max(network.limits.memory_frames, network.limits.pointers)
    for frame in range(1, network.frames):
        answer = network.track(frame, banks, False)
        masks.append(answer.mask)
        _remember(network, banks, frame, answer)
        for bank in banks:
            bank.forget(frame, reach, 0)
    return np.stack([HOST.down(mask) for mask in masks], axis=1)


def _remember(network: MaskPredictor, banks: list[MemoryBank], frame: int, answer: Answer) -> None:
    """Put what was found on ``frame`` into the banks."""
    for bank, memory in zip(banks, network.remember(frame, answer, clicked=frame == 0), strict=True):
        (bank.tracked if frame else bank.clicked)[frame] = memory
