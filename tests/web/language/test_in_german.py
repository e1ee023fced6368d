"""Pages in German: every one, without an English sentence of the catalogue; refusals, numbers, times and plurals."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest

from infra.files.preview import preview
from infra.files.row_tally import Source
from infra.web.language.catalogs import languages, read_catalog
from infra.web.language.refusals import translated
from infra.web.language.script_words import script_words
from infra.web.language.speech import figure, looked_up, ngettext, number, plurals, speaking, written_day, written_time
from schemas.ids import segment_id
from tests.web.poison import code_of, poison, segment_of
from tests.web.site import STUDY, fill, make_site, nobody, visit

HEADER = {"Accept-Language": "de"}
OPEN_PAGES = ("/signin", "/setup/nothing")
PAGES = ("/", "/account", "/people", "/audit", "/studies/new", "/nowhere")
OF_A_STUDY = (
    *("", "queue", "codebook", "codebook/new", "codebook/new?level=theme", "codebook/similar", "codebook/history"),
    *(
        "codebook/history?show=all",
        "codebook?show=ended",
        "comments",
        "segments",
        "segments?q=nothing+such",
        "analysis",
    ),
    *("analysis/groups", "documents", "agreement", "agreement?models=true", "classifier", "drift", "export"),
    *("rules", "rules/coded"),
    *("codebook/codes/{code}", "codebook/codes/{code}/merge", "codebook/codes/{code}/split?parts=a%0Ab"),
    *("segments/{segment}", "agreement/{segment}", "segments/{segment}/why", "coding?human=no", "overview/system"),
    "ratings",
)


@pytest.fixture(scope="module")
def admin(tmp_path_factory):
    made = make_site(tmp_path_factory.mktemp("german"))
    fill(made, 6, people=3)
    poison(made, [f"plain text {k}" for k in range(3)])
    yield visit(made, "admin", study="")
    made.store.close()


def words_of(page: str) -> str:
    """What stands on a page and in its attributes, without what tags and forms need."""
    spoken = re.findall(r'(?:aria-label|title|placeholder|data-confirm)="([^"]*)"', page)
    text = re.sub(r"<(script|style|option|code|textarea)\b.*?</\1>", " ", page, flags=re.DOTALL)
    text = re.sub(r"</?(strong|em|a|kbd|q)\b[^>]*>", "", text)
    return unescape(" ".join([re.sub(r"<[^>]+>", "\n", text), *spoken]))


def english() -> list[str]:
    """Sentences of the catalogue, of three words or more and without values, that are others in German."""
    plain = [
        message.id.replace("%%", "%")
        for message in read_catalog("de")
        if isinstance(message.id, str) and message.id != message.string and not re.search(r"%\(|\{|<", message.id)
    ]
    return [text for text in plain if len(text.split()) >= 3 and "\n" not in text]


@pytest.mark.parametrize("path", [*PAGES, *(f"/s/{STUDY}/{each}" for each in OF_A_STUDY)])
def test_a_page_is_in_german_without_an_english_sentence_of_the_catalogue(admin, path):
    path = path.replace("{code}", str(code_of(0))).replace("{segment}", str(segment_of(0)))
    answer = admin.get(path, headers=HEADER)
    assert answer.status_code < 500
    assert answer.headers["content-language"] == "de"
    words = words_of(answer.text)
    assert [text for text in english() if re.search(rf"(?<!\w){re.escape(text)}(?!\w)", words)] == []


@pytest.mark.parametrize("path", OPEN_PAGES)
def test_a_page_for_strangers_is_in_german(admin, path):
    words = words_of(nobody(admin.app.state.site).get(path, headers=HEADER).text)
    assert [text for text in english() if re.search(rf"(?<!\w){re.escape(text)}(?!\w)", words)] == []


def test_a_refusal_is_in_german_with_what_it_names(admin):
    answer = admin.get(f"/s/{STUDY}/segments/{segment_id('elsewhere', 'no', 'such')}", headers=HEADER)
    assert f"Studie „{STUDY}“ hat kein Segment" in answer.text
    assert "suchen Sie es unter den Segmenten" in answer.text


def test_a_wrong_password_is_refused_in_german(admin):
    client = nobody(admin.app.state.site)
    shown = client.get("/signin", headers=HEADER).text
    client.csrf = shown.partition('name="csrf" value="')[2].partition('"')[0]
    answer = client.post("/signin", data={"name": "ana", "password": "wrong"}, headers=HEADER)
    assert "Name oder Passwort ist falsch" in answer.text


def test_programs_are_refused_in_english(admin):
    answer = admin.get(f"/api/v1/studies/{STUDY}/segments/{segment_id('no', 'such', 'one')}", headers=HEADER)
    assert answer.json()["detail"].startswith(f"study '{STUDY}' has no segment")


@pytest.mark.parametrize(
    "text", ["", "nothing that anybody says", "%s %(name)s", "x {1} x", "a" * 100_000, "x\n" * 400]
)
def test_a_sentence_that_no_catalogue_knows_stays_as_it_is(text):
    assert translated(text, "de") == text


def test_values_of_a_refusal_are_no_places_for_other_values():
    assert "„{2}“" in translated("study '{2}' has no segment x; look for it among its segments", "de")
    assert "„<b>“" in translated("study '<b>' has no segment x; look for it among its segments", "de")


def test_what_comes_with_a_refusal_is_escaped_on_the_page(admin):
    answer = admin.get(f"/s/{STUDY}/documents?source=<img src=x onerror=alert(1)>", headers=HEADER)
    assert "<img src=x" not in answer.text


def test_numbers_and_times_are_written_as_the_language_writes_them():
    when = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    with speaking("de"):
        assert (number(1_234_567), figure(0.315, 2), figure(1.5), figure(0.25, 2, signed=True)) == (
            *("1.234.567", "0,32", "1,5", "+0,25"),
        )
        assert (written_time(when), written_day(when)) == ("04.03.2026 05:06", "04.03.2026")
    assert (number(1_234_567), figure(0.315, 2), figure(1.5)) == ("1,234,567", "0.32", "1.5")
    assert (written_time(when), written_day(when)) == ("2026-03-04 05:06", "2026-03-04")


@pytest.mark.parametrize("value", [0.265, 0.275, 0.285, 2.5, 0.005, 1e-7, 12_345.678])
def test_figures_are_rounded_as_before_whatever_the_language(value):
    with speaking("de"):
        assert figure(value, 2) == f"{value:.2f}".replace(".", ",")
    assert figure(value, 2) == f"{value:.2f}"


@pytest.mark.parametrize(("n", "german"), [(0, "Segmente"), (1, "Segment"), (2, "Segmente"), (1_000, "Segmente")])
def test_a_plural_has_the_form_of_its_number(n, german):
    with speaking("de"):
        assert ngettext("%(count)s segment", "%(count)s segments", n) == f"%(count)s {german}"


def test_scripts_get_a_form_for_each_of_the_languages_plural_categories():
    with speaking("en"):
        assert plurals("{count} choice", "{count} choices") == {"one": "{count} choice", "other": "{count} choices"}
    with speaking("de"):
        assert set(plurals("{count} choice", "{count} choices")) == {"one", "other"}


def test_scripts_say_in_german_whatever_they_say_in_english():
    scripts = ("app", "queue", "curve", "reliability", "overview")
    with speaking("en"):
        before = script_words(*scripts)
    with speaking("de"):
        after = script_words(*scripts)
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] == after[name]] == ["macro_f1", "live"]


def test_a_thread_that_is_asked_by_a_request_speaks_its_language_and_the_next_one_its_own(admin):
    assert 'lang="de"' in admin.get("/account", headers=HEADER).text
    assert 'lang="en"' in admin.get("/account", headers={"Accept-Language": "en"}).text
    assert looked_up("accepted") == "accepted"
    assert list(languages()) == ["en", "de"]


ODD_FILES = {
    "semicolons.csv": "id;text;when\n1;Zu teuer für;03/04/2026\n1;Zu teuer für;05/06/2026\n2;;x\n".encode("cp1252"),
    "titles.csv": b"Our survey\n\ntext,day\ntoo slow,13/04/2026\n#NAME?,soon\ntext,day\ntoo slow,14/04/2026\n",
    "survey.csv": b'Q1,Q2_TEXT\nHow?,Why?\n"{""ImportId"":""QID1""}","{""ImportId"":""QID2_TEXT""}"\n1,too slow\n',
    "plain.jsonl": b'{"text": "good"}\n[1]\n{"text": 5}\nnothing\n',
    "interview.txt": b"a note\nI: How was it?\nPetra: We waited.\nI: And then?\nPetra: Nobody came.\n",
    "essay.txt": b"One paragraph.\n\nAnother one.\n",
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_how_a_file_is_read_is_said_in_german(admin, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(ODD_FILES[name])
    seen = preview(Source(path), "german")
    english = [*seen.understood, *seen.not_taken]
    sent = {"file": (name, path.read_bytes())}
    page = admin.post("/studies/new", data={"name": "german"}, files=sent, headers=HEADER)
    assert page.status_code == 200
    shown = words_of(page.text)
    assert english or name == "essay.txt"
    assert [sentence for sentence in english if sentence in shown] == []


def test_a_value_that_is_a_sentence_itself_is_in_german_too():
    assert translated("2 x time in 'when' that cannot be read, such as 'x y' (lines 4, 5)", "de") == (
        "2 x Zeit in „when“, die nicht gelesen werden kann, wie „x y“ (Zeilen 4, 5)"
    )


def test_a_rules_alert_is_in_german_and_the_codes_name_stays():
    said = "'slow {2} checkout' is the code of 33% of 21 segments in 72 h; the limit that lea set is 5%"
    german = translated(said, "de")
    assert "is the code of" not in german
    assert all(value in german for value in ("„slow {2} checkout“", "33%", "21", "72", "lea", "5%"))
