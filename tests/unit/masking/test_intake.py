"""Segments on their way in, on SQLite and PostgreSQL: one placeholder a value, and originals only with a key."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select

from infra.erasure.rows import erase_segments, segments_of_author
from infra.factory.stores import build_store
from infra.masking.intake import Masking, MaskingTally
from infra.masking.keys import MaskingKey, write_key
from infra.masking.originals import masked_in, masked_in_study, read_original
from infra.settings import load_settings
from infra.storage.tables import masked_values, originals, segments
from models.errors import InputError, SettingError
from models.masking.findings import Value
from schemas import Segment, StudyRules
from schemas.ids import segment_id

AT = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "Write to zoe@x.org or 0170 1234567, says Zoe"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return None
    url = request.getfixturevalue("postgresql_url")
    with closing(build_store(load_settings(data_dir=tmp_path, database_url=url))) as store:
        store.reset()
    return url


@pytest.fixture
def key_file(tmp_path):
    write_key(tmp_path / "masking.key")
    return tmp_path / "masking.key"


@pytest.fixture
def opened(tmp_path, database_url):
    stores = []

    def open_with(**settings):
        store = build_store(load_settings(data_dir=tmp_path / "data", database_url=database_url, **settings))
        stores.append(store)
        return store

    yield open_with
    for store in stores:
        store.close()


def segment(key: str, text: str = SECRET, study: str = "app", **fields) -> Segment:
    return Segment(id=segment_id(study, "mail", key), study=study, text=text, source="mail", **fields)


def texts(store, study: str = "app") -> list[str]:
    return [each.text for each in store.history(Segment, study)]


def kept(store, table) -> list:
    with store.database.reading() as connection:
        return list(connection.execute(select(table)).mappings())


def test_nothing_is_masked_where_nobody_wants_it(opened):
    store, tally = opened(), MaskingTally()
    store.take_in([segment("1")], masked=tally.add)
    assert (texts(store), tally.segments, kept(store, masked_values)) == ([SECRET], 0, [])


def test_a_value_has_one_placeholder_in_a_study_whatever_file_it_comes_in(opened, key_file):
    first = opened(masking="patterns", masking_key_file=key_file)
    first.take_in([segment("1"), segment("2", "ask ann@x.org")])
    second = opened(masking="patterns", masking_key_file=key_file)
    second.take_in([segment("3", "ZOE@x.org, not bob@x.org"), segment("4", "bob@x.org", study="other")])
    assert texts(second) == [
        *("Write to [mail 1] or [phone 1], says Zoe", "ask [mail 2]", "[mail 1], not [mail 3]"),
    ]
    assert texts(second, "other") == ["[mail 1]"]


def test_without_a_key_a_number_is_never_given_to_two_values_and_nothing_recognises_one(opened):
    store = opened(masking="patterns")
    store.take_in([segment("1", "ann@x.org")])
    store.take_in([segment("2", "bob@x.org"), segment("3", "ann@x.org and bob@x.org")])
    assert texts(store) == ["[mail 1]", "[mail 2]", "[mail 3] and [mail 2]"]
    assert {row["digest"] for row in kept(store, masked_values)} == {None}
    assert kept(store, originals) == []


def test_nothing_of_an_original_is_in_any_table(opened, key_file):
    store = opened(masking="patterns", masking_key_file=key_file)
    store.take_in([segment("1", own_id="zoe@x.org", metadata={"email": "zoe@x.org", "author": "Zoe Zebra"})])
    (row,) = kept(store, segments)
    everything = [row, *kept(store, originals), *kept(store, masked_values)]
    assert not any(word in repr(each).casefold() for each in everything for word in ("zoe@", "zebra", "1234567"))
    assert json.loads(row["record"])["text"] == row["text"]


def test_the_original_comes_back_with_the_key_and_not_without(opened, key_file, tmp_path):
    came = segment("1", metadata={"email": "zoe@x.org", "rating": 4})
    store = opened(masking="patterns", masking_key_file=key_file)
    store.take_in([came, segment("2", "nothing")])
    fields = read_original(store.database, "app", came.id, MaskingKey.read(key_file))
    assert fields == {"text": SECRET, "metadata": {"email": "zoe@x.org", "rating": 4}}
    assert masked_in(store.database, came.id) == ({"mail": 1, "phone": 1}, True)
    assert masked_in_study(store.database, "app") == (1, {"mail": 1, "phone": 1})
    write_key(tmp_path / "other.key")
    with pytest.raises(InputError, match="another key"):
        read_original(store.database, "app", came.id, MaskingKey.read(tmp_path / "other.key"))
    for study, id_ in (("app", segment("2").id), ("other", came.id), ("app", uuid4())):
        with pytest.raises(InputError, match="no original is kept"):
            read_original(store.database, study, id_, MaskingKey.read(key_file))


def test_a_new_key_on_the_first_line_opens_what_the_old_one_sealed_and_knows_its_values(opened, key_file, tmp_path):
    opened(masking="patterns", masking_key_file=key_file).take_in([segment("1")])
    write_key(tmp_path / "new.key")
    both = tmp_path / "both.key"
    both.write_bytes((tmp_path / "new.key").read_bytes() + key_file.read_bytes())
    both.chmod(0o600)
    store = opened(masking="patterns", masking_key_file=both)
    store.take_in([segment("2", "again zoe@x.org and ann@x.org")])
    assert texts(store)[1] == "again [mail 1] and [mail 2]"
    assert read_original(store.database, "app", segment("1").id, MaskingKey.read(both))["text"] == SECRET


@pytest.mark.parametrize("later", ["patterns", "off"])
def test_a_file_that_comes_again_changes_nothing_and_is_no_change(opened, later):
    opened(masking="patterns").take_in([segment("0", "bob@x.org"), segment("1")])
    changed, tally, store = [], MaskingTally(), opened(masking=later)
    assert store.take_in([segment("1"), segment("2", "slow"), segment("1")], changed.append, tally.add) == 1
    assert (changed, tally.segments) == ([], 0)
    store.take_in([segment("1", "Write to zoe@x.org, says Zoe"), segment("2", "slow")], changed.append)
    assert [each.id for each in changed] == [segment("1").id]


def test_a_segment_that_came_before_masking_stays_as_it_is(opened):
    opened().take_in([segment("1")])
    store, changed = opened(masking="patterns"), []
    store.take_in([segment("1")], changed.append)
    assert (texts(store), changed, kept(store, masked_values)) == ([SECRET], [], [])


@pytest.mark.parametrize(
    ("installation", "study", "masked"),
    [("off", "patterns", True), ("patterns", "off", True), ("off", "off", False)],
)
def test_the_more_of_what_installation_and_study_want_is_masked(opened, installation, study, masked):
    store = opened(masking=installation)
    store.record([StudyRules(study="app", masking=study, author="lea", at=AT)])
    store.take_in([segment("1")])
    assert ("zoe@x.org" not in texts(store)[0]) == masked


def test_where_names_are_wanted_and_cannot_be_found_nothing_is_taken_in(opened):
    store = opened(masking="names", masking_models="en=no_such_model")
    with pytest.raises(SettingError, match="no_such_model"):
        store.take_in([segment("1")])
    assert texts(store) == []


def test_forgetting_a_study_forgets_its_originals(opened, key_file):
    store = opened(masking="patterns", masking_key_file=key_file)
    store.take_in([segment("1"), segment("1", study="other")])
    store.reset("app")
    assert {row["study"] for table in (originals, masked_values) for row in kept(store, table)} == {"other"}


def test_an_erased_segment_that_comes_again_leaves_nothing(
    opened, key_file
):  # and is known as erased for good, so no other test has it
    store = opened(masking="patterns", masking_key_file=key_file)
    store.take_in([segment("gone"), segment("2", "bob@x.org")])
    counts = erase_segments(store.database, [segment("gone").id], AT)
    assert (counts["originals"], counts["masked_values"]) == (1, 2)
    store.take_in([segment("gone")])
    assert [row["segment_id"] for row in kept(store, originals)] == [segment("2").id]


def test_who_is_to_be_erased_is_found_among_masked_values_with_the_key_alone(opened, key_file):
    store = opened(masking="patterns", masking_key_file=key_file)
    named = [segment("1", "hangs", metadata={"author": "Zoe  Zebra"}), segment("2", "ask zoe@x.org")]
    store.take_in([*named, segment("3", "slow")])
    key = MaskingKey.read(key_file)
    found = [segments_of_author(store.database, "app", who, None, key) for who in ("zoe zebra", "ZOE@x.org", "bob")]
    assert found == [{named[0].id}, {named[1].id}, set()]
    assert segments_of_author(store.database, None, "Zoe Zebra", None, key) == {named[0].id}
    assert segments_of_author(store.database, "app", "Zoe Zebra", None) == set()
    assert segments_of_author(store.database, "other", "Zoe Zebra", None, key) == set()


def test_two_that_take_in_at_once_give_no_number_twice(opened, key_file):
    stores = [opened(masking="patterns", masking_key_file=key_file) for _ in range(2)]
    batches = [[segment(f"{n}.{k}", f"a{k}@x.org b{n}.{k}@x.org") for k in range(20)] for n in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: pair[0].take_in(pair[1]), zip(stores, batches, strict=True)))
    rows = {(row["number"], row["digest"]) for row in kept(stores[0], masked_values)}
    assert (len(rows), {number for number, _ in rows}) == (60, set(range(1, 61)))


def test_a_key_file_is_its_owners_alone_and_never_written_over(tmp_path):
    path = tmp_path / "k"
    write_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="there already"):
        write_key(path)
    path.chmod(0o604)
    with pytest.raises(SettingError, match="chmod 600"):
        MaskingKey.read(path)


@pytest.mark.parametrize("content", [b"", b"no key", b"x" * 44, b"\xff\xfe"])
def test_a_file_without_a_key_is_refused_by_its_name(tmp_path, content):
    path = tmp_path / "k"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingError, match=r"MASKING_KEY_FILE .* holds no key"):
        MaskingKey.read(path)
    with pytest.raises(SettingError, match="cannot be read"):
        MaskingKey.read(Path(tmp_path / "nowhere"))


def test_a_digest_needs_the_key_and_is_another_one_in_every_study(key_file, tmp_path):
    write_key(tmp_path / "other.key")
    value = Value("mail", "zoe@x.org")
    digests = [
        MaskingKey.read(path).digests(study, value)[0] for path in (key_file, tmp_path / "other.key") for study in "ab"
    ]
    assert len(set(digests)) == 4


def test_settings_say_what_is_expected_of_countries_and_models():
    assert load_settings(masking_regions="DE, AT", masking="NAMES").masking_regions == ("DE", "AT")
    for wrong in ({"masking_regions": "Germany"}, {"masking_models": "en_core_web_lg"}, {"masking": "all"}):
        with pytest.raises(SettingError, match=next(iter(wrong)).upper()):
            load_settings(**wrong)
    assert Masking(load_settings()).key is None
