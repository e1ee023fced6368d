"""What every page needs: the stores, who is asking, and how a template is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from starlette.datastructures import URL

from infra.accounts.accounts import Accounts
from infra.accounts.audit import AuditLog
from infra.annotation.code_search import Nearby
from infra.annotation.queue import AnnotationQueue
from infra.annotation.similar_codes import SimilarCodes
from infra.files.uploads import Uploads
from infra.masking.intake import Masking
from infra.profiles.loading import Profile, load_profile
from infra.settings import Settings
from infra.storage.alerts import count_open
from infra.storage.outbox import Outbox
from infra.storage.store import Store
from infra.web.language.catalogs import languages
from infra.web.language.form_words import page_sentence, page_words
from infra.web.language.script_words import script_words
from infra.web.language.speech import spoken, teach
from infra.web.sessions import signing_key
from models.ports import Clock, Embedder
from models.routing.confidence_stages import STAGES
from schemas import Record
from schemas.feedback import attributes_of

FOLDER = Path(__file__).parent
TEMPLATES = Jinja2Templates(FOLDER / "templates")  # escapes everything: text from the stream is never HTML
teach(TEMPLATES.env)
TEMPLATES.env.filters |= {"t": page_words, "attributes": attributes_of}
_FAULTS = ("fault", "error", "token_fault", "said")
"""Values of a template that are an error's sentence."""


@dataclass(frozen=True)
class Site:
    """One running page, shared by all requests; its parts are safe to use from many threads."""

    settings: Settings
    store: Store
    accounts: Accounts
    outbox: Outbox
    embedder: Embedder
    clock: Clock
    uploads: Uploads = field(init=False)
    """Files that wait for somebody to say yes."""
    queue: AnnotationQueue = field(init=False)
    """Hands out segments to people."""
    masking: Masking = field(init=False)
    """What is masked of what comes in; its key, where there is one."""
    nearby: Nearby = field(init=False)
    """The codebooks as things are looked up in them, one for all requests."""
    similar: SimilarCodes = field(init=False)
    """Which of their codes look alike."""

    def __post_init__(self) -> None:
        """Build what stands on the stores; nothing is read yet."""
        object.__setattr__(self, "uploads", Uploads(self.settings.data_dir / "imports", signing_key(self.settings)))
        object.__setattr__(self, "queue", AnnotationQueue(self.store.database, self.clock))
        object.__setattr__(self, "masking", Masking(self.settings, self.clock))
        object.__setattr__(self, "nearby", Nearby(self.store.database, self.embedder))
        object.__setattr__(self, "similar", SimilarCodes(self.store.database, self.nearby))

    @property
    def audit(self) -> AuditLog:
        """Who did what."""
        return self.accounts.audit

    def write(self, records: Sequence[Record]) -> None:
        """Keep what a person decided, in the read model at once and on its topic soon."""
        self.outbox.keep(records)


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    site: Site = request.app.state.site
    return site


Here = Annotated[Site, Depends(site_of)]


def profile_of(site: Site) -> Profile:
    """The site's profile."""
    return _profile(site.settings.profile)


@cache  # read from its file once: a process keeps the settings that it started with
def _profile(name: str) -> Profile:
    return load_profile(name)


def draw(request: Request, template: str, values: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    """Draw a template; ``visitor``, ``study`` and ``csrf`` are there in every one.

    A request by HTMX (header ``HX-Request``) is answered with the template's part alone where it extends
    ``layout`` (see base.html and part.html). Texts are in the language of the request; errors' sentences, which are
    raised in English, are looked up here.
    """
    study: str = request.path_params.get("study") or ""
    shared = {
        "alerts_waiting": partial(_alerts_waiting, request, study),
        "visitor": getattr(request.state, "visitor", None),
        "study": study or None,
        "csrf": getattr(request.state, "csrf", ""),
        "stages": STAGES,
        "layout": "part.html" if request.headers.get("HX-Request") else "base.html",
        "language": spoken(),
        "languages": languages(),
        "here_path": _here(request),
        "script_words": script_words,
    }
    faults = {name: page_sentence(values[name]) for name in _FAULTS if isinstance(values.get(name), str)}
    return TEMPLATES.TemplateResponse(request, template, {**shared, **values, **faults}, status_code=status)


def masking_values(site: Site) -> dict[str, Any]:
    """What forms say of masking here: why names cannot be masked, and whether originals are kept."""
    return {"names_fault": site.masking.names_fault(), "has_key": site.settings.masking_key_file is not None}


def _alerts_waiting(request: Request, study: str) -> int:
    """Alerts that nobody has seen to, for the tab of every page."""
    site = site_of(request)
    return count_open(site.store.database, study, site.clock.now())


def _here(request: Request) -> str:
    """The address to come back to after a switch of the language: a form's answer has the form's own."""
    address = request.url
    if request.method not in ("GET", "HEAD"):
        address = URL(request.headers.get("referer", "/"))
    return address.path + (f"?{address.query}" if address.query else "")
