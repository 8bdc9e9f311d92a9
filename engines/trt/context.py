"""One execution context of a TensorRT plan, in memory that is given to it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from samotion.engines.device import Buffer, Stream

Shapes = dict[str, tuple[int, ...]]


class Place(NamedTuple):
    """Where a tensor of one run is on the GPU, and its size in bytes."""

    address: int
    size: int


Places = Mapping[str, Place]


class Context:
    """What runs a plan: it is given shapes and addresses, and enqueues runs on ``stream``.

    context: TensorRT's. outputs: their names. scratch: memory of activations, which contexts of one stream share.
    failed: makes the error where TensorRT refuses. answers: the outputs' shapes, once fitted.
    """

    def __init__(
        self, context: Any, outputs: Sequence[str], stream: Stream, scratch: Buffer, failed: Callable[[], Exception]
    ) -> None:
        self.answers: Shapes = {}
        self._context, self._outputs = context, outputs
        self._stream, self._scratch, self._failed = stream, scratch, failed
        self._shapes: Shapes = {}
        self._memory = (0, 0)

    def fit(self, shapes: Shapes) -> None:
        """Make ready for inputs of these shapes; raises ``failed``'s error."""
        if shapes != self._shapes:
            self._shapes = {}  # of a half-done change nothing is known
            self._reshape(shapes)
            self._shapes = shapes
        memory = self._scratch.where, self._scratch.size
        if memory != self._memory:  # another context of the plan has made it grow
            self._context.set_device_memory(*memory)
            self._memory = memory

    def run(self, inputs: Places, outputs: Places) -> None:
        """Enqueue a run from and to these places; raises ``failed``'s error."""
        for name, place in (*inputs.items(), *outputs.items()):
            self._context.set_tensor_address(name, place.address)
        self.again()

    def again(self) -> None:
        """Enqueue the same run once more; raises ``failed``'s error."""
        if not self._context.execute_async_v3(self._stream.cuda.handle):
            raise self._failed()

    def _reshape(self, shapes: Shapes) -> None:
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise self._failed()
        if self._context.infer_shapes():
            raise self._failed()
        self._stream.room(self._scratch, int(self._context.update_device_memory_size_for_shapes()))
        self._memory = (0, 0)  # asked for again after a change of shapes
        self.answers = {name: tuple(self._context.get_tensor_shape(name)) for name in self._outputs}
