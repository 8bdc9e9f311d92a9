import tempfile

import numpy as np
from hypothesis import given, settings
from tests.support.made_results import LENGTH, label_maps, made_result

from samotion.runtime.values import Labels


@settings(max_examples=10)
@given(label_maps())
def test_arrays_are_those_of_the_windows(labels: Labels) -> None:
    result = made_result(labels)
    with tempfile.TemporaryDirectory() as out:
        folder = result.save(out, overlay=False, formats=("npz",))
        with np.load(folder / "masks.npz") as arrays:
            held = dict(arrays)
    suffixes = ["", *[f"_{number}" for number in range(1, -(-len(labels) // LENGTH))]]
    np.testing.assert_array_equal(np.concatenate([held[f"labels{end}"] for end in suffixes]), labels)
    np.testing.assert_array_equal(np.concatenate([held[f"times{end}"] for end in suffixes]), result.times)
    for end, window in zip(suffixes, result.windows, strict=True):
        for name, value in (("ids", window.identities), ("scores", window.scores), ("states", window.states)):
            np.testing.assert_array_equal(held[name + end], value)
        np.testing.assert_array_equal(held[f"source_index{end}"], window.clip.source_index)
