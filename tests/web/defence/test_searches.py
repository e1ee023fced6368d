"""Whatever is asked of a page in its address is answered, or refused in words: nothing typed there is a fault."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.web.poison import code_of, poison, segment_of
from tests.web.routes import ENDLESS, NEEDED
from tests.web.site import STUDY, make_site, visit

FIELDS = (
    *("q", "by", "code", "since", "until", "source", "low", "high", "route", "annotator", "human", "after"),
    *(
        "search",
        "segment",
        "models",
        "fmt",
        "history",
        "then",
        "at",
        "now",
        "next",
        "note",
        "imported",
        "done",
        "actor",
    ),
    *("scope", "action", "before", "limit", "cursor", "into", "parts", "name", "level", "from", "to", "with"),
)
EDGES = (
    *("", " ", "\0", "a\0b", "\ud800", "%", "_", "\\", "'", '"', "%25", "😀" * 50, "\u202e", "nan", "inf", "-1"),
    *("1e999", "9" * 30, "-" + "9" * 30, str(2**63), str(2**64), "0001-01-01T00:00:00+14:00", "9999-12-31"),
    *("9999-12-31T23:59:59-14:00", "0001-01-01", "0000-00-00", "2026-02-30", "2026-01-01T00:00:00+99:99"),
    *("0001-01-01T00:00:00+14:00,1", "9999-12-31,1", f"2026-01-01T00:00:00,{9**40}", "2026-01-01,-1"),
    *("2026-01-01,1.5", "٣", "²", "x" * 5_000, "meaning", "true", "csv", "00" * 16, "urn:uuid:0"),
    *("00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}"),
)  # fmt: skip
PATHS = sorted(name.partition(" ")[2] for name in NEEDED if name.startswith("GET") and name not in ENDLESS)
VALUES = st.one_of(st.sampled_from(EDGES), st.text(max_size=20))


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("searches"))
    poison(site, [f"plain text {k}" for k in range(3)])
    yield visit(site, "admin", study="", name="the admin", raise_server_exceptions=False)
    site.store.close()


def asked(path: str, fields: dict[str, str]) -> str:
    values = {"study": STUDY, "segment": str(segment_of(0)), "code": str(code_of(0)), "what": "segments"}
    values |= {"account": str(segment_of(1)), "secret": "nothing", "rating": str(segment_of(2))}
    query = "&".join(f"{quote(name)}={quote(value, errors='surrogatepass')}" for name, value in fields.items())
    return f"{path.format(**values)}?{query}"


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5))
@example(fields={"q": "a", "by": "meaning", "until": "9999-12-31"})
def test_no_query_is_a_fault(client, path, fields):
    answer = client.get(asked(path, fields), follow_redirects=False)
    assert answer.status_code < 500, (path, fields)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("field", ["q", "code", "since", "until", "source", "low", "high", "annotator", "after"])
def test_no_search_for_segments_is_a_fault(client, field, edge):
    for more in ({}, {"by": "meaning", "q": edge}, {"q": "plain"}):
        answer = client.get(asked("/s/{study}/segments", {**more, field: edge}))
        assert answer.status_code < 500, (field, edge, more)


@pytest.mark.parametrize("edge", EDGES)
def test_no_part_of_a_path_is_a_fault(client, edge):
    part = quote(edge, safe="", errors="surrogatepass") or "%20"
    for path in (f"/s/{part}/segments", f"/s/{STUDY}/segments/{part}", f"/s/{STUDY}/codebook/codes/{part}"):
        assert client.get(path, follow_redirects=False).status_code < 500, path
    for path in (f"/s/{STUDY}/export/{part}", f"/setup/{part}", f"/s/{STUDY}/agreement/{part}", f"/{part}"):
        assert client.get(path, follow_redirects=False).status_code < 500, path
