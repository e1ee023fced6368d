"""How often a promise is broken, and what it lets through: many samples of worlds whose truth is known.

    python -m infra.experiments.loop.promises

A world is how often codes are right at each confidence; a sample is what people said of segments drawn by chance. Then
whole streams, on which the promise is looked at again after every batch.
"""

import sys
from collections.abc import Iterator

import numpy as np

from infra.experiments.loop.worlds import STREAMS, play_stream
from models.ports import Bools, Floats
from models.routing.risk_control import promise

WORLDS = ((1.5, 2.0), (2.4, 0.3), (0.3, 3.0), (1.8, 1.0))
"""Log-odds of a right code: at the middling confidence, and how fast they rise with it."""
_SEGMENTS = 200_000
_SAMPLES = 200
_RUNS = 100
_WRONG = 0.1


def world(base: float, slope: float, seed: int = 0) -> tuple[Floats, Bools]:
    """Confidences, the surest first, and whether each code is right, shape ``(n,)`` each."""
    draw = np.random.default_rng(seed)
    chances = np.sort(1 / (1 + np.exp(-(base + slope * draw.normal(size=_SEGMENTS)))))[::-1]
    return chances, draw.random(_SEGMENTS) < chances


def outcomes(
    chances: Floats, right: Bools, labels: int, samples: int, wrong_share: float
) -> Iterator[tuple[float, float]]:
    """Of each sample the share that is accepted and how much of it is wrong; nothing accepted is nothing wrong."""
    draw = np.random.default_rng(1)
    wrong = np.cumsum(~right)
    for _ in range(samples):
        of = draw.choice(len(chances), labels, replace=False)
        threshold = promise(chances[of].tolist(), right[of].tolist(), wrong_share=wrong_share).threshold
        count = 0 if threshold is None else int(np.searchsorted(-chances, -threshold, side="right"))
        yield count / len(chances), float(wrong[count - 1]) / count if count else 0.0


def print_streams() -> None:
    """Print a line a stream and way of counting labels."""
    for stream in STREAMS:
        for weighed in (False, True):
            rows = np.array([play_stream(stream, seed, _WRONG, weighed=weighed) for seed in range(_RUNS)])
            made = rows[:, 0] > 0
            broken = (rows[made, 1] > _WRONG).mean() if made.any() else 0.0
            sys.stdout.write(
                f"{stream.name:26s} {'every label' if weighed else 'drawn only':12s} made {made.mean():.2f}, "
                f"broken {broken:.3f}, spared {rows[:, 0].mean():.3f}, wrong {rows[made, 1].mean():.3f}\n"
            )


def main() -> None:
    """Print a line a world and number of labels, then the streams."""
    for base, slope in WORLDS:
        chances, right = world(base, slope)
        for labels in (80, 150, 300):
            rows = np.array(list(outcomes(chances, right, labels, _SAMPLES, _WRONG)))
            made, broken = (rows[:, 0] > 0).mean(), (rows[:, 1] > _WRONG).mean()
            sys.stdout.write(
                f"{base:4.1f} {slope:4.1f} {labels:4d} labels: made {made:.2f}, broken {broken:.3f}, "
                f"accepted {rows[:, 0].mean():.3f}\n"
            )
    print_streams()


if __name__ == "__main__":
    main()
