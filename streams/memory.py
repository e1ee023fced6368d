"""What was answered lately, so that a question that comes twice gets the same answer, byte for byte."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from streams.publish import Outgoing

SideInputHandler = Callable[[Sequence[bytes | None]], None]


class Recall(NamedTuple):
    """What a worker reads of a topic before it works on a batch, and does not follow."""

    last: int | None
    """So many messages of each partition, the newest; of a topic that the worker writes more than a predecessor can
    have written and not acknowledged. None where it is all of them."""
    handler: SideInputHandler


class Answers:
    """The last messages that were published, each by what it answers; so many are kept from batch to batch."""

    def __init__(self, most: int) -> None:
        """Start without any.

        Args:
            most: How many are kept from batch to batch, the newest.
        """
        self._most = most
        self._messages: OrderedDict[Hashable, Outgoing] = OrderedDict()

    def __contains__(self, question: Hashable) -> bool:
        """Whether it was answered lately."""
        return question in self._messages

    def __getitem__(self, question: Hashable) -> Outgoing:
        """The answer that it got; raises ``KeyError`` where none is kept."""
        return self._messages[question]

    def keep(self, question: Hashable, answer: Outgoing) -> None:
        """Know an answer; one that is read from a topic counts more than what was kept before."""
        self._messages[question] = answer
        self._messages.move_to_end(question)

    def forget(self) -> None:
        """Forget the oldest beyond those that are to be kept; before a batch, whose answers must all be there."""
        while len(self._messages) > self._most:
            self._messages.popitem(last=False)
