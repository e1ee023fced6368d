"""Texts that people coded in a file teach a classifier, which then takes part as a study's own does."""

from infra.training.classifier_factory import ClassifierFactory
from infra.training.file_classifier import LEAST_TEXTS, teach_from_file
from models.annotation.human_decision import LatestAnnotations
from models.fakes import HashEmbedder
from models.moderation.precedents import CodedText
from models.routing.confidence import judged_assignments

FACTORY = ClassifierFactory(HashEmbedder())


def coded(count):
    words = [("the app is slow today", "slow app"), ("far too many ads here", "ads")]
    return [CodedText("reviews", str(n), f"{words[n % 2][0]} {n}", (words[n % 2][1],)) for n in range(count)]


def test_the_classifier_knows_the_codes_of_the_file_and_names_the_right_one():
    taught = teach_from_file(coded(60), FACTORY)
    slow, ads = taught.classifier.classify(["it is so slow", "ads, ads"])
    assert (slow.guesses[0].label, ads.guesses[0].label) == ("slow app", "ads")
    assert slow.model == taught.release.version


def test_few_texts_or_one_code_teach_none():
    assert teach_from_file(coded(LEAST_TEXTS - 1), FACTORY) is None
    assert teach_from_file([one for one in coded(200) if one.codes == ("ads",)], FACTORY) is None
    assert teach_from_file([], FACTORY) is None


def test_the_files_own_texts_are_judged_by_classifiers_that_were_not_taught_them():
    taught = teach_from_file(coded(60), FACTORY)
    judged = judged_assignments(LatestAnnotations(taught.annotations), taught.predictions)
    assert len(judged) > 40
    assert sum(each.accepted for each in judged) > 0.9 * len(judged)
    assert not any(each.sample for each in judged)  # nobody drew them by chance: they prove no promise
