"""Settings: read once from the environment, and told in one line when they are wrong."""

import os
from pathlib import Path

import pytest

from infra.settings import PREFIX, ensure_data_dir, load_settings
from models.errors import SettingError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def refusal(monkeypatch):
    def refuse(**environment: str) -> str:
        for name, value in environment.items():
            monkeypatch.setenv(PREFIX + name, value)
        with pytest.raises(SettingError) as caught:
            load_settings()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refuse


def test_nothing_need_be_set():
    settings = load_settings()
    assert settings.profile == "tiny"
    assert settings.kafka_servers == []
    assert settings.store_url == f"sqlite:///{Path('data/qualstream.db').absolute()}"
    assert settings.index_url == f"file:{Path('data/codes').absolute()}"
    assert settings.weights_dir == Path("data/weights")
    assert settings.members == ()
    assert settings.instance


def test_the_environment_is_read_and_overrides_win(monkeypatch):
    monkeypatch.setenv("QUALSTREAM_STUDY", "from outside")
    monkeypatch.setenv("QUALSTREAM_QUORUM", "2")
    assert load_settings().study == "from outside"
    assert load_settings(study="mine", quorum=None).study == "mine"
    assert load_settings(quorum=None).quorum == 2


def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("QUALSTREAM_KAFKA_USERNAME", "")
    assert load_settings().kafka_username is None


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().study = "other"


def test_an_unknown_variable_names_the_nearest(refusal):
    said = refusal(KAFKA_SERVER="x")
    assert said.startswith(
        "QUALSTREAM_KAFKA_SERVER is set but there is no such setting; the nearest is QUALSTREAM_KAFKA"
    )


def test_an_unknown_override_is_refused():
    with pytest.raises(SettingError, match="no setting 'studdy'; the nearest is 'study'"):
        load_settings(studdy="x")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("KAFKA_PARTITIONS", "four", "QUALSTREAM_KAFKA_PARTITIONS is 'four' but a whole number from 1 is expected"),
        ("KAFKA_PARTITIONS", "0", "is '0' but a whole number from 1"),
        ("KAFKA_URL", "nowhere:port", "is 'nowhere:port' but host:port (several separated by commas)"),
        ("KAFKA_URL", "kafka://a:9092,,", "host:port"),
        (
            "KAFKA_PREFIX",
            "team a/",
            "is 'team a/' but letters, digits and . _ -, at most 100",
        ),
        ("KAFKA_SECURITY", "tls", "plaintext, ssl, sasl_plaintext or sasl_ssl is expected"),
        ("DEVICE", "gpu", "QUALSTREAM_DEVICE is 'gpu' but auto, cpu, cuda or cuda:N is expected"),
        ("STUDY", "a/b", "QUALSTREAM_STUDY is 'a/b' but 1 to 80 letters"),
        ("INGEST_RATE", "-1", "segments a second above 0"),
        ("SESSION_TIMEOUT_S", "nan", "seconds above 0"),
        ("QDRANT_URL", "localhost:6333", "http://host:6333"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING or ERROR is expected"),
    ],
)
def test_a_wrong_value_names_variable_value_and_what_was_expected(refusal, name, value, said):
    assert said in refusal(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("DATABASE_URL", "mysql://me:hunter2@db/x"), ("KAFKA_URL", "me:hunter2@b:1")]
)
def test_an_error_never_shows_a_secret(refusal, name, value):
    said = refusal(**{name: value})
    assert "hunter2" not in said
    assert f"QUALSTREAM_{name}" in said


def test_secrets_are_not_shown_by_repr_nor_by_json():
    settings = load_settings(
        database_url="postgresql://me@db/x",
        database_password="hunter2",
        qdrant_api_key="hunter2",
        served_api_key="hunter2",
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("kafka://a:9092", ["a:9092"]),
        ("a:1,b:2", ["a:1", "b:2"]),
        ("kafka://a:1;kafka://b", ["a:1", "b:9092"]),
        ("[::1]:9092", ["[::1]:9092"]),
    ],
)
def test_brokers_come_with_or_without_scheme_and_one_or_several(url, servers):
    assert load_settings(kafka_url=url).kafka_servers == servers


