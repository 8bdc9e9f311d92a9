"""Every command on a page runs, or says what it needs and at least parses."""

import argparse
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.docs.blocks import NEEDS, Block, blocks, commands, own_program
from tests.support.paths import ROOT
from tests.support.video_files import picture, write_image, write_video

from samotion.runtime import cli

SHELL, PYTHON = blocks("sh"), blocks("python")
OTHERS = {"colmap", "docker", "ffmpeg", "git", "kubectl", "mkdocs", "polygraphy", "rerun", "ruff", "sbatch"}


class Parsed(BaseException):
    """Arguments were accepted."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the pages name; the demo is as short as they are."""
    frames = [picture(48, 64, shade) for shade in (0, 40, 80)]
    write_video(tmp_path / "dog.mp4", frames)
    write_video(tmp_path / "street.mov", frames)
    for name in ("frames", "shots"):
        (tmp_path / name).mkdir()
        for index, frame in enumerate(frames):
            write_image(tmp_path / name / f"{index:05d}.png", frame)
    monkeypatch.setattr(cli, "DEMO", tmp_path / "dog.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def only_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs end once their arguments are accepted."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        parse(parser, *arguments)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)


@pytest.mark.parametrize("block", [block for block in SHELL if not block.needs], ids=str)
@pytest.mark.usefixtures("folder")
def test_commands_run(block: Block) -> None:
    for words in commands(block.text):
        program = own_program(words)
        assert program is not None, f"{words[0]} is not a program of samotion; say above the block what it needs"
        main, arguments = program
        try:
            status = main(arguments)
        except SystemExit as end:  # --help, --version
            status = int(end.code or 0)
        assert status == 0, words


@pytest.mark.parametrize("block", [block for block in SHELL if block.needs], ids=str)
@pytest.mark.usefixtures("only_parse")
def test_commands_that_need_something_parse(block: Block) -> None:
    assert block.needs <= NEEDS
    for words in commands(block.text):
        program = own_program(words)
        if program is None:
            check_other(words)
            continue
        main, arguments = program
        with pytest.raises((Parsed, SystemExit)) as end:
            main(arguments)
        assert not (isinstance(end.value, SystemExit) and end.value.code), words


def check_other(words: list[str]) -> None:
    """Check what can be checked of a command that is not ours."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    match words:
        case ["pip", "install", *rest]:
            for names in re.findall(r"\[([\w,]+)\]", " ".join(rest)):
                assert set(names.split(",")) <= extras.keys(), words
        case ["pytest", *rest]:
            missing = [word for word in rest if word.startswith("tests") and not (ROOT / word).exists()]
            assert not missing, words
        case ["python3" | "python", "-m", "venv" | "build" | "tests.fuzz" | "webbrowser", *_]:
            pass
        case ["python3", program] if program.startswith("docs/examples/"):
            assert (ROOT / program).is_file(), words
        case [program, *_] if program.startswith(".ci/"):
            assert (ROOT / program).is_file(), words
        case [program, *_]:
            assert program in OTHERS, words


@pytest.mark.parametrize("block", PYTHON, ids=str)
@pytest.mark.usefixtures("folder")
def test_python_runs(block: Block) -> None:
    assert not block.needs
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})


def test_every_block_has_a_known_language() -> None:
    assert {block.language for name in ("bash", "console", "shell", "py") for block in blocks(name)} == set()
    assert SHELL
    assert PYTHON
