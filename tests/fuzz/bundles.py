"""Damaged bundles: bundle.json by bytes and by fields, and the graphs' files."""

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz.harness import Case, damaged
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.bundle import Bundle
from samotion.engines.bundle_files import hash_of
from samotion.engines.manifest import EMBEDDED, FILE, GRAPHS, read
from samotion.export.plans.profiles import profile
from samotion.runtime.settings import Settings

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2**70,
    1.5,
    -1e300,
    "",
    "x",
    "../x",
    "/etc/passwd",
    "\x1b[1m",
    "\ud800",
    [],
    {},
    [[]],
    {"x": 1},
)


def damaged_bundles(rng: random.Random, count: int, scratch: Path) -> Iterator[Case]:
    """Yield bundles that are loaded with every engine and run once; three in four are damaged in bundle.json."""
    folder = tiny_bundle(scratch / "tiny")
    for name in ("depth", "motion"):
        shutil.copy(folder / f"{name}.onnx", scratch)
    texts = [(folder / FILE).read_bytes(), (EMBEDDED / FILE).read_bytes()]
    for number in range(count):
        text = texts[0] if number % 8 else texts[1]
        graph = (scratch / "depth.onnx").read_bytes()
        if number % 4 == 0:
            graph = damaged(graph, rng)
            (scratch / "hashed.onnx").write_bytes(graph)
            data = json.loads(texts[0])
            data["graphs"]["depth"]["sha256"] = {"depth.onnx": hash_of(scratch / "hashed.onnx")}
            text = json.dumps(data).encode()
        elif number % 4 == 1:
            text = damaged(text, rng)
        else:
            text = json.dumps(_changed(json.loads(text), rng)).encode()
        (folder / FILE).write_bytes(text)
        (folder / "depth.onnx").write_bytes(graph)
        yield Case(f"bundle {number}", lambda: _use(folder))


def _changed(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return the manifest with one to three fields changed, added, removed or taken from elsewhere in it."""
    for _ in range(rng.randint(1, 3)):
        places = list(_places(data))
        holder, key = rng.choice(places)
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1:
                holder[key] = copy.deepcopy(rng.choice(places)[0])
            case 2 if isinstance(holder, dict):
                holder[str(rng.choice(ODD))] = holder.pop(key)
            case 3 if isinstance(holder, dict):
                holder["surprise"] = 1
            case _:
                holder[key] = rng.choice(ODD)
    return data


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every holder and key in ``data``."""
    for key in list(data) if isinstance(data, dict) else range(len(data)):
        yield data, key
        if isinstance(data[key], dict | list):
            yield from _places(data[key])


def _use(folder: Path) -> None:
    """Do with a bundle all that needs no video."""
    manifest = read(folder)
    Settings().override(manifest.settings)
    read(folder).dumps()
    with Bundle.load(folder, threads=1) as bundle:
        for name in GRAPHS:
            engine = bundle.engine(name)
            if [spec.name for spec in engine.inputs] == ["x"]:
                engine(x=np.ones((2, 2), np.float32))
            profile(manifest, "depth")
