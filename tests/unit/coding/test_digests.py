"""Weights that come with an installation are what the code says, or nothing of them is read."""

import pytest

from infra.profiles import members
from models.backends import weights
from models.backends.digests import check_content, content_sha256
from models.errors import SettingError


@pytest.mark.parametrize("name", weights.PACKAGED)
def test_a_package_holds_the_weights_that_the_code_names(name):
    assert content_sha256(weights.packaged_paths(name)) == weights.PACKAGED[name].sha256


@pytest.mark.parametrize("name", sorted(path.name for path in members.PACKAGED_ADAPTERS.iterdir() if path.is_dir()))
def test_every_adapter_that_comes_along_has_its_digest_in_the_code(name):
    assert members._packaged_adapter(name) == members.PACKAGED_ADAPTERS / name
    assert name in members.ADAPTERS


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of weights, in a file or a folder of them, with its digest in the table."""
    folder = tmp_path / "some_weights" / "model"
    folder.mkdir(parents=True)
    for name in ("config.json", "modules.json", "model.safetensors"):
        (folder / name).write_text(name)
    monkeypatch.syspath_prepend(tmp_path)
    known = weights.PackagedWeights("some_weights", "model", content_sha256([folder]))
    monkeypatch.setitem(weights.PACKAGED, "some", known)
    return folder


@pytest.mark.parametrize("change", ["a weight", "a configuration", "one more file", "one less"])
def test_nothing_is_read_of_weights_that_were_changed(package, change):
    if change == "one less":
        (package / "modules.json").unlink()
    else:
        file = {"a weight": "model.safetensors", "a configuration": "config.json"}.get(change, "evil.py")
        (package / file).write_text("changed")
    with pytest.raises(SettingError, match=r"SHA-256 .* expected; nothing of it was read; install the package"):
        weights.packaged_path("some")


def test_weights_that_were_not_changed_are_found(package):
    assert weights.packaged_path("some") == package


def test_an_adapter_that_was_changed_or_is_not_there_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(SettingError, match="expected"):
        check_content("the adapter 'x'", (tmp_path / "a",), "0" * 64, "install it again")
    with pytest.raises(SettingError, match="cannot be read"):
        check_content("the adapter 'x'", (tmp_path / "b",), "0" * 64, "install it again")
