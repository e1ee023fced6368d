"""Server time of a decision on the page's queue: `python -m benchmarks.page [--write]`."""

import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.pages.layout import Report, options, publish
from infra.accounts.accounts import Accounts
from infra.clock import SystemClock
from infra.factory.models import Models
from infra.factory.stores import build_store
from infra.settings import load_settings
from infra.storage.outbox import Outbox
from infra.web.app import make_app
from infra.web.sessions import COOKIE
from infra.web.site import Site
from models.errors import QualstreamError
from schemas import Annotation, AnnotationRequest, Assignment, CodeEvent, Decision, Proposal, Record, Segment
from schemas.ids import code_event_id, code_id, segment_id

STUDY, BASE = "page", "http://127.0.0.1:8642"
TARGET_MS = 100
SOURCES = 50
AT = datetime(2026, 1, 1, tzinfo=UTC)
_THINGS = ("payment", "login", "voice message", "photo", "account", "timer", "search", "export", "battery", "price")
_PARTS = ("screen", "button", "page", "upload", "history", "settings", "update", "support", "limit", "colour")
_SAYS = ("is slow", "fails", "is confusing", "is missing", "crashes", "is loved", "is too small", "costs too much")

HOW = """\
- **Read model.** SQLite on disk (WAL, synchronous=FULL) with {segments:,} segments from {sources} sources, each with
  decision and assignment, {codes:,} codes, {done:,} requests that people have answered before and {open:,} open ones.
- **A decision.** One request by HTMX to the whole application (session, role, CSRF, headers, templates) in one process:
  it makes the records, keeps them in the read model and the outbox in one transaction, claims and locks the next
  segment in another, looks for the nearest codes with the profile's embedder, and draws the page. Every tenth
  decision writes a new code, which has the codebook read again. The time is what a client in the same
  process waits; there is no network in it. Below it the CPU time that it took, which other work disturbs less.
- **Search.** One request of the type-ahead over the same codebook.
- **The machine** was otherwise idle, as far as its load (in the JSON line) tells.
"""


def labels() -> Iterator[str]:
    """Different labels, the same in every run."""
    for n, (thing, part, says) in enumerate(product(_THINGS, _PARTS, _SAYS)):
        yield f"{thing} {part} {says}"
        yield f"{thing} {part} {says} since update {n % 7}"
        yield f"{says.removeprefix('is ')} {thing} {part}"


def history(names: list[str], count: int, asked: int, done: int) -> Iterator[Record]:
    """Everything that is recorded about the study before the first decision."""
    for label in names:
        code = code_id(STUDY, label)
        given = {"id": code_event_id(code, "created", "benchmark"), "code_id": code, "study": STUDY, "kind": "created"}
        yield CodeEvent.model_validate({**given, "label": label, "author": "benchmark", "at": AT})
    for n in range(count):
        label = names[n * 7 % len(names)]
        text = f"The {label}, and I have told them so before: please look at it, number {n} of many. Thank you."
        at = AT + timedelta(seconds=n)
        segment = Segment(
            id=segment_id(STUDY, "benchmark", str(n)),
            study=STUDY,
            text=text,
            source=f"source {n % SOURCES}",
            timestamp=at,
            language="en",
            metadata={"rating": n % 5 + 1},
        )
        yield from coded(segment, label, at)
        if n < asked + done:
            yield from request(segment, label, at, answered=n < done)


def coded(segment: Segment, label: str, at: datetime) -> Iterator[Record]:
    proposals = [
        Proposal(member=name, model="benchmark@1", label=said, latency_s=0.1)
        for name, said in (("a", label), ("b", label.upper()), ("c", " ".join(reversed(label.split()))[:80]))
    ]
    given: dict[str, Any] = {"verdict": "consensus", "why": "most proposals agree"}
    yield Decision(segment=segment, proposals=proposals, label=label, agreement=0.8, moderator="consensus", **given)
    yield Assignment(
        segment_id=segment.id,
        study=STUDY,
        code_id=code_id(STUDY, label),
        label=label,
        proposed=label,
        new=False,
        similarity=0.9,
        confidence=0.4,
        route="people",
        assigned_at=at,
        **given,
    )
    yield segment


def request(segment: Segment, label: str, at: datetime, *, answered: bool) -> Iterator[Record]:
    code = code_id(STUDY, label)
    yield AnnotationRequest(
        segment_id=segment.id,
        study=STUDY,
        code_id=code,
        label=label,
        confidence=0.4,
        reason="low confidence",
        priority=hash(segment.id) % 1000 / 1000,
        requested_at=at,
    )
    if answered:
        given: dict[str, Any] = {"segment_id": segment.id, "study": STUDY, "annotator": "ben", "accepted": True}
        yield Annotation(**given, code_ids=[code], labels=[label], decided_at=at, seconds=5)


