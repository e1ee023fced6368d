"""What the refiner makes of a label by the study's coding mode: a code, a proposal, or none of these."""

from datetime import timedelta

import pytest

from models.annotation.human_decision import AsWritten
from models.codebook.coding_modes import CodingModes
from models.fakes import HandClock, HashEmbedder, MemoryCodeIndex
from models.refinement.refiner import Refiner
from models.refinement.settings import RefinerSettings
from models.refinement.thresholds import Threshold, corrections
from models.routing.confidence import prior
from schemas import CodeEvent, StudyRules
from schemas.coding import NONE_FITS, OUTSIDE_CODEBOOK, STRETCHED
from schemas.ids import code_event_id, code_id, no_code_id
from tests.unit.builders import classified, decision, judgement, proposal, rules

AT = HandClock().now()
EMBEDDER = HashEmbedder()


def created(label, cause="lea", **more):
    code = code_id("reviews", label)
    about = {"code_id": code, "study": "reviews", "label": label, "author": "lea", "at": AT}
    return CodeEvent(id=code_event_id(code, "created", cause), kind="created", **about, **more)


def refiner(mode, *labels, settings=None):
    of = Refiner(MemoryCodeIndex(), EMBEDDER, HandClock(), settings, modes=CodingModes(lambda study: mode))
    of.apply_events([created(label) for label in labels])
    return of


def refine(of, label, key="1", **other):
    (refined,) = of.refine([decision(label, key, **other)])
    return refined


@pytest.mark.parametrize("mode", ["inductive", "deductive", "mixed"])
def test_a_code_of_the_codebook_is_used_in_every_mode(mode):
    refined = refine(refiner(mode, "slow app"), "Slow App")
    assert (refined.assignment.label, refined.assignment.standing, refined.event) == ("slow app", "code", None)


def test_a_deductive_study_opens_no_code_and_says_that_none_fits():
    of = refiner("deductive", "slow app")
    given = refine(of, "great music").assignment
    assert (given.label, given.code_id, given.standing) == (NONE_FITS, no_code_id("reviews"), "none")
    assert (given.new, given.proposed, given.runner_up.label) == (False, "great music", "slow app")
    assert given.why.startswith("none of these: nearest 'slow app' at ")
    assert given.signals[OUTSIDE_CODEBOOK] == 1
    again = refine(of, "great music", "2")
    assert (again.assignment.standing, again.event) == ("none", None)


def test_a_mixed_study_proposes_a_code_under_the_id_that_it_would_have_and_others_are_not_refined_into_it():
    of = refiner("mixed", "slow app")
    first, same = refine(of, "great music"), refine(of, "great music", "2")
    assert (first.event, first.assignment.new, first.assignment.standing) == (None, False, "proposed")
    assert first.assignment.code_id == same.assignment.code_id == code_id("reviews", "great music")
    near = refine(of, "music is great", "3").assignment
    assert (near.label, near.standing) == ("music is great", "proposed")
    assert near.runner_up.label == "slow app"


def test_a_proposal_that_a_person_has_admitted_is_a_code_that_near_labels_are_refined_into():
    of = refiner("mixed")
    proposed = refine(of, "great music").assignment
    admitted = created("great music", "form-1", segment_id=proposed.segment_id)
    of.apply_events([admitted])
    near = refine(of, "great music!", "2", text="loud").assignment
    assert (near.label, near.standing) == ("great music", "code")
    by_meaning = refine(of, "great music app", "3").assignment
    assert (by_meaning.label, by_meaning.standing) == ("great music", "code")


def test_a_code_that_a_person_opened_for_a_segment_is_found_by_its_meaning_at_once():
    of = refiner("inductive")
    opened = created("slow app", "form-1", segment_id=decision("x", "elsewhere").segment.id)
    of.apply_events([opened])
    assert refine(of, "slow app start").assignment.label == "slow app"


@pytest.mark.parametrize(("mode", "standing"), [("deductive", "none"), ("mixed", "proposed")])
def test_without_a_codebook_everything_is_outside_it_and_says_why(mode, standing):
    given = refine(refiner(mode), "slow app").assignment
    assert (given.standing, given.similarity, given.runner_up) == (standing, 0, None)
    assert given.why.endswith("the study has no code in its codebook yet")


@pytest.mark.parametrize("mode", ["deductive", "mixed"])
def test_the_same_decision_read_again_comes_to_the_same_bytes(mode):
    of = refiner(mode, "slow app")
    made = [decision("great music", "1"), decision("slow app", "2")]
    assert of.refine(made) == of.refine(made)


def test_how_a_batch_is_cut_does_not_matter_to_a_mixed_study():
    made = [decision(label, str(n)) for n, label in enumerate(["ads", "too many ads", "ads", "music"])]
    pieces = refiner("mixed", "music")
    apart = [each for one in made for each in pieces.refine([one])]
    assert apart == refiner("mixed", "music").refine(made)


def test_new_rules_hold_from_the_next_batch_on():
    of = refiner("inductive")
    of.update_rules([rules(minute=1, coding_mode="deductive")])
    assert refine(of, "slow app").assignment.standing == "none"
    of.update_rules([rules(minute=2)])
    assert refine(of, "slow app", "2").assignment.new


