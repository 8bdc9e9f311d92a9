"""Small inputs with known damage, every frame of which carries its number; tests/cases/README.md says which."""

from tests.support.paths import TESTS

from samotion.runtime.values import Bytes

CASES = TESTS / "cases"
MEDIA, DAMAGED, BOMBS = CASES / "media", CASES / "damaged", CASES / "bombs"


def code(image: Bytes) -> int:
    """Return the number that a frame (H, W, 3) carries as five blocks, black or white, at the bottom left."""
    height, width = image.shape[:2]
    margin, block = min(width, height) // 6, max(6, width // 16)
    blocks = (image[-block:, margin + 6 + k * block : margin + 6 + (k + 1) * block] for k in range(5))
    return sum(int(inside[2:-2, 2:-2].mean() > 127) << k for k, inside in enumerate(blocks))
