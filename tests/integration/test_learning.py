"""People's labels flow in, the classifier that they teach is released, and the rest of the stream needs people less."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from infra.local.stack import LocalStack
from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    CodeEvent,
    Decision,
    ModelRelease,
    Record,
    Segment,
    StudyRules,
)
from schemas.ids import code_event_id, code_id, segment_id
from streams.publish import outgoing
from streams.topology import ASSIGNMENTS, DECISIONS, RELEASES, REQUESTS
from tests.integration.stack import STUDY, feedback, lag, messages, publish, running, until

DATA = Path(__file__).parent.parent / "data"
PROFILE = DATA / "learning.toml"
ROLES = ("coders", "moderator", "refiner", "router", "trainer")
WAVES, EACH, LABELLED = 4, 30, 25
RULES: dict[str, Any] = {"mode": "promise", "wrong_share": 0.25, "certainty": 0.8}
RULES |= {"study": STUDY, "author": "lea", "at": datetime(2026, 1, 1, tzinfo=UTC)}
PROBE = "is there anybody who can help me with something else"


R = TypeVar("R", bound=Record)


class Replay:
    """The data, piece by piece through a running stack, and a person who knows the right codes."""

    def __init__(self, stack: LocalStack, rows: Sequence[dict[str, str]]) -> None:
        self.cluster, self.stack = stack.cluster, stack
        self.probes = 0
        self.segments = [
            Segment(id=segment_id(STUDY, "test", str(n)), study=STUDY, text=row["text"], source="test")
            for n, row in enumerate(rows)
        ]
        self.texts = {one.id: one.text for one in self.segments}
        self.right = {one.id: row["code"] for one, row in zip(self.segments, rows, strict=True)}

    def read(self, topic: str, kind: type[R]) -> list[R]:
        """All records on a topic."""
        return [kind.from_bytes(raw) for raw in messages(self.cluster, topic)]

    def say(self, records: Iterable[Record]) -> None:
        """Publish records, each on its topic."""
        publish(self.cluster, [outgoing(one) for one in records])

    def code(self, wanted: Sequence[Segment]) -> list[Assignment]:
        """Put segments on the stream; their assignments, with routes, in order."""
        publish(self.cluster, feedback(wanted))
        done = {}

        def routed() -> bool:
            done.update({one.segment_id: one for one in self.read(ASSIGNMENTS.name, Assignment) if one.route})
            return all(one.id in done for one in wanted)

        until(routed, self.stack, every=0.5)
        return [done[one.id] for one in wanted]

    def label(self, assigned: Sequence[Assignment]) -> None:
        """Say what is right of some segments, as a person does who is asked about them."""
        asked = {one.segment_id: one for one in self.read(REQUESTS.name, AnnotationRequest)}
        self.say(self._word(one, asked.get(one.segment_id)) for one in assigned)
        until(lambda: lag(self.cluster, "trainer") == 0, self.stack, every=0.5)

    def _word(self, one: Assignment, request: AnnotationRequest | None) -> Annotation:
        code = self.right[one.segment_id]
        return Annotation(
            segment_id=one.segment_id,
            study=STUDY,
            annotator="ana",
            code_ids=[code_id(STUDY, code)],
            labels=[code],
            text=self.texts[one.segment_id],
            shown=one.label,
            accepted=one.label == code,
            confidence=one.confidence,
            signals=one.signals,
            reason=request.reason if request else None,
            sample=bool(request and request.sample),
            decided_at=datetime.now(UTC),
        )

    def wave(self, number: int) -> list[Assignment]:
        """Code a part of the data; then a person labels most of it."""
        coded = self.code(self.segments[number * EACH : (number + 1) * EACH])
        self.label(coded[:LABELLED])
        return coded

    def releases(self) -> list[ModelRelease]:
        """The classifiers that were released, in their order; the last was taught all labels."""
        made: list[ModelRelease] = []

        def taught() -> bool:
            made[:] = [one for one in self.read(RELEASES.name, ModelRelease) if one.outcome == "released"]
            return any(one.labels == WAVES * LABELLED for one in made)

        until(taught, self.stack, every=0.5)
        return sorted(made, key=lambda one: one.released_at)

    def until_read_by(self, release: ModelRelease) -> None:
        """Code further segments until this release classifies, and the router has heard of it too."""

        def read() -> bool:
            self.probes += 1
            probe = Segment(id=segment_id(STUDY, "probe", str(self.probes)), study=STUDY, text=PROBE, source="probe")
            return self.code([probe])[0].models.get("classifier") == release.version

        until(read, self.stack, every=0.5)

    def changed(self, assigned: Sequence[Assignment]) -> float:
        """The share of codes that a person would change."""
        return sum(one.label != self.right[one.segment_id] for one in assigned) / len(assigned)


def to_people(assigned: Sequence[Assignment]) -> float:
    """The share of segments that people are asked about because the system is in doubt."""
    return sum(one.route == "people" for one in assigned) / len(assigned)


def opened(codes: Iterable[str]) -> list[CodeEvent]:
    """A codebook that somebody wrote beforehand."""
    return [
        CodeEvent(
            id=code_event_id(code_id(STUDY, code), "created", "lea"),
            code_id=code_id(STUDY, code),
            study=STUDY,
            kind="created",
            label=code,
            author="lea",
            at=datetime.now(UTC),
        )
        for code in codes
    ]


@pytest.mark.slow
def test_what_people_label_teaches_a_classifier_that_spares_them_on_the_rest_of_the_stream(tmp_path, brokers):
    rows = [json.loads(line) for line in (DATA / "intents.jsonl").read_text(encoding="utf-8").splitlines()]
    with running(tmp_path / "data", roles=ROLES, profile=PROFILE, brokers=brokers) as (stack, store):
        replay = Replay(stack, rows)
        replay.say([*opened(sorted({row["code"] for row in rows})), StudyRules(**RULES)])
        before = [one for wave in range(WAVES) for one in replay.wave(wave)]
        released = replay.releases()
        newest = released[-1]
        replay.until_read_by(newest)
        after = replay.code(replay.segments[WAVES * EACH :])
        decided = {one.segment.id: one for one in replay.read(DECISIONS.name, Decision)}
    store.close()
    classified = [decided[one.segment_id].classified for one in after]
    picked = sum(decided[one.segment_id].picked == "classifier" for one in after)
    print(f"{newest.labels} labels taught {newest.version}: {newest.why}")
    for name, share in {"to people": to_people, "changed by a person": replay.changed}.items():
        print(f"{name}: {share(before):.3f} of the first {len(before)}, {share(after):.3f} of the other {len(after)}")
    print(f"{picked} picked by the classifier, {sum(one.sure for one in classified)} where it was sure")
    assert len(released) > 1
    assert [one.replaces for one in released] == [None, *(one.version for one in released[:-1])]
    assert {one.model for one in classified} == {newest.version}
    assert picked > 0
    assert to_people(after) < to_people(before)
    assert replay.changed(after) < replay.changed(before)
    assert all(one.models["classifier"] == newest.version for one in after)
    assert sum("classifier" in one.signals for one in after) > len(after) / 2
    assert {one.segment_id for one in before + after} == {one.id for one in replay.segments}  # each coded, and once
    assert len(decided) == len(replay.segments) + replay.probes