def test_a_code_that_the_classifier_names_is_used_in_a_deductive_study():
    of = refiner("deductive", "slow app")
    sure = classified("slow app", sure=True)
    given = refine(of, "slow app", picked="classifier", classified=sure).assignment
    assert (given.label, given.standing) == ("slow app", "code")


def test_what_people_say_of_a_segment_outside_the_codebook_moves_no_threshold():
    given = refine(refiner("deductive", "slow app"), "great music").assignment
    chosen = judgement(1, code_ids=[code_id("reviews", "slow app")], labels=["slow app"])
    said = chosen.model_copy(update={"segment_id": given.segment_id})
    assert corrections([given], [said], AsWritten()) == []


def test_a_deductive_study_gets_the_nearest_code_that_its_codebook_allows_and_says_that_it_was_stretched():
    of = refiner("deductive", "slow app", "great music", settings=RefinerSettings(threshold=0.99, fit=0.3))
    given = refine(of, "slow app start").assignment
    assert (given.label, given.standing, given.new) == ("slow app", "code", False)
    assert given.why.startswith("took 'slow app', the nearest that the codebook allows: 'slow app start' at 0.")
    assert given.signals[STRETCHED] == 1
    assert prior(given.signals) < 0.5 < prior(given.signals | {STRETCHED: 0.0})


def test_what_another_member_proposed_may_be_nearer_to_an_allowed_code():
    of = refiner("deductive", "slow app", settings=RefinerSettings(threshold=0.99, fit=0.5))
    of_others = [
        proposal("great music", "a"),
        proposal("slow app start", "b"),
        proposal("slow app", "c", fault="empty"),
    ]
    given = refine(of, "great music", proposals=of_others).assignment
    assert (given.label, given.standing) == ("slow app", "code")
    assert given.why.startswith("took 'slow app', the nearest that the codebook allows: 'slow app start' at ")


@pytest.mark.parametrize("note", ["definition", "inclusion", "examples"])
def test_what_people_wrote_of_a_code_takes_part_in_the_choice_of_a_deductive_study(note):
    of, text = refiner("deductive", settings=RefinerSettings(fit=0.9)), "it takes a minute to open"
    of.apply_events([created("performance", **{note: [text] if note == "examples" else text}), created("price")])
    given = refine(of, "great music", text=text).assignment
    assert (given.label, given.standing) == ("performance", "code")
    assert given.why == "took 'performance', the nearest that the codebook allows: its text at 1.00"


def test_a_note_of_when_a_code_is_not_to_be_used_brings_nobody_to_it():
    of, text = refiner("deductive", settings=RefinerSettings(fit=0.9)), "it takes a minute to open"
    of.apply_events([created("performance", exclusion=text)])
    assert refine(of, "great music", text=text).assignment.standing == "none"


def test_a_code_that_says_the_opposite_is_not_allowed_however_near_it_is():
    of = refiner("deductive", "no ads", settings=RefinerSettings(fit=0.1))
    assert refine(of, "too many ads").assignment.standing == "none"


def test_a_code_that_was_retired_is_allowed_no_more():
    of = refiner("deductive", "slow app", settings=RefinerSettings(fit=0.3))
    code = code_id("reviews", "slow app")
    about = {"code_id": code, "study": "reviews", "label": "slow app", "author": "lea", "at": AT + timedelta(hours=1)}
    of.apply_events([CodeEvent(id=code_event_id(code, "retired", "form"), kind="retired", **about)])
    assert refine(of, "slow app").assignment.standing == "none"


def test_where_none_fits_the_nearest_that_is_named_may_be_near_by_what_people_wrote_of_it():
    of, text = refiner("deductive", settings=RefinerSettings(fit=0.99)), "it takes a minute to open"
    of.apply_events([created("performance", definition=f"{text} it"), created("price")])
    given = refine(of, "great music", text=text).assignment
    assert (given.standing, given.runner_up.label) == ("none", "performance")
    assert given.similarity == given.runner_up.similarity > 0.8


def test_a_threshold_that_a_lead_set_comes_before_what_was_learned_and_is_taken_back():
    of = refiner("inductive", "slow app")
    of.set_thresholds({"reviews": Threshold(0.99, "learned from 3 judgements")})
    assert refine(of, "slow app start").assignment.new
    of.update_rules([rules(minute=2, reuse_threshold=0.4), rules(minute=1)])
    near = refine(of, "app is slow", "2").assignment
    assert (near.new, near.label) == (False, "slow app")
    assert "threshold 0.40 (set on the page)" in near.why
    of.update_rules([rules(minute=3)])
    assert refine(of, "slow app again", "3").assignment.why.endswith("is under 0.99 (learned from 3 judgements)")


def test_rules_of_before_there_was_a_threshold_leave_it_to_the_profile():
    old = rules(minute=1).model_dump(mode="json")
    del old["reuse_threshold"]
    assert StudyRules.model_validate(old).reuse_threshold is None
