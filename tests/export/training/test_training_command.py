"""One command trains all networks: what it asks of each, and that it goes on where it was."""

from collections.abc import Callable
from pathlib import Path

import pytest

from samotion.export.presets import PRESETS
from samotion.export.training import __main__ as command
from samotion.export.training.motion import motion_recipe
from samotion.export.training.tapir import tapir_recipe


def test_every_shipped_network_is_trained_and_motion_after_what_it_learns_from() -> None:
    trained = list(command.MINUTES)
    assert {f"{name}.safetensors" for name in trained} == {n.weights for n in PRESETS["nano"].networks.values()}
    assert trained.index("motion") > max(trained.index(name) for name in ("tapir", "depth", "semantics"))


def test_what_is_trained_already_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def ends_with(status: int) -> Callable[[list[str]], int]:
        def main(argv: list[str]) -> int:
            asked.append(argv)
            return status

        return main

    monkeypatch.setattr(motion_recipe, "main", ends_with(0))
    monkeypatch.setattr(tapir_recipe, "main", ends_with(3))
    for name in ("tapir", "depth", "semantics", "masks"):
        (tmp_path / f"{name}.json").write_text("{}")
    assert command.main(["--data", "clips", "-o", str(tmp_path), "--part", "0.5"]) == 0
    (only,) = asked
    given = motion_recipe.parser().parse_args(only)
    assert given.davis == Path("clips")
    assert given.minutes == command.MINUTES["motion"] / 2
    assert "motion: " in capsys.readouterr().out
    (tmp_path / "tapir.json").unlink()
    assert command.main(["--data", "clips", "-o", str(tmp_path)]) == 3  # and nothing after it
    assert len(asked) == 2
