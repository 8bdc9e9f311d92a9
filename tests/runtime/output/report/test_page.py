"""The report as files, and as a browser shows it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from tests.support.browser import browser, opened
from tests.support.made_results import made_result, made_windows
from tests.support.video_files import picture, write_video

from samotion.runtime.cli import main
from samotion.runtime.output.report import page as report
from samotion.runtime.output.report.page import page_size
from samotion.runtime.result import Result
from samotion.runtime.values import WindowResult

FRAMES, HEIGHT, WIDTH = 9, 48, 64
LABELS = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
LABELS[:, 20:40, 4:24] = 1
LABELS[[0, 1, 6, 7, 8], 20:40, 40:60] = 2  # hidden for a while
ABOUT = {"input": {"path": "</script><b>a path</b>"}, "settings": {"seed": 7}, "warnings": ["a <warning>"]}
PIXEL = (
    "([x, y]) => [...document.getElementById('canvas').getContext('2d').getImageData(x, y, 1, 1).data.slice(0, 3)]"
)
NAMED = """() => [...document.querySelectorAll('button, input, summary, [tabindex="0"]')].filter((item) =>
  !(item.ariaLabel || item.textContent.trim() || item.labels?.length)).map((item) => item.outerHTML)"""


def shade(window: WindowResult) -> WindowResult:
    """Give each frame a grey that tells its number, and a depth."""
    clip = window.clip
    frames = np.empty_like(clip.frames)
    frames[:] = (20 * (1 + clip.source_index)).astype(np.uint8)[:, None, None, None]
    depth = np.tile(np.arange(0, 250, 10, dtype=np.uint8)[:, None], (len(frames), 1, 32))  # near at the bottom
    return replace(window, clip=replace(clip, frames=frames), depth=depth)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = Result([shade(window) for window in made_windows(iter(LABELS))], ABOUT)
    return result.save(tmp_path_factory.mktemp("report"), report=True) / "report.html"


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture
def page(running: Browser, written: Path) -> Iterator[Page]:
    with opened(running, written.as_uri()) as found:
        found.wait_for_selector("html[data-ready=yes]")
        yield found


def at_frame(page: Page, number: int) -> None:
    """Wait for a frame and its grey beside all objects: a browser may show it a moment after its number."""
    page.wait_for_selector(f'#canvas[aria-label^="Frame {number},"]')
    has_grey(page, 20 * (1 + number))


def has_grey(page: Page, wanted: int) -> None:
    """Wait until a place beside all objects is grey, by the level ``wanted``."""
    page.wait_for_function(f"(wanted) => ({PIXEL})([32, 6]).every((own) => Math.abs(own - wanted) <= 4)", arg=wanted)


def test_one_file_that_nothing_is_left_beside_and_that_is_replaced(written: Path, tmp_path: Path) -> None:
    names = {path.name for path in written.parent.iterdir()}
    assert names == {"masks", "overlay.mp4", "report.html", "result.json", "tracks.npz"}
    text = written.read_text()
    assert not re.findall(r"(?:src|href)=\"(?!#)", text)
    assert text.count("</script>") == text.count("<script")
    result = made_result(LABELS)
    result.save(tmp_path, report=True)
    folder = result.save(tmp_path)
    assert not (folder / "report.html").exists()


def test_the_command_writes_it_too(tmp_path: Path) -> None:
    write_video(tmp_path / "dog.mp4", [picture(48, 64, shade) for shade in (0, 40, 80)])
    assert main([str(tmp_path / "dog.mp4"), "--report", "--quiet", "--max-tracks", "32", "-o", str(tmp_path)]) == 0
    text = (tmp_path / "dog/report.html").read_text()
    assert '"Provider": "cpu"' in text
    assert '"max_tracks": 32' in text


def test_frames_past_the_most_are_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(report, "MOST_FRAMES", 4)
    text = (made_result(LABELS).save(tmp_path, report=True) / "report.html").read_text()
    assert '"frames": [0, 1, 2, 3]' in text
    assert "shows the first 4 frames" in caplog.text


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [((720, 1280), 1, (540, 960)), ((1, 1), 1, (2, 2)), ((48, 64), 1, (48, 64)), ((576, 720), 16 / 15, (576, 768))],
)
def test_the_size_of_its_frames(size: tuple[int, int], aspect: float, expected: tuple[int, int]) -> None:
    assert page_size(size, aspect) == expected


def test_every_frame_is_reached_by_keys_and_is_the_right_one(page: Page) -> None:
    for number in range(FRAMES):
        at_frame(page, number)
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    at_frame(page, 0)
    page.focus("#frame")
    for _ in range(4):  # faster than the film follows
        page.keyboard.press("ArrowRight")
    at_frame(page, 4)
    page.keyboard.press("End")
    at_frame(page, FRAMES - 1)
    assert page.get_attribute("#frame", "aria-valuetext") == "Frame 8, 0.32 s"


def test_it_plays_to_the_end_and_can_be_stopped(page: Page) -> None:
    page.click("#play")
    page.wait_for_selector("#play:has-text('Pause')")
    at_frame(page, FRAMES - 1)
    page.wait_for_selector("#play:has-text('Play')")


def test_masks_can_be_hidden_one_by_one_and_all_at_once(page: Page) -> None:
    at_frame(page, 0)
    inside = [[10, 30], [50, 30]]
    first, second = (page.evaluate(PIXEL, place) for place in inside)
    assert first[0] - first[1] > 30  # red
    assert second[1] - second[0] > 30  # green
    page.uncheck("#objects tr:first-child input")
    plain, second = (page.evaluate(PIXEL, place) for place in inside)
    assert max(plain) - min(plain) <= 4
    assert second[1] - second[0] > 30
    page.click("#none")
    assert max(page.evaluate(PIXEL, inside[1])) < 40
    page.click("#all")
    page.uncheck("#masks")
    assert max(page.evaluate(PIXEL, inside[0])) < 40


def test_tracks_are_drawn_in_the_colour_of_what_moves(page: Page) -> None:
    at_frame(page, 0)
    page.check("#tracks")
    red, green, blue = page.evaluate(PIXEL, [3, 3])
    assert red > green > blue
    assert red > 150


def test_depth_takes_the_place_of_the_picture(page: Page) -> None:
    at_frame(page, 0)
    page.check("#depth")
    near, far = page.evaluate(PIXEL, [62, 46]), page.evaluate(PIXEL, [62, 2])
    assert max(near) - min(near) <= 4
    assert near[0] > far[0] + 60
    page.uncheck("#depth")
    at_frame(page, 0)


def test_timelines_and_facts_are_told_in_words(page: Page) -> None:
    labels = [strip.get_attribute("aria-label") for strip in page.query_selector_all(".strip")]
    assert labels[0] == "Object 1, by frame: moving 0 to 8. Go to where it is first seen"
    assert "moving 0 to 1, hidden 2 to 5, moving 6 to 8" in (labels[1] or "")
    assert page.inner_text("h1") == "made"
    assert page.inner_text("#warnings") == "a <warning>"
    assert "</script><b>a path</b>" in (page.text_content("#facts") or "")
    assert "seed" in (page.text_content("#settings") or "")
    assert page.evaluate(NAMED) == []
    page.keyboard.press("ArrowRight")
    at_frame(page, 1)
    page.focus(".strip")
    page.keyboard.press("Enter")
    at_frame(page, 0)


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_suits_the_screen_and_its_scheme(running: Browser, written: Path, width: int, dark: bool) -> None:
    with opened(running, written.as_uri(), width, dark) as page:
        page.wait_for_selector("html[data-ready=yes]")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == ("rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)")


def test_where_nothing_moves_it_says_so(running: Browser, tmp_path: Path) -> None:
    folder = made_result(np.zeros((1, HEIGHT, WIDTH), np.uint8)).save(tmp_path, report=True)
    with opened(running, (folder / "report.html").as_uri()) as page:
        page.wait_for_selector("html[data-ready=yes]")
        assert page.is_visible("#nothing")
        assert not page.is_visible("#found")
