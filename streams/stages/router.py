"""What the router does with a batch: give each assignment its confidence, and ask people about the doubtful ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from models.ports import Clock
from models.routing.router import Router
from schemas import (
    Annotation,
    AnnotationRequest,
    Assignment,
    ModelRelease,
    StudyRules,
)
from streams.publish import outgoing
from streams.stage import Answers, PlainStage, Recall, Received, SideInputHandler, StageResult, readable
from streams.topology import (
    ASSIGNMENTS,
    LABELS,
    RELEASES,
    REQUESTS,
    STUDIES,
)


@dataclass
class RouterStage(PlainStage):
    """Give each assignment its confidence and route, and ask people about the doubtful ones."""

    router: Router
    clock: Clock
    role: str = "router"
    answers: Answers = field(default_factory=lambda: Answers(10_000), init=False)
    requests: Answers = field(default_factory=lambda: Answers(10_000), init=False)
    """What people were asked, by segment: it goes out again with the answer that it belongs to."""

    def side_inputs(self) -> Mapping[str, SideInputHandler]:
        """What people decide, and the rules that they set, hold from the next batch on."""
        return {
            LABELS.name: lambda values: self.router.update_annotations(readable(values, Annotation)),
            STUDIES.name: lambda values: self.router.update_rules(readable(values, StudyRules)),
            RELEASES.name: lambda values: self.router.update_releases(readable(values, ModelRelease)),
        }

    def side_inputs_loaded(self) -> None:
        """Weigh the labels, so that the first batch does not wait for it."""
        self.router.warm_up()

    def recalls(self) -> Mapping[str, Recall]:
        """What was routed: by other labels and rules it may be routed otherwise now."""
        return {
            ASSIGNMENTS.name: Recall(2_000, self._recall),
            REQUESTS.name: Recall(2_000, self._recall_requests),
        }

    def _recall_requests(self, values: Sequence[bytes | None]) -> None:
        for request in readable(values, AnnotationRequest):
            self.requests.keep(request.segment_id, outgoing(request))

    def _recall(self, values: Sequence[bytes | None]) -> None:
        routed = [assignment for assignment in readable(values, Assignment) if assignment.route is not None]
        self.router.recall(routed)
        for assignment in routed:
            self.answers.keep(_question(assignment), outgoing(assignment))

    def work(self, batch: Sequence[Received], result: StageResult) -> None:
        """Route a batch; assignments that have a route are our own and are passed over."""
        self.answers.forget()
        self.requests.forget()
        unrouted = [assignment for _, assignment in self.read(batch, Assignment, result) if assignment.route is None]
        questions = {_question(assignment): assignment for assignment in unrouted}
        fresh = {question: assignment for question, assignment in questions.items() if question not in self.answers}
        for question, routed in zip(fresh, self.router.route(list(fresh.values())), strict=True):
            self.answers.keep(question, outgoing(routed.assignment))
            if routed.request is not None:
                self.requests.keep(routed.assignment.segment_id, outgoing(routed.request))
        asked = {assignment.segment_id for assignment in questions.values()}
        result.before += [self.requests[segment] for segment in asked if segment in self.requests]
        result.send += [self.answers[question] for question in questions]


def _question(assignment: Assignment) -> tuple[UUID, UUID, datetime]:
    """What the router answers: a segment's code, as the refiner gave it at that moment."""
    return assignment.segment_id, assignment.code_id, assignment.assigned_at
