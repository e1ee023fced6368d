"""What a confidence is worth at each stage, in words."""

from typing import Final

from schemas.coding import ConfidenceStage

STAGES: Final[dict[ConfidenceStage, str]] = {
    "uncalibrated": "The confidence is uncalibrated: the share of such codes that people let stand is not known here.",
    "rated": "The confidence comes from blind ratings of codes of other texts: about that share of such codes stood.",
    "calibrated": "The confidence is calibrated on the study's labels: people let that share of such codes stand.",
}
"""By stage, the sentence that stands wherever a confidence, or what was accepted by it, is shown."""
