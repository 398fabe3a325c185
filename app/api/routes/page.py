"""`GET /`: what is here, as JSON to programs and as a page to browsers; and the files of the page.

The page is `app/page`: plain modules of JavaScript that ask the same routes as everybody.
"""

import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from app import __version__
from app.api.body_kinds import HTML
from app.api.openapi import INDEX
from app.api.routes.common import get, json_response
from app.formats.smiles import is_available
from app.protocol.schemas import Index

FOLDER = Path(__file__).resolve().parents[2] / "page"
FILES_PATH = "/page"
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page takes scripts, styles and data from this service alone, and nothing that stands inline."""
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
"""Of the page and of all its files: a new version of the service is a new page at once."""
PAGE_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": CONTENT_POLICY,
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}

router = APIRouter(tags=["health"])


class Files(StaticFiles):
    """The files of the page."""

    def file_response(
        self, full_path: str | os.PathLike[str], *args: Any, **options: Any
    ) -> Response:
        """A file, or that it has not changed."""
        response = super().file_response(full_path, *args, **options)
        response.headers.update(HEADERS)
        return response


@get(router, "/", summary="What is here?", **INDEX)
async def index(request: Request) -> Response:
    """Whose address this is, and where its documentation is; to a browser, the page."""
    if HTML in request.headers.get("accept", ""):
        return FileResponse(FOLDER / "index.html", headers=PAGE_HEADERS, media_type=HTML)
    what = Index(service="equipot", version=__version__, docs="/docs", smiles=is_available())
    return json_response(what, headers={"Vary": "Accept"})
