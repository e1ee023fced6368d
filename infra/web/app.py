"""The page as one application, and how it is served."""

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from infra.web import agreement, classifier, codebook, drift, exchange, overview, people, queue, rules, segments, why
from infra.web.faults import handle_faults
from infra.web.guard import Guard, check_csrf
from infra.web.sessions import Sessions, signing_key
from infra.web.site import FOLDER, Site

PAGES = (overview, queue, codebook, segments, why, agreement, classifier, drift, rules, exchange, people)


def make_app(site: Site) -> FastAPI:
    """The application over one site."""
    sessions = Sessions(signing_key(site.settings), site.clock)
    app = FastAPI(
        title="Qualstream", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(check_csrf)]
    )
    app.state.site, app.state.sessions = site, sessions
    app.add_middleware(Guard, site=site, sessions=sessions)
    handle_faults(app)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for page in PAGES:
        app.include_router(page.router)
    return app
