"""samotion-run --published: the published system's choices, whatever the bundle states; other options still count."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.support.video_files import picture, write_image

from samotion.engines.bundle import Bundle
from samotion.runtime import job
from samotion.runtime.cli import main
from samotion.runtime.settings import Settings


class Seen(Exception):
    """Ends the run where the pipeline would begin."""


def settings_of(monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> Settings:
    seen: list[Settings] = []

    def stop(*given: Any) -> None:
        seen.append(given[2])
        raise Seen

    own = {"clicks": 8, "prompt_step": 4, "background_clicks": 8, "max_tracks": 700}
    bundle = Bundle.load()
    bundle.manifest = dataclasses.replace(bundle.manifest, settings=own)
    monkeypatch.setattr(Bundle, "load", lambda *_, **__: bundle)
    monkeypatch.setattr(job, "stream", stop)
    (folder / "frames").mkdir(exist_ok=True)
    write_image(folder / "frames" / "0.png", picture(32, 32))
    assert main([str(folder / "frames"), "-o", str(folder / "out"), "--quiet", *options]) == 70
    return seen[0]


@pytest.mark.parametrize("option", ["--published", "--parity"])  # the second is its earlier name
def test_the_published_column(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str) -> None:
    found = settings_of(monkeypatch, tmp_path, option)
    assert found == Settings(
        step=10,
        grid_pixels=9000,
        max_tracks=5000,
        max_side=1000,
        max_frames=100,
        window=None,
        prompt_step=16,
        clicks=1,
        background_clicks=0,
        best_three=True,
        published_resizing=True,
    )


def test_other_options_count_on_top(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = settings_of(monkeypatch, tmp_path, "--published", "--max-frames", "30", "--seed", "4")
    assert (found.max_frames, found.seed, found.best_three) == (30, 4, True)


def test_without_it_nothing_may_move(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = settings_of(monkeypatch, tmp_path)
    assert not found.best_three
    assert (found.max_frames, found.clicks, found.prompt_step) == (None, 8, 4)
