"""What people decide and which rules they set move a running router, and the next one from its first segment on."""

from datetime import UTC, datetime, timedelta
from itertools import count

from schemas import Annotation, StudyRules
from streams.publish import outgoing
from tests.integration.stack import STUDY, publish, running, until
from tests.integration.test_teaching import Coding
from tests.unit.builders import judgements

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = "the login is slow"


def rules(minute: int, **values: object) -> StudyRules:
    given = {"study": STUDY, "author": "lea", "at": START + timedelta(minutes=minute), "audit_share": 0}
    return StudyRules.model_validate(given | values)


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
