import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from PIL import Image
from tests.support.made_results import label_maps, made_result

from samotion.runtime.values import Labels


@settings(max_examples=10)
@given(label_maps())
def test_images_hold_the_labels(labels: Labels) -> None:
    with tempfile.TemporaryDirectory() as out:
        folder = made_result(labels).save(out, overlay=False)
        read = [np.asarray(Image.open(path)) for path in sorted(Path(folder, "masks").iterdir())]
    np.testing.assert_array_equal(read, labels)
