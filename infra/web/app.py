"""The page as one application, and how it is served."""

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from infra.web.api import routes as api
from infra.web.errors import handle_faults
from infra.web.guard import Guard, check_csrf
from infra.web.health import router as health
from infra.web.language import switch
from infra.web.language.catalogs import check_language
from infra.web.pages import (
    agreement,
    audit,
    classifier,
    codebook,
    drift,
    explanation,
    import_export,
    new_study,
    overview,
    people,
    queue,
    rules,
    segments,
    texts,
)
from infra.web.pages.analysis import documents, groups, tables, views
from infra.web.pages.coding import original, panel, rules_applied, spans
from infra.web.pages.curation import bulk, similar
from infra.web.pages.discussion import comments, memos
from infra.web.pages.rating import rate, rating_list, rating_results
from infra.web.sessions import Sessions, signing_key
from infra.web.site import FOLDER, Site

PAGES = (
    overview,
    queue,
    codebook,
    bulk,
    similar,
    segments,
    panel,
    spans,
    original,
    explanation,
    groups,
    tables,
    documents,
    views,
    memos,
    comments,
    agreement,
    rating_list,
    rate,
    rating_results,
    classifier,
    drift,
    rules,
    rules_applied,
    import_export,
    new_study,
    texts,
    people,
    audit,
    switch,
)


def make_app(site: Site) -> FastAPI:
    """The application over one site.

    Raises:
        SettingError: If the page does not speak the language of the settings.
    """
    check_language(site.settings.web_language)
    sessions = Sessions(signing_key(site.settings), site.clock, site.accounts.sessions)
    app = FastAPI(
        title="Qualstream", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(check_csrf)]
    )
    app.state.site, app.state.sessions = site, sessions
    app.add_middleware(Guard, site=site, sessions=sessions)
    if site.settings.web_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(site.settings.web_proxies))
    handle_faults(app)
    # Pages stay as they are: with a secret in them (CSRF) and a word of the asker's beside it, their length would tell.
    app.mount("/static", GZipMiddleware(StaticFiles(directory=FOLDER / "static")), name="static")
    for page in PAGES:
        app.include_router(page.router)
    app.include_router(api.router)
    app.include_router(health)
    return app
