"""/docs: Swagger UI from our own address, so that it works where there is no internet.

Swagger UI's script and style come from the package `fastapi-swagger`, whose code is not used (its page loads a script
that stands inside the HTML, which a strict policy forbids). Outside the document's base path; no token is needed, as
`/openapi.json` needs none: it holds nothing but what the repository says too.
"""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

DAY = 86_400
PAGE_HEADERS = {
    # Images: the style sheet holds its icons as data. Nothing inline is needed, of script or style.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_OURS = files("cronwright_api") / "docs_page"
_SWAGGER_UI = files("fastapi_swagger") / "resources"
_ASSETS = {
    "start.js": (_OURS, "text/javascript; charset=utf-8"),
    "swagger-ui-bundle.js": (_SWAGGER_UI, "text/javascript; charset=utf-8"),
    "swagger-ui.css": (_SWAGGER_UI, "text/css; charset=utf-8"),
    "favicon-32x32.png": (_SWAGGER_UI, "image/png"),
}
router = APIRouter(include_in_schema=False)


@router.get("/docs")
def page() -> Response:
    """The page; everything that it loads stands below `/docs/` or is `/openapi.json`."""
    return Response((_OURS / "index.html").read_bytes(), media_type="text/html", headers=PAGE_HEADERS)


@router.get("/docs/{name}")
def asset(name: str) -> Response:
    """A script, style or image of the page; names are looked up, never joined to a path."""
    if name not in _ASSETS:
        raise HTTPException(404)
    folder, media_type = _ASSETS[name]
    headers = {"Cache-Control": f"public, max-age={DAY}", "X-Content-Type-Options": "nosniff"}
    return Response((folder / name).read_bytes(), media_type=media_type, headers=headers)
