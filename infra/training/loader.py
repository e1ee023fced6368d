"""From a release to what serves: verified on disk, then opened; nothing of a file is used before."""

from collections import OrderedDict
from functools import cache
from pathlib import Path
from weakref import WeakValueDictionary

from infra.training.checkpoints import Checkpoint, Checkpoints
from infra.training.classifier_factory import ClassifierFactory
from models.classifier.predictions import OutOfFoldPredictions, StudyClassifier
from models.classifier.registry import CLASSIFIERS
from models.errors import SettingError
from models.ports import Embedder
from schemas import ModelRelease

_WARM = "warm"
_KNOWN = 16  # releases whose predictions are kept


class ClassifierLoader:
    """Opens released classifiers. Those with the same body share it, for as long as one of them serves."""

    def __init__(self, data_dir: Path, factory: ClassifierFactory) -> None:
        """Take the data folder and what opens classifiers; nothing is loaded before a release is."""
        self._checkpoints, self._factory = Checkpoints(data_dir), factory
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
            classifier = self._factory.open(checkpoint)
        else:
            classifier = TextClassifier.load(checkpoint.folder, body, version=checkpoint.version)
        self._bodies[manifest.body] = classifier.body
        if classifier.codes != tuple(code.id for code in manifest.codes):
            raise SettingError(f"the head in '{checkpoint.folder}' has other codes than its manifest; train again")
        classifier.probabilities([_WARM])
        return StudyClassifier(classifier, [code.label for code in manifest.codes], manifest.sure_from)


class OutOfFoldLoader:
    """Reads what a release's classifiers said, out of fold, of labelled segments; models are not loaded for it.

    Each release is read and verified once: a tuned body is a hundred megabytes of checksums.
    """

    def __init__(self, data_dir: Path) -> None:
        """Take the data folder; nothing is read before a release is."""
        self._checkpoints = Checkpoints(data_dir)
        self._loaded = OrderedDict[tuple[str, str], OutOfFoldPredictions]()

    def __call__(self, release: ModelRelease) -> OutOfFoldPredictions:
        """Read a release's predictions.

        Raises:
            SettingError: If it is not there, not whole, not what was released, or another study's.
        """
        key = (release.uri, release.sha256)
        predictions = self._loaded.get(key)
        if predictions is None:
            checkpoint = verified(self._checkpoints, release)
            labels = {code.id: code.label for code in checkpoint.manifest.codes}
            predictions = OutOfFoldPredictions(
                labels, checkpoint.out_of_fold(), checkpoint.manifest.sure_from, checkpoint.redecided()
            )
            self._loaded[key] = predictions
            if len(self._loaded) > _KNOWN:
                self._loaded.popitem(last=False)
        return predictions


@cache
def out_of_fold_loader(data_dir: Path) -> OutOfFoldLoader:
    """The process's loader for a data folder."""
    return OutOfFoldLoader(data_dir)


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
