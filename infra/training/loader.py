"""From a release to what serves: verified on disk, then opened; nothing of a file is used before."""

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from weakref import WeakValueDictionary

from infra.training.checkpoints import Checkpoint, Checkpoints
from infra.training.classifier_factory import Workshop
from models.classifier.predictions import OutOfFoldPredictions, StudyClassifier
from models.classifier.registry import CLASSIFIERS
from models.errors import SettingError
from models.ports import Embedder
from schemas import ModelRelease

_WARM = "warm"
_KNOWN = 16  # releases whose words are kept


class Opening:
    """Opens released classifiers. Those with the same body share it, for as long as one of them serves."""

    def __init__(self, data_dir: Path, workshop: Workshop) -> None:
        """Take the data folder and what opens classifiers; nothing is loaded before a release is."""
        self._checkpoints, self._workshop = Checkpoints(data_dir), workshop
        self._bodies: WeakValueDictionary[str, Embedder] = WeakValueDictionary()

    def __call__(self, release: ModelRelease) -> StudyClassifier:
        """Open a release, ready to classify: its first batch waits for nothing.

        Raises:
            SettingError: If it is not there, not whole, not what was released, not this study's, or holds a file that
                could hold code.
        """
        from models.backends.sentence.classifier import TextClassifier

        checkpoint = verified(self._checkpoints, release)
        manifest = checkpoint.manifest
        body = self._bodies.get(manifest.body)
        if body is None:
            made = self._workshop.open(checkpoint)
        else:
            made = TextClassifier.load(checkpoint.folder, body, version=checkpoint.version)
        self._bodies[manifest.body] = made.body
        if made.codes != tuple(code.id for code in manifest.codes):
            raise SettingError(f"the head in '{checkpoint.folder}' has other codes than its manifest; train again")
        made.probabilities([_WARM])
        return StudyClassifier(made, [code.label for code in manifest.codes], manifest.sure_from)


@cache
def reading_taught(data_dir: Path) -> Callable[[ModelRelease], OutOfFoldPredictions]:
    """What reads a release's words on labelled segments; models are not loaded for it.

    A process reads and verifies each release once: a tuned body is a hundred megabytes of checksums.
    """
    checkpoints, known = Checkpoints(data_dir), OrderedDict[tuple[str, str], OutOfFoldPredictions]()

    def read(release: ModelRelease) -> OutOfFoldPredictions:
        key = (release.uri, release.sha256)
        found = known.get(key)
        if found is None:
            checkpoint = verified(checkpoints, release)
            labels = {code.id: code.label for code in checkpoint.manifest.codes}
            known[key] = found = OutOfFoldPredictions(labels, checkpoint.out_of_fold(), checkpoint.manifest.sure_from)
            if len(known) > _KNOWN:
                known.popitem(last=False)
        return found

    return read


def verified(checkpoints: Checkpoints, release: ModelRelease) -> Checkpoint:
    """Find and verify what a release names.

    Raises:
        SettingError: See ``Checkpoints.load``; and if it is another study's.
    """
    checkpoint = checkpoints.load(release)
    if checkpoint.manifest.study != release.study or release.model != CLASSIFIERS + checkpoint.manifest.study:
        raise SettingError(
            f"the classifier in '{checkpoint.folder}' is that of study '{checkpoint.manifest.study}' but was released "
            f"as '{release.model}' for study '{release.study}'; release another version"
        )
    return checkpoint


def has_classifiers(data_dir: Path, study: str) -> bool:
    """Whether any classifier of a study lies in a data folder."""
    return Checkpoints(data_dir).study_folder(study).is_dir()
