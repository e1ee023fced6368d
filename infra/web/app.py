"""The page as one application, and how it is served."""

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from infra.web import agreement, codebook, exchange, overview, people, queue, rules, segments
from infra.web.site import FOLDER, Site

PAGES = (overview, queue, codebook, segments, agreement, rules, exchange, people)


def make_app(site: Site) -> FastAPI:
    """The application over one site."""
    app = FastAPI(title="Qualstream", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for page in PAGES:
        app.include_router(page.router)
    return app
