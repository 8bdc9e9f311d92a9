"""Masks for COLMAP or nerfstudio beside a folder of photos: python colmap_masks.py photos"""

import sys
from pathlib import Path

import samotion


def write_masks(photos: str) -> Path:
    """Return the folder whose masks are black where anything moves, 5 pixels around it included."""
    with samotion.load() as model:
        folder = model(photos).save("out", overlay=False, formats=("colmap",), dilate=5)
    return folder / "colmap" / "masks"


if __name__ == "__main__":
    print(f"colmap feature_extractor --ImageReader.mask_path {write_masks(sys.argv[1])} ...")
