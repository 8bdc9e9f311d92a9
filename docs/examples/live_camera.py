"""What moves in front of a camera, about a second later: python live_camera.py camera:0"""

import sys
from collections.abc import Iterator

import samotion


def watch(source: str) -> Iterator[str]:
    """Yield a line for each object of each window; a camera goes on until Ctrl-C."""
    with samotion.load(window=24, max_side=480, max_tracks=300) as model:
        for window in model.stream(source):
            for number, masks, score in zip(window.identities, window.masks.values, window.scores, strict=True):
                seconds, share = window.clip.times[-1], masks[-1].mean()
                yield f"{seconds:7.2f} s  object {number} covers {share:.1%}, and moves by itself with {score:.0%}"


if __name__ == "__main__":
    for line in watch(sys.argv[1]):
        print(line, flush=True)