def test_sasl_needs_user_and_password(refusal):
    said = refusal(KAFKA_SECURITY="sasl_ssl", KAFKA_USERNAME="me")
    assert "'sasl_ssl' but QUALSTREAM_KAFKA_PASSWORD is not set" in said


def test_credentials_that_would_not_be_used_are_an_error(refusal):
    assert "QUALSTREAM_KAFKA_USERNAME is set but QUALSTREAM_KAFKA_SECURITY is 'plaintext'" in refusal(
        KAFKA_USERNAME="me"
    )


def test_whole_sasl_settings_are_accepted():
    settings = load_settings(
        kafka_security="SASL_SSL", kafka_sasl_mechanism="scram-sha-512", kafka_username="me", kafka_password="x"
    )
    assert (settings.kafka_security, settings.kafka_sasl_mechanism) == ("sasl_ssl", "SCRAM-SHA-512")


def test_a_certificate_that_is_not_there_is_named(refusal, tmp_path):
    said = refusal(KAFKA_SECURITY="ssl", KAFKA_CA_FILE=str(tmp_path / "ca.pem"))
    assert said.startswith(f"QUALSTREAM_KAFKA_CA_FILE is '{tmp_path / 'ca.pem'}' but there is no such file")


def test_a_key_needs_its_certificate(refusal, tmp_path):
    key = tmp_path / "key.pem"
    key.touch()
    assert "QUALSTREAM_KAFKA_CERT_FILE is not; set both" in refusal(KAFKA_SECURITY="ssl", KAFKA_KEY_FILE=str(key))


def test_tls_files_without_tls_are_an_error(refusal, tmp_path):
    assert "which does not use it" in refusal(KAFKA_CA_FILE=str(tmp_path))


def test_a_database_password_is_escaped_into_the_url():
    settings = load_settings(database_url="postgresql://me@db:5432/x", database_password="p@ss/w:rd")
    assert settings.store_url == "postgresql+psycopg://me:p%40ss%2Fw%3Ard@db:5432/x"


def test_a_database_password_without_a_user_is_an_error(refusal):
    assert "QUALSTREAM_DATABASE_URL names no user" in refusal(DATABASE_PASSWORD="x")


@pytest.mark.parametrize("url", ["sqlite:////tmp/x.db", "sqlite:///x.db", "sqlite://"])
def test_a_sqlite_url_stays_as_it_is(url):
    if url == "sqlite://":
        with pytest.raises(SettingError, match="sqlite:///file"):
            load_settings(database_url=url)
    else:
        assert load_settings(database_url=url).store_url == url


def test_the_index_is_a_folder_or_a_server(tmp_path):
    assert load_settings(qdrant_url=f"file:{tmp_path}").index_folder == tmp_path
    assert load_settings(qdrant_url=f"file://{tmp_path}").index_url == f"file:{tmp_path}"
    assert load_settings(qdrant_url="http://q:6333").index_folder is None
    assert load_settings(qdrant_url="http://q:6333").index_url == "http://q:6333"


def test_members_are_split_at_commas_and_named_once(monkeypatch):
    monkeypatch.setenv("QUALSTREAM_MEMBERS", "gist, theme,,gist")
    assert load_settings().members == ("gist", "theme")


def test_no_ingest_rate_may_be_written_out(monkeypatch):
    monkeypatch.setenv("QUALSTREAM_INGEST_RATE", "none")
    assert load_settings().ingest_rate is None


def test_the_data_folder_is_made(tmp_path):
    settings = load_settings(data_dir=tmp_path / "a" / "b")
    assert ensure_data_dir(settings) == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"QUALSTREAM_DATA_DIR is '.*/file/x' but a folder .* \(Not a directory\)"):
        ensure_data_dir(load_settings(data_dir=tmp_path / "file" / "x"))
