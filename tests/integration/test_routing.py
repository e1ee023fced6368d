"""What people decide and which rules they set move a running router, and the next one from its first segment on."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from infra.routing.coded_already import apply_rules
from infra.storage.store import Store
from infra.telemetry.invariant_check import audit_of_store, audit_of_topics
from infra.training.loader import out_of_fold_loader
from schemas import Annotation, AnnotationRequest, Assignment, StudyRules
from streams.publish import outgoing
from tests.integration.stack import STUDY, publish, running, until
from tests.integration.test_teaching import Coding
from tests.unit.builders import judgements

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = "the login is slow"


def rules(minute: int, **values: object) -> StudyRules:
    given = {"study": STUDY, "author": "lea", "at": START + timedelta(minutes=minute), "audit_share": 0}
    return StudyRules.model_validate(given | values)


def coded(store: Store) -> set[UUID]:
    """Every segment of the study that has a code and a route."""
    return {each.segment_id for each in store.history(Assignment, STUDY) if each.route is not None}


def test_labels_and_rules_move_the_router_while_it_runs_and_the_next_one_from_its_start(tmp_path, brokers):
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        coding = Coding(stack, store)

        def said(*records: StudyRules | Annotation) -> None:
            publish(stack.cluster, [outgoing(one) for one in records])

        def until_routed(route: str) -> None:
            until(lambda: coding.rows(TEXT)[0]["route"] == route, stack)

        until_routed("suggested")  # by the profile, which has said nothing of what is accepted
        said(rules(0, threshold=0.5))
        until_routed("accepted")
        said(rules(1, mode="promise"))
        until_routed("people")  # there are no labels to promise anything by
        said(*judgements(600, study=STUDY))
        until_routed("accepted")
        said(rules(2, threshold=1.0))
        until_routed("people")
        assert [row["route"] for row in coding.rows(TEXT, f"{TEXT} again")] == ["people", "people"]
    with running(tmp_path / "data", store, brokers=brokers) as (stack, _):
        assert Coding(stack, store).rows(TEXT)[0]["route"] == "people"
    store.close()


def test_rules_applied_to_what_is_coded_ask_over_the_topic_and_nothing_is_coded_or_routed_twice(tmp_path, brokers):
    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        coding = Coding(stack, store)
        publish(stack.cluster, [outgoing(rules(0, threshold=0.0))])
        until(lambda: coding.rows(TEXT)[0]["route"] == "accepted", stack)
        asked = {request.segment_id for request in store.history(AnnotationRequest, STUDY)}
        batches: list[Sequence[AnnotationRequest]] = []
        taught = out_of_fold_loader(tmp_path / "data")
        questions = apply_rules(store.database, rules(1, mode="people"), datetime.now(UTC), taught, batches.append)
        requests = [request for batch in batches for request in batch]
        assert {request.segment_id for request in requests} == {each for each in coded(store) if each not in asked}
        assert questions.asked == len(requests) > 0
        publish(stack.cluster, [outgoing(request) for request in requests])
        until(lambda: len(list(store.history(AnnotationRequest, STUDY))) == questions.coded, stack)
        assert audit_of_store(store, STUDY).faults(all_taken_in=True) == []
        assert asyncio.run(audit_of_topics(stack.cluster, STUDY)).faults(all_taken_in=False) == []
    store.close()


def test_a_coding_mode_moves_the_refiner_while_it_runs_and_the_next_one_from_its_start(tmp_path, brokers):
    numbers = count()

    def standing(coding: Coding) -> tuple[str, str, str | None]:
        """What becomes of a text that is like none before."""
        row = coding.rows(f"quux{next(numbers)} zeugma{next(numbers)}")[0]
        return row["standing"], row["route"], row["code"]

    with running(tmp_path / "data", brokers=brokers) as (stack, store):
        coding = Coding(stack, store)
        opened = coding.rows(TEXT)[0]
        assert opened["new"]
        publish(stack.cluster, [outgoing(rules(1, coding_mode="deductive", threshold=0.0))])
        until(lambda: standing(coding) == ("none", "people", None), stack)
        kept = coding.rows(TEXT)[0]
        assert (kept["standing"], kept["code_id"], kept["route"]) == ("code", opened["code_id"], "accepted")
    with running(tmp_path / "data", store, brokers=brokers) as (stack, _):
        assert standing(Coding(stack, store)) == ("none", "people", None)
    store.close()
