"""Workers on a Ray cluster: an actor for every GPU, or for every group of cores, with its bundle loaded once.

Messages carry paths and outcomes, never frames.
"""

import importlib.util
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from samotion.engines.errors import EngineError
from samotion.runtime.batch.dispatch import WorkerDied
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.ledger import Outcome
from samotion.runtime.batch.stretch import Stretch
from samotion.runtime.batch.worker import IsolatedWorker, Request
from samotion.runtime.console import message_of

LOCAL = "local"
ANSWER_SECONDS = 5.0
CORES = 1  # of a worker on the CPU where --threads does not say


class RayPool:
    """Actors on the Ray cluster at ``address``, or on one started here for "local"; a context manager.

    Raises EngineError where Ray is not installed or no cluster answers.
    """

    def __init__(self, address: str, request: Request) -> None:
        if importlib.util.find_spec("ray") is None:
            raise EngineError("--ray needs Ray, which is not installed", "install it: pip install 'samotion[ray]'")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing phones home
        # Ray has workers yield to all else that runs (15): beside anything they would get next to no time.
        os.environ.setdefault("RAY_worker_niceness", "0")
        import ray

        self._ray = ray
        self._gpu = request.provider != "cpu"
        self._cores = request.threads or CORES
        self._request = request if self._gpu else replace(request, threads=self._cores)
        _require_answer(address)
        try:
            ray.init("local" if address == LOCAL else address, include_dashboard=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises bare ones, as where a node is not up within 30 s
            raise EngineError(f"--ray {address}: Ray does not start ({message_of(error)})", "try again") from error
        have: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self.size = int(have.get("GPU", 0)) if self._gpu else int(have.get("CPU", 0)) // self._cores
        if self.size < 1:
            kind = "GPU" if self._gpu else f"group of {self._cores} cores"
            raise EngineError(f"--ray {address}: the cluster has no {kind}")
        self._free = [self._actor() for _ in range(self.size)]
        self._actors: dict[Any, Any] = {}

    def start(self, item: Input | Stretch) -> Any:
        """Let a free actor begin with an input, or a stretch of one."""
        actor = self._free.pop()
        run = actor.run.remote(item)
        self._actors[run] = actor
        return run

    def wait(self, runs: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Return one that has ended, if any has within so many seconds."""
        ended, _ = self._ray.wait(list(runs), num_returns=1, timeout=seconds)
        return list(ended)

    def outcome(self, run: Any) -> Outcome:
        """Return what became of an ended run; raises WorkerDied, and starts another actor then."""
        actor = self._actors.pop(run)
        try:
            outcome: Outcome = self._ray.get(run)
        except self._ray.exceptions.RayActorError as error:
            self._free.append(self._actor())
            raise WorkerDied("the worker that was at it died") from error
        self._free.append(actor)
        return outcome

    def abandon(self, run: Any) -> None:
        """End the actor that is at a run, and start another."""
        self._ray.kill(self._actors.pop(run))
        self._free.append(self._actor())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def _actor(self) -> Any:
        options = {"num_gpus": 1} if self._gpu else {"num_cpus": self._cores}
        return self._ray.remote(IsolatedWorker).options(max_restarts=0, **options).remote(self._request)


def _require_answer(address: str) -> None:
    """Raise EngineError where nobody listens at ``address``: Ray would try for minutes, then end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise EngineError(
            f"--ray {address}: no cluster answers ({message_of(error)})", "start one: ray start"
        ) from error
