"""The examples do what they say, on a clip as short as can be."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.browser import WAIT, browser
from tests.support.made_results import made_result
from tests.support.paths import ROOT
from tests.support.video_files import picture, write_image, write_video

EXAMPLES = ROOT / "docs/examples"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a video and a few photos."""
    frames = [picture(48, 64, shade) for shade in (0, 40, 80)]
    write_video(tmp_path / "dog.mp4", frames)
    (tmp_path / "photos").mkdir()
    for number, frame in enumerate(frames):
        write_image(tmp_path / "photos" / f"IMG_{number}.png", frame)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_colmap_masks() -> None:
    masks = example("colmap_masks").write_masks("photos")
    assert sorted(path.name for path in masks.iterdir()) == [f"IMG_{number}.png.png" for number in range(3)]
    assert np.asarray(Image.open(masks / "IMG_0.png.png")).shape == (48, 64)


def test_alpha_matte() -> None:
    assert "all.mov" in [path.name for path in example("alpha_matte").cut_out("dog.mp4")]


def test_live_camera() -> None:
    assert all("object" in line for line in example("live_camera").watch("dog.mp4"))


def test_a_notebook(folder: Path) -> None:
    cells = json.loads((EXAMPLES / "first_look.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert (folder / "out/dog/report.html").is_file()


def test_a_service(folder: Path) -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    with testclient.TestClient(example("service").app) as client:
        kind = {"Content-Type": "video/mp4"}
        answer = client.post("/objects", content=(folder / "dog.mp4").read_bytes(), headers=kind)
        assert answer.status_code == 200, answer.text
        assert isinstance(answer.json(), list)
        refused = client.post("/objects", content=b"no video", headers=kind)
        assert refused.status_code == 422
        assert "\n" not in refused.json()["detail"]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The demo's page, served with a result that is ready at once."""
    pytest.importorskip("gradio")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    labels = np.zeros((3, 48, 64), np.uint8)
    labels[:, 8:24, 8:24] = 1
    page = example("demo_page").page(lambda _: made_result(labels))
    _, local, _ = page.launch(prevent_thread_lock=True, quiet=True)
    yield local
    page.close()


def test_the_demo_is_clicked(address: str, folder: Path) -> None:
    with browser() as running:
        page = running.new_page()
        page.set_default_timeout(WAIT)
        page.route(lambda url: not url.startswith(address), lambda route: route.abort())  # fonts from elsewhere
        page.goto(address)
        page.set_input_files("input[type=file]", folder / "dog.mp4")
        page.wait_for_selector("video")
        page.click("text=Find what moves")
        page.wait_for_selector("text=object 1: 3 frames, score 0.75")
