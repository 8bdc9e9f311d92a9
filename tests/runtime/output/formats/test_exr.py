import tempfile

import numpy as np
import OpenEXR
from hypothesis import given, settings
from tests.support.made_results import label_maps, made_result

from samotion.runtime.values import Labels


@settings(max_examples=10)
@given(label_maps())
def test_layers_are_the_masks(labels: Labels) -> None:
    result = made_result(labels)
    with tempfile.TemporaryDirectory() as out:
        folder = result.save(out, overlay=False, formats=("exr",))
        for number, own in enumerate(labels):
            with OpenEXR.File(str(folder / "exr" / f"{number:05d}.exr"), separate_channels=True) as file:
                layers = {name: channel.pixels for name, channel in file.channels().items()}
            np.testing.assert_array_equal(layers.pop("A"), own > 0)
            assert {f"object{identity}.A" for identity in np.unique(own) if identity} <= set(layers)
            for name, pixels in layers.items():
                np.testing.assert_array_equal(pixels, own == int(name.removeprefix("object").removesuffix(".A")))
