"""A page to drop a video on, which shows what moves in it: pip install 'samotion[cpu,demo]'; python demo_page.py"""

import tempfile
from collections.abc import Callable

import gradio as gr

import samotion


def page(model: Callable[[str], samotion.Result]) -> gr.Blocks:
    """Return the page; ``model`` finds what moves in the file of a video."""

    def find(video: str | None) -> tuple[str | None, str]:
        if video is None:
            raise gr.Error("Drop a video first")
        try:
            result = model(video)
        except samotion.SamotionError as error:
            raise gr.Error(str(error)) from error
        folder = result.save(tempfile.mkdtemp(), formats=())
        lines = [
            f"- object {found.id}: {len(found.frames)} frames, score {found.score:.2f}" for found in result.objects
        ]
        return str(folder / "overlay.mp4"), "\n".join(lines) or "Nothing moves by itself."

    with gr.Blocks(title="samotion", analytics_enabled=False) as made:
        gr.Markdown("# What moves by itself?")
        with gr.Row():
            video, overlay = gr.Video(label="Video"), gr.Video(label="What moves", interactive=False)
        found = gr.Markdown()
        gr.Button("Find what moves", variant="primary").click(find, video, [overlay, found])
    return made


if __name__ == "__main__":
    with samotion.load() as loaded:
        page(loaded).launch()
