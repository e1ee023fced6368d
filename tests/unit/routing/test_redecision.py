"""Labelled segments are decided again by what was learnt since, and never by their own label."""

from models.annotation.human_decision import LatestAnnotations
from models.classifier.predictions import OutOfFoldPredictions
from models.classifier.redecision import redecide
from models.fakes import HashEmbedder
from schemas.ids import code_id
from tests.unit.builders import judgement

EMBEDDER = HashEmbedder(dim=256)
ADS, SLOW = (code_id("reviews", label) for label in ("ads", "slow app"))


def labelled(number, text, label="ads", **values):
    return judgement(number, text=text, labels=[label], code_ids=[code_id("reviews", label)], **values)


def decided(*annotations, rows=None):
    taught = OutOfFoldPredictions({ADS: "ads", SLOW: "slow app"}, rows or {}, 0.9)
    return redecide(LatestAnnotations(annotations), taught, EMBEDDER)


def test_what_people_said_of_like_texts_since_decides():
    early = labelled(0, "too many adverts here", shown="slow app", accepted=False)
    since = [labelled(n, "too many adverts again", shown="ads") for n in (1, 2)]
    again = decided(early, *since)[early.segment_id]
    assert again.label == "ads"
    assert 0.5 < again.signals["precedent_similarity"] < 1


def test_a_segments_own_label_has_no_part_in_it():
    alone = labelled(0, "too many adverts here", "ads", shown="slow app", accepted=False)
    others = [labelled(n, "the app is slow and slow", "slow app", shown="slow app") for n in (1, 2)]
    assert decided(alone, *others)[alone.segment_id].label == "slow app"
    told_else = labelled(0, "too many adverts here", "something else", shown="slow app", accepted=False)
    assert decided(told_else, *others)[alone.segment_id] == decided(alone, *others)[alone.segment_id]


def test_the_classifier_that_was_not_taught_it_has_its_vote():
    asked = labelled(0, "nothing like the others", shown="slow app", accepted=False)
    others = [labelled(1, "too many adverts", shown="ads"), labelled(2, "the app is slow", "slow app", shown="ads")]
    rows = {asked.segment_id: {ADS: 0.95, SLOW: 0.01}}
    assert decided(asked, *others, rows=rows)[asked.segment_id].label == "ads"


def test_who_has_nothing_to_go_by_says_nothing():
    unshown, shown, without_text = labelled(0, "adverts"), labelled(1, "ads", shown="ads"), labelled(2, None)
    assert set(decided(unshown, shown, without_text)) == {shown.segment_id}
    rows = {unshown.segment_id: {ADS: 0.6, SLOW: 0.1}}
    assert set(decided(unshown, shown, without_text, rows=rows)) == {unshown.segment_id, shown.segment_id}
    assert decided(labelled(0, "the only text", shown="ads")) == {}
