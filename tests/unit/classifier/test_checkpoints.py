"""Classifiers on disk: whole or not there, verified before they are used, never a pickle."""

import json
import os
import pickle
import zipfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from safetensors.numpy import save_file

from infra.training.checkpoints import Checkpoints, Manifest, TaughtCode, slug, verify
from infra.training.classifier_factory import ClassifierFactory
from models.classifier.predictions import Redecided
from models.errors import SettingError, UnavailableError
from models.fakes import HandClock, HashEmbedder
from schemas import ModelRelease

CODES = [(UUID(int=1), "ads"), (UUID(int=2), "price")]
SEGMENT = UUID(int=9)
START = HandClock().now()
TEXTS = ["too many ads", "ads again", "cheap price", "high price"]
TARGETS = np.array([[True, False], [True, False], [False, True], [False, True]])


class Evil:
    """Whoever unpickles it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def factory():
    return ClassifierFactory(HashEmbedder())


def manifest(second=0, study="reviews"):
    codes = tuple(TaughtCode(id=code, label=label, threshold=0.4) for code, label in CODES)
    body = HashEmbedder().version
    at = START + timedelta(seconds=second)
    return Manifest(
        study=study, made_at=at, tier="head", body=body, codes=codes, sure_from=0.8, labels=4, data="0" * 64
    )


def body_files(folder: Path, content=b"w"):
    """What a tuned body leaves beside its head."""
    (folder / "body" / "1_Pooling").mkdir(parents=True)
    tensor = np.frombuffer(content.ljust(4, b"\0"), dtype=np.uint8).copy()
    save_file({"weight": tensor}, folder / "body" / "model.safetensors")
    (folder / "body" / "1_Pooling" / "config.json").write_text("{}")


def kept(checkpoints, second=0, *, body=None, study="reviews"):
    classifier = factory().fit(HashEmbedder(), TEXTS, TARGETS, CODES)

    def write(folder: Path) -> None:
        classifier.save(folder)
        if body is not None:
            body_files(folder, body)

    staged = checkpoints.stage(manifest(second, study), write, {SEGMENT: {CODES[0][0]: 0.25, CODES[1][0]: 0.5}})
    return checkpoints.keep(staged)


def release(checkpoints, checkpoint, **values):
    given = {
        "model": "classifier/reviews",
        "version": checkpoint.version,
        "study": "reviews",
        "uri": checkpoints.uri(checkpoint),
        "sha256": checkpoint.sha256,
        "released_at": START,
    }
    return ModelRelease(**(given | values))


def refusal(folder, sha256=None):
    with pytest.raises(SettingError) as caught:
        verify(folder, sha256)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_kept_is_found_by_its_release_verified_and_says_the_same(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    made = kept(checkpoints)
    assert made.version == f"20260101T000000Z-{made.sha256[:8]}"
    found = checkpoints.load(release(checkpoints, made))
    assert found == made
    assert found.out_of_fold() == {SEGMENT: {CODES[0][0]: 0.25, CODES[1][0]: 0.5}}
    opened = factory().open(found)
    fitted = factory().fit(HashEmbedder(), TEXTS, TARGETS, CODES)
    assert opened.version == made.version
    assert np.allclose(opened.probabilities(TEXTS), fitted.probabilities(TEXTS), atol=1e-6)
    names = sorted(path.name for path in made.folder.iterdir())
    assert names == ["head.json", "head.safetensors", "manifest.json", "out_of_fold.json"]


def test_what_would_be_decided_now_is_kept_beside_a_classifier_and_none_is_found_in_older_ones(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert kept(checkpoints).redecided() == {}
    classifier = factory().fit(HashEmbedder(), TEXTS, TARGETS, CODES)
    again = {SEGMENT: Redecided("ads", {"precedent_similarity": 0.5})}
    made = checkpoints.keep(checkpoints.stage(manifest(1), classifier.save, {}, again))
    assert verify(made.folder).redecided() == again


def test_a_release_is_found_in_another_data_folder_but_not_outside_of_one(tmp_path):
    checkpoints = Checkpoints(tmp_path / "here")
    made = release(checkpoints, kept(checkpoints))
    (tmp_path / "here").rename(tmp_path / "there")
    assert Checkpoints(tmp_path / "there").load(made).version == made.version
    assert checkpoints.folder("file:/some/where") == Path("/some/where")
    for uri in ("data:../../etc", "http://somewhere/x", "data:", ""):
        with pytest.raises(SettingError, match="address"):
            checkpoints.load(made.model_copy(update={"uri": uri}))


@pytest.mark.parametrize("name", ["head.pkl", "head.joblib", "body/pytorch_model.bin", "body/model.pt", "run.py", "x"])
def test_a_file_that_could_hold_code_is_refused_by_name_before_anything_is_read(tmp_path, name):
    made = kept(Checkpoints(tmp_path))
    marker = tmp_path / "marker"
    (made.folder / name).parent.mkdir(exist_ok=True)
    (made.folder / name).write_bytes(pickle.dumps(Evil(marker)))
    said = refusal(made.folder, made.sha256)
    assert said.startswith(f"{made.folder / name} is not read: a classifier is made of .safetensors, .json and .txt")
    assert not marker.exists()


def test_a_pickle_that_is_called_safetensors_is_refused_even_where_the_manifest_names_it(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    marker = tmp_path / "marker"

    def write(folder: Path) -> None:
        factory().fit(HashEmbedder(), TEXTS, TARGETS, CODES).save(folder)
        (folder / "head.safetensors").write_bytes(pickle.dumps(Evil(marker)))

    with pytest.raises(SettingError, match="it is a pickle"):
        checkpoints.stage(manifest(), write, {})
    assert list((tmp_path / "classifiers" / "reviews").iterdir()) == []

    made = kept(checkpoints)
    (made.folder / "head.safetensors").write_bytes(pickle.dumps(Evil(marker)))
    forged = json.loads((made.folder / "manifest.json").read_bytes())
    forged["files"]["head.safetensors"] = "0" * 64
    (made.folder / "manifest.json").write_text(json.dumps(forged))
    said = refusal(made.folder)
    assert f"{made.folder / 'head.safetensors'} is not read" in said
    assert "it is a pickle" in said
    with pytest.raises(SettingError, match="is not read"):
        checkpoints.load(release(checkpoints, made))
    assert not marker.exists()


def test_what_torch_save_writes_is_refused_under_any_name(tmp_path):
    made = kept(Checkpoints(tmp_path))
    with zipfile.ZipFile(made.folder / "head.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(tmp_path / "marker")))
    assert "a zip archive, as torch.save writes them" in refusal(made.folder)
    assert not (tmp_path / "marker").exists()


def test_a_link_is_refused(tmp_path):
    made = kept(Checkpoints(tmp_path))
    (made.folder / "vocab.txt").symlink_to("/etc/hostname")
    assert "is no plain file" in refusal(made.folder)


def test_a_file_that_was_changed_lost_or_added_is_named(tmp_path):
    made = kept(Checkpoints(tmp_path))
    head = made.folder / "head.json"
    before = head.read_bytes()
    head.write_bytes(before + b" ")
    assert f"{head} has SHA-256" in refusal(made.folder)
    head.unlink()
    assert refusal(made.folder).startswith(f"{head} is in the manifest but not there")
    head.write_bytes(before)
    (made.folder / "more.txt").write_text("x")
    assert f"{made.folder / 'more.txt'} is there but not in the manifest" in refusal(made.folder)


def test_a_manifest_other_than_the_released_one_is_refused(tmp_path):
    made = kept(Checkpoints(tmp_path))
    assert "was released" in refusal(made.folder, "f" * 64)
    (made.folder / "manifest.json").write_text('{"format": 2}')
    assert "is no manifest of format 1" in refusal(made.folder)
    (made.folder / "manifest.json").unlink()
    assert "cannot be read" in refusal(made.folder)
    assert "there is no classifier" in refusal(tmp_path / "nowhere")


def test_a_classifier_whose_body_is_not_at_hand_says_so(tmp_path):
    made = kept(Checkpoints(tmp_path))
    with pytest.raises(SettingError, match=r"has the body word-hash-32@1 but word-hash-16@1 is at hand"):
        ClassifierFactory(HashEmbedder(16)).open(made)


def test_a_tuned_body_is_kept_once_however_many_versions_have_it(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    one, two = kept(checkpoints, 0, body=b"w"), kept(checkpoints, 1, body=b"w")
    other = kept(checkpoints, 2, body=b"v")
    weights = [each.folder / "body" / "model.safetensors" for each in (one, two, other)]
    assert one.manifest.body.startswith("sha256:")
    assert weights[0].stat().st_ino == weights[1].stat().st_ino != weights[2].stat().st_ino
    assert len(list((tmp_path / "classifiers" / "bodies").iterdir())) == 2
    for each in (one, two, other):
        assert verify(each.folder, each.sha256) == each
    assert checkpoints.prune("reviews", 1, []) == [two.version, one.version]
    assert [path.name for path in (tmp_path / "classifiers" / "bodies").iterdir()] == [
        other.manifest.body.removeprefix("sha256:")
    ]


def test_old_classifiers_go_except_the_newest_and_the_one_that_serves(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    made = [kept(checkpoints, second) for second in range(5)]
    (made[0].folder.parent / "attempts.json").touch()  # the trainer's own takes no version's place
    gone = checkpoints.prune("reviews", 2, [made[0].version])
    assert gone == [made[2].version, made[1].version]
    assert [each.folder.exists() for each in made] == [True, False, False, True, True]


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    def fail(folder: Path) -> None:
        (folder / "head.json").write_text("{")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        Checkpoints(tmp_path).stage(manifest(), fail, {})
    assert list((tmp_path / "classifiers" / "reviews").iterdir()) == []


def test_one_trainer_holds_the_folder_and_the_next_one_waits(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    lock = checkpoints.hold()
    with pytest.raises(UnavailableError, match="another trainer works in"):
        Checkpoints(tmp_path).hold()
    os.close(lock)
    os.close(Checkpoints(tmp_path).hold())


def test_studies_have_folders_of_their_own_whatever_they_are_called():
    names = ["reviews", "Über uns", "über uns", "..", ". .", "a b", "a-b", "bodies", "lock", "x" * 80]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert not set(slugs) & {"bodies", "lock", "..", "."}
    assert slug("reviews") == "reviews"
