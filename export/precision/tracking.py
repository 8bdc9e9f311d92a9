"""Whether FP16 still follows objects after many frames: SAM2's engines feed on their own memory meanwhile."""

from pathlib import Path
from typing import Any

import numpy as np

from samotion.calibration.comparison.iou import mask_ious
from samotion.calibration.comparison.tracking import clicks, propagate
from samotion.calibration.recording.activations import made_scene
from samotion.engines.bundle import Bundle
from samotion.engines.ort.session import CPU, Execution

FRAMES = 100  # propagated, after the clicked one
SCENE = 9  # used for nothing else
MEAN_IOU = 0.98  # at least, FP16's masks with FP32's, over frames and objects
GRAPHS = ("mask_encoder", "mask_decoder", "memory_encoder", "memory_attention")


def follow(reference: Path, trial: Path, execution: Execution = CPU, frames: int = FRAMES) -> dict[str, Any]:
    """Return how well the masks of two bundles agree over ``frames`` frames of a scene, each reading its own memory.

    trial: float16 graphs as samotion.export.graph.fp16_emulation makes them for a CPU.
    """
    clip, made = made_scene(SCENE, frames + 1)
    prompts = clicks(made)
    masks = []
    for folder in (reference, trial):
        with Bundle.load(folder, execution.provider, execution.threads) as bundle:
            masks.append(propagate(bundle, clip, prompts))
    wanted, found = masks
    iou = mask_ious(found > 0, wanted > 0)
    return {
        "frames": frames,
        "objects": len(prompts),
        "empty": float((~(wanted > 0).any(axis=(2, 3))).mean()),
        "mean_iou": float(iou.mean()),
        "last_quarter_iou": float(iou[:, -max(1, frames // 4) :].mean()),
        "least_iou": float(iou.min()),
        "finite": bool(np.isfinite(found).all()),
        "passed": bool(np.isfinite(found).all() and iou.mean() >= MEAN_IOU),
    }
