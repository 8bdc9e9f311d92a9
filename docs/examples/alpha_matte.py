"""Each mover cut out, as ProRes 4444 with alpha for an editor: python alpha_matte.py dog.mp4"""

import sys
from pathlib import Path

import samotion


def cut_out(video: str) -> list[Path]:
    """Return one video of all movers, and one of each, at the source's rate and size."""
    with samotion.load() as model:
        folder = model(video).save("out", overlay=False, formats=("alpha",))
    return sorted((folder / "alpha").iterdir())


if __name__ == "__main__":
    print(*cut_out(sys.argv[1]), sep="\n")
