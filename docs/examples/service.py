"""A web service: uvicorn service:app, then curl --data-binary @dog.mp4 -H 'Content-Type: video/mp4' :8000/objects"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException

import samotion


@asynccontextmanager
async def networks(app: FastAPI) -> AsyncIterator[None]:
    """Load the networks once; requests share them and take turns, window by window."""
    with samotion.load() as app.state.model:
        yield


app = FastAPI(lifespan=networks)


@app.post("/objects")
def objects(video: Annotated[bytes, Body(media_type="video/mp4")]) -> list[dict[str, object]]:
    """Return where each mover is; a video that cannot be read is answered with the line that says why."""
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(video)
        file.flush()
        try:
            result = app.state.model(file.name)
        except samotion.SamotionError as error:
            raise HTTPException(422, str(error)) from error
    return [
        {"id": found.id, "score": found.score, "frames": found.frames.tolist(), "boxes": found.boxes.tolist()}
        for found in result.objects
    ]
