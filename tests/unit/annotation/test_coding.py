"""A person's choice as records."""

from datetime import UTC, datetime, timedelta

import pytest

from models.annotation.coding import CodeEntry, CodeLookup, CodingChoice, Task, decide, undo
from models.annotation.human_decision import human_decision
from models.errors import InputError
from schemas import AnnotationRequest, Assignment
from schemas.coding import NONE_FITS
from schemas.ids import code_id, no_code_id
from tests.unit.builders import segment

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SLOW, CRASH, PRICE, OLD, GONE, THEME = (
    code_id("reviews", label) for label in ("slow app", "crashes", "price", "sluggish", "retired one", "performance")
)
CODES = CodeLookup(
    [
        CodeEntry(SLOW, "slow app", final=SLOW),
        CodeEntry(CRASH, "Crashes", final=CRASH),
        CodeEntry(PRICE, "costs", final=PRICE),  # renamed: it began as "price"
        CodeEntry(OLD, "sluggish", final=SLOW),  # merged
        CodeEntry(GONE, "retired one"),
        CodeEntry(THEME, "performance", final=THEME, is_theme=True),
    ]
)


def task(code=SLOW, label="slow app", *, said=None, blind=False, standing="code", **request):
    of = segment()
    asked = {"confidence": 0.4, "reason": "low confidence", "requested_at": AT, "signals": {"margin": 0.1}} | request
    return Task(
        segment=of,
        request=AnnotationRequest(segment_id=of.id, study=of.study, code_id=code, label=label, **asked),
        assignment=Assignment(
            segment_id=of.id,
            study=of.study,
            code_id=code,
            label=label,
            proposed=label,
            new=False,
            standing=standing,
            similarity=0.8,
            why="near",
            verdict="picked",
            assigned_at=AT,
        ),
        decision=None,
        last=said,
        before=None,
        after=None,
        blind=blind,
        since=AT,
        held=True,
        open_slots=1,
    )


def chosen(now=AT, of=None, **choice):
    return decide(of or task(), CodingChoice(cause="form-1", **choice), CODES, "ana", now)


def test_accepting_gives_the_systems_code_and_says_so():
    said = chosen(accept=True, memo=" why not ", seconds=3.5).annotation
    assert (said.code_ids, said.labels, said.accepted, said.shown) == ([SLOW], ["slow app"], True, "slow app")
    assert (said.annotator, said.memo, said.seconds, said.decided_at) == ("ana", "why not", 3.5, AT)


def test_what_those_who_learn_from_it_need_is_taken_from_the_request():
    said = chosen(accept=True, of=task(sample=True, blind=True, reason="audit")).annotation
    assert (said.text, said.confidence, said.signals) == ("the checkout is slow", 0.4, {"margin": 0.1})
    assert (said.reason, said.sample, said.blind) == ("audit", True, True)


def test_another_code_overrides_the_system():
    said = chosen(codes=[CRASH]).annotation
    assert (said.code_ids, said.accepted) == ([CRASH], False)


def test_the_systems_code_among_several_is_accepted():
    said = chosen(codes=[CRASH, SLOW]).annotation
    assert (said.labels, said.accepted) == (["Crashes", "slow app"], True)


def test_a_code_that_was_merged_meanwhile_is_what_it_was_merged_into():
    assert chosen(codes=[OLD]).annotation.code_ids == [SLOW]
    said = chosen(codes=[SLOW], of=task(OLD, "sluggish")).annotation
    assert (said.accepted, said.shown) == (True, "sluggish")


def test_a_new_label_creates_a_code_in_the_persons_name():
    decided = chosen(labels=["  Battery   drain "])
    (event,) = decided.created
    assert (event.kind, event.label, event.author, event.code_id) == (
        "created",
        "Battery drain",
        "ana",
        code_id("reviews", "battery drain"),
    )
    assert decided.annotation.code_ids == [event.code_id]
    assert decided.annotation.accepted is False
    assert decided.records == (event, decided.annotation)


def test_the_same_form_sent_twice_creates_the_same_event():
    assert chosen(labels=["new one"]).created[0].id == chosen(AT + timedelta(1), labels=["new one"]).created[0].id


@pytest.mark.parametrize(
    ("written", "code"), [("SLOW APP.", SLOW), ("crashes", CRASH), ("price", PRICE), ("Sluggish", SLOW)]
)
def test_an_existing_code_in_another_spelling_or_under_an_earlier_name_is_that_code(written, code):
    decided = chosen(labels=[written])
    assert (decided.annotation.code_ids, decided.created) == ([code], ())


