"""A merge that a lead makes on the page is what the running refiner gives the next segment; its undo too."""

from pathlib import Path
from uuid import UUID, uuid4

from infra.local.stack import CODING, LocalStack
from infra.storage.store import Store
from models.codebook.codebook import Codebook
from schemas import Assignment, Segment
from schemas.ids import code_id, segment_id
from tests.brokers.chosen import Brokers
from tests.integration.stack import STUDY, publish, running, until
from tests.web.site import Visit, make_site, visit

CHECKOUT, CRASHES = (code_id(STUDY, label) for label in ("checkout slow", "app crashes"))


class Stream:
    """Segments into a running stack, the codes that its refiner gave them out of the read model."""

    def __init__(self, stack: LocalStack, store: Store) -> None:
        self.stack, self.store, self.count = stack, store, 0

    def code(self, text: str) -> UUID:
        self.count += 1
        one = Segment(id=segment_id(STUDY, "test", str(self.count)), study=STUDY, text=text, source="test")
        self.store.take_in([one])
        given: dict[UUID, UUID] = {}

        def coded() -> bool:
            given.update({each.segment_id: each.code_id for each in self.store.history(Assignment, STUDY)})
            return one.id in given

        until(coded, self.stack)
        return given[one.id]

    def until_coded(self, text: str, code: UUID) -> None:
        """Code a text again until it gets a code: the refiner has heard by then."""
        until(lambda: self.code(text) == code, self.stack, seconds=30)


def test_a_merge_and_its_undo_on_the_page_hold_for_the_next_segments(tmp_path: Path, brokers: Brokers) -> None:
    folder = tmp_path / "data"
    with running(folder, roles=CODING, brokers=brokers) as (stack, store):
        stream, site = Stream(stack, store), make_site(folder)
        lead = visit(site, "lead")
        assert (stream.code("checkout slow"), stream.code("app crashes")) == (CHECKOUT, CRASHES)
        until(lambda: {CHECKOUT, CRASHES} <= Codebook(store.code_events(STUDY)).keys(), stack)

        def send(action: str, **fields: str) -> None:
            assert _post(lead, store, action, **fields) == 303
            waiting = site.outbox.waiting()
            publish(stack.cluster, [one.message for one in waiting])
            site.outbox.sent(waiting)

        send("merge", into=str(CRASHES))
        assert dict(store.top_codes(STUDY, 9)) == {"app crashes": 2}  # at once, whoever has heard
        stream.until_coded("checkout slow", CRASHES)
        assert stream.code("checkout slow") == CRASHES
        (merged,) = (one for one in store.code_events(STUDY) if one.kind == "merged")
        send("undo", event=str(merged.id))
        stream.until_coded("checkout slow", CHECKOUT)
        assert stream.code("app crashes") == CRASHES
        site.store.close()
    store.close()


def _post(lead: Visit, store: Store, action: str, **fields: str) -> int:
    seen = Codebook(store.code_events(STUDY))[CHECKOUT].last_event.id
    form = {"cause": str(uuid4()), "last": str(seen), "reason": "the same", **fields}
    address = f"/s/{STUDY}/codebook/codes/{CHECKOUT}/{action}"
    return lead.post(address, data=form, follow_redirects=False).status_code
