"""What the system as it stands would code labelled segments with, were their own labels away.

What it said when a segment came is what it knew then. A promise is about what it says now, so each labelled segment is
decided again: by the texts that people coded since, all but itself, and by a classifier that was not taught it.
"""

from collections.abc import Iterator, Mapping
from uuid import UUID

from models.annotation.human_decision import LatestAnnotations
from models.classifier.predictions import OutOfFoldPredictions, Redecided
from models.moderation.classifier_vote import CLASSIFIER, guess_of
from models.moderation.decision import ConsensusModerator
from models.moderation.precedents import PrecedentModerator, Precedents, PrecedentSettings, coded_text
from models.ports import Embedder
from schemas import Annotation, Proposal, Proposals, Segment

_EARLIER = "shown earlier"
"""The member that stands for all: what the system said when the segment came, which knew nothing of its label."""


def redecide(
    latest: LatestAnnotations, predictions: OutOfFoldPredictions, embedder: Embedder
) -> Mapping[UUID, Redecided]:
    """Decide a study's labelled segments again, with the rule that decides new ones.

    What members proposed is not kept, so the code that was shown stands for it. Left out are segments without a text,
    those that nobody has decided, and those that neither members nor the classifier have anything to say of.

    Args:
        latest: What people said about the study.
        predictions: Of the classifier that is to serve, out of fold.
        embedder: The moderator's, of texts and labels.
    """
    lasts = [decision.last for segment in latest if (decision := latest.decision(segment)) is not None]
    coded = [text for last in lasts if (text := coded_text(latest, last)).codes]
    precedents = Precedents(embedder)
    precedents.add_texts(coded)
    moderator = PrecedentModerator(ConsensusModerator(embedder), embedder, precedents, PrecedentSettings(own=False))
    texts = {text.key: text.text for text in coded}
    batch = list(_proposals(lasts, texts, predictions))
    return {
        decision.segment.id: Redecided(decision.label, decision.signals)
        for decision in (moderator.decide(batch) if len(coded) > 1 else ())
    }


def _proposals(
    lasts: list[Annotation], texts: Mapping[str, str], predictions: OutOfFoldPredictions
) -> Iterator[Proposals]:
    """What is known of each segment without its label, of those of which anything is."""
    for last in lasts:
        text = texts.get(str(last.segment_id))
        if text is None:
            continue
        segment = Segment(id=last.segment_id, study=last.study, text=text, source=_EARLIER)
        classified = predictions.classified(last.segment_id, CLASSIFIER)
        shown = [] if last.shown is None else [Proposal(member=_EARLIER, model=_EARLIER, label=last.shown, latency_s=0)]
        known = Proposals(segment=segment, proposals=shown or [_nothing()], classified=classified)
        guess = guess_of(known)
        if shown or guess:
            yield known if shown else known.model_copy(update={"proposals": [guess]})


def _nothing() -> Proposal:
    return Proposal(member=_EARLIER, model=_EARLIER, label="", fault="nothing was shown", latency_s=0)