def test_two_spellings_of_a_new_code_are_one():
    decided = chosen(labels=["Dark mode", "dark  mode"])
    assert [event.label for event in decided.created] == ["Dark mode"]
    assert decided.annotation.labels == ["Dark mode"]


@pytest.mark.parametrize("written", ["...", " ", "x" * 121])
def test_what_is_no_code_is_refused(written):
    with pytest.raises(InputError, match="is no code; at most 120 characters"):
        chosen(labels=[written])


def test_a_theme_or_a_retired_code_is_refused_with_what_to_do():
    with pytest.raises(InputError, match="'Performance' is a theme"):
        chosen(labels=["Performance"])
    with pytest.raises(InputError, match=r"'retired one' is retired, .*restore it"):
        chosen(labels=["retired one"])
    with pytest.raises(InputError, match="'retired one' is retired"):
        chosen(codes=[GONE])
    with pytest.raises(InputError, match="'retired one' is retired"):
        chosen(accept=True, of=task(GONE, "retired one"))


def test_nothing_chosen_is_refused_unless_unsure():
    with pytest.raises(InputError, match="no code is chosen"):
        chosen()
    said = chosen(unsure=True).annotation
    assert (said.unsure, said.code_ids, said.accepted) == (True, [], None)


def test_a_code_of_the_system_that_the_codebook_does_not_know_yet_can_be_accepted():
    unknown = code_id("reviews", "just created")
    said = chosen(accept=True, of=task(unknown, "just created")).annotation
    assert (said.code_ids, said.labels, said.accepted) == ([unknown], ["just created"], True)


def test_an_endless_memo_is_refused():
    with pytest.raises(InputError, match="memo has 4001 characters"):
        chosen(accept=True, memo="x" * 4001)


def test_undoing_withdraws_the_decision_and_keeps_what_it_was():
    said = chosen(codes=[CRASH]).annotation
    back = undo(said, AT)
    assert (back.withdrawn, back.code_ids, back.decided_at > said.decided_at) == (True, [CRASH], True)


def test_a_second_thought_is_later_than_the_first_even_within_one_tick():
    first = chosen(codes=[CRASH]).annotation
    second = chosen(accept=True, of=task(said=first)).annotation
    assert second.decided_at > first.decided_at


# what stands outside the codebook


def test_accepting_a_proposed_code_admits_it_in_the_persons_name():
    music = code_id("reviews", "great music")
    done = chosen(of=task(music, "great music", standing="proposed"), accept=True)
    (event,) = done.created
    assert (event.code_id, event.kind, event.author) == (music, "created", "ana")
    assert event.reason == "admitted: models had proposed it"
    assert (done.annotation.code_ids, done.annotation.accepted) == ([music], True)


def test_accepting_a_proposal_that_somebody_has_admitted_meanwhile_makes_no_second_code():
    done = chosen(of=task(CRASH, "crashes", standing="proposed"), accept=True)
    assert (done.created, done.annotation.code_ids, done.annotation.labels) == ((), [CRASH], ["Crashes"])


def test_another_code_in_place_of_a_proposal_admits_nothing():
    music = code_id("reviews", "great music")
    done = chosen(of=task(music, "great music", standing="proposed"), codes=[CRASH])
    assert (done.created, done.annotation.code_ids, done.annotation.accepted) == ((), [CRASH], False)


def test_agreeing_that_none_of_these_fits_is_a_decision_without_codes():
    done = chosen(of=task(no_code_id("reviews"), NONE_FITS, standing="none"), accept=True)
    assert (done.annotation.code_ids, done.annotation.accepted, done.annotation.unsure) == ([], True, False)
    assert human_decision([done.annotation]).codes == ()
    assert not human_decision([done.annotation]).undecided


def test_a_code_where_the_system_found_none_is_no_agreement_with_it():
    done = chosen(of=task(no_code_id("reviews"), NONE_FITS, standing="none"), codes=[CRASH])
    assert (done.annotation.code_ids, done.annotation.accepted) == ([CRASH], False)


def test_a_code_and_that_none_fits_cannot_both_be_chosen():
    with pytest.raises(InputError, match="codes are chosen, and that none fits"):
        chosen(of=task(no_code_id("reviews"), NONE_FITS, standing="none"), accept=True, codes=[CRASH])
