"""NumPy: the label maps and what is known of the objects, as arrays, window by window."""

import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.output.formats.format import Format, MaskFrame, Target
from samotion.runtime.values import WindowResult


class Npz(Format):
    """masks.npz. Those of the second window are called labels_1 and so on, as in tracks.npz.

    labels: (T, H, W) uint8, or uint16 where an id is above 255. source_index: (T,) int64, and times: (T,) float64, as
    in a Clip. ids: (K,) int64; scores: (K,) float32; states: (K, T) uint8, as in a WindowResult.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._file = zipfile.ZipFile(target.folder / "masks.npz", "w", zipfile.ZIP_DEFLATED)
        self._windows = 0
        self._labels: IO[bytes] | None = None

    def add(self, frame: MaskFrame) -> None:
        """Write the next frame, and with a window's first what belongs to all of the window."""
        if frame.index == 0:
            self._begin(frame.window, frame.labels)
        assert self._labels is not None  # every window has a first frame
        self._labels.write(frame.labels.tobytes())
        if frame.index == len(frame.window.clip.frames) - 1:
            self._labels.close()
            self._windows += 1

    def close(self) -> None:
        """Close the file."""
        if self._labels is not None:
            self._labels.close()
        self._file.close()

    def _begin(self, window: WindowResult, labels: NDArray[Any]) -> None:
        clip = window.clip
        small = {"source_index": clip.source_index, "times": clip.times, "ids": window.identities}
        for name, values in {**small, "scores": window.scores, "states": window.states}.items():
            with self._entry(name) as file:
                np.lib.format.write_array(file, np.asarray(values), allow_pickle=False)
        self._labels = self._entry("labels")
        header = np.lib.format.header_data_from_array_1_0(labels)
        np.lib.format.write_array_header_1_0(self._labels, {**header, "shape": (len(clip.frames), *labels.shape)})

    def _entry(self, name: str) -> IO[bytes]:
        own = f"{name}_{self._windows}.npy" if self._windows else f"{name}.npy"
        return self._file.open(own, "w", force_zip64=True)