def make_site(folder: Path, profile: str) -> Site:
    settings = load_settings(data_dir=folder, profile=profile, study=STUDY)
    store = build_store(settings)
    embedder = Models.of(settings).embedder
    clock = SystemClock()
    return Site(settings, store, Accounts(store.database, clock), Outbox(store.database), embedder, clock)


def sign_in(site: Site) -> Any:
    """A client in the same process, signed in as an annotator, and its CSRF token."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # starlette would rather have another client than httpx
        from starlette.testclient import TestClient

    account = site.accounts.create("ana")
    site.accounts.grant(account, STUDY, "annotator")
    app = make_app(site)
    session = app.state.sessions.begin(site.accounts.find(account))
    client = TestClient(app, base_url=BASE)
    client.cookies.set(COOKIE, app.state.sessions.write(session), domain="127.0.0.1")
    return client, app.state.sessions.csrf(session)


def run(folder: Path, given: Any) -> dict[str, list[float]]:
    """Fill a read model in a folder, and measure on it what ``main`` has options for."""
    site = make_site(folder, given.profile)
    names = list(dict.fromkeys(islice(labels(), given.codes)))
    rest = history(names, given.segments, given.open, given.done)
    while batch := list(islice(rest, 2_000)):
        site.store.record(batch)
    print(f"{given.segments:,} segments are recorded", flush=True)
    times = measure(site, given.decisions)
    site.store.close()
    return times


def measure(site: Site, decisions: int) -> dict[str, list[float]]:
    """Milliseconds of each decision, and of each search."""
    client, csrf = sign_in(site)
    page = client.get(f"/s/{STUDY}/queue")
    site.nearby.wait()
    times: dict[str, list[float]] = {"decision": [], "decision, CPU": [], "search": []}
    for n in range(decisions + 5):
        found = re.search(
            r'name="segment" value="([^"]+)">\s*<input type="hidden" name="cause" value="([^"]+)"', page.text
        )
        if page.status_code != 200 or found is None:
            raise QualstreamError(f"decision {n} was answered with status {page.status_code} and no next segment")
        choice = {"new": f"new code {uuid4().hex[:6]}"} if n % 10 == 9 else {"accept": "true"}
        form = {"csrf": csrf, "segment": found[1], "cause": found[2], **choice}
        started, spent = time.perf_counter(), time.process_time()
        page = client.post(f"/s/{STUDY}/queue/decide", data=form, headers={"HX-Request": "true"})
        times["decision"].append((time.perf_counter() - started) * 1000)
        times["decision, CPU"].append((time.process_time() - spent) * 1000)
        words = ("pay", "slow se", "login", "something expensive")[n % 4]
        started = time.perf_counter()
        client.get(f"/s/{STUDY}/queue/codes", params={"search": words}, headers={"HX-Request": "true"})
        times["search"].append((time.perf_counter() - started) * 1000)
    return {name: some[5:] for name, some in times.items()}  # the first ones prepare statements and templates


def as_report(times: dict[str, list[float]], given: Any) -> Report:
    rows, figures, verdicts = [], {}, []
    for name, some in times.items():
        cuts = statistics.quantiles(some, n=20)
        p50, p95, most = statistics.median(some), cuts[18], max(some)
        rows.append([name, str(len(some)), f"{p50:.1f}", f"{p95:.1f}", f"{most:.1f}"])
        figures[name] = {"count": len(some), "p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "max_ms": round(most, 1)}
        if name.endswith("CPU"):
            continue  # what a person waits for is the clock's
        met = "met" if p95 < TARGET_MS else "MISSED"
        verdicts.append(f"{name}, 95th percentile: {p95:.0f} ms; target under {TARGET_MS} ms: {met}")
    sizes = {"segments": given.segments, "codes": given.codes, "done": given.done, "open": given.open}
    how = HOW.format(**sizes, sources=SOURCES)
    header = ["request", "times", "p50 ms", "p95 ms", "most ms"]
    return Report("page", "The page: server time of a decision", how, header, rows, verdicts, {**sizes, **figures})


def main() -> None:
    parser = options("Server time of a decision on the page's queue.")
    parser.add_argument("--segments", type=int, default=100_000)
    parser.add_argument("--open", type=int, default=5_000, help="requests that wait for people")
    parser.add_argument("--done", type=int, default=20_000, help="requests that people have answered before")
    parser.add_argument("--codes", type=int, default=2_000)
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--profile", default="tiny", help="whose embedder looks for near codes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qualstream-bench-") as folder:
        times = run(Path(folder), given)
    publish(as_report(times, given), write=given.write)


if __name__ == "__main__":
    main()
