"""How likely one answer is against another, after several ends of the same prompt.

A prompt's ends lie one after the other in one row of tokens, and the attention mask lets each see the prompt and itself
only: what they have in common is read once, in the same pass, and no keys or values are copied.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.backends.lora import attention_masks
from models.backends.lora.adapters import AdapterRows
from models.backends.lora.prefix_cache import PrefixCache, left_padded
from models.backends.lora.prompt_ids import chat_ids, plain_ids, text_ids
from models.backends.lora.prompt_rows import BranchedRow, PromptRow

if TYPE_CHECKING:
    import torch

_MOST_TOKENS = 8_192  # of a batch: nothing is decoded, so a larger one takes memory and gains nothing
_PADDING = -1  # the branch of a token that nobody sees


@dataclass
class _Branches:
    """A row as ids."""

    at: int  # its place in the call
    row: PromptRow
    prefix: tuple[int, ...]
    suffix: list[int]
    ends: list[list[int]]

    @property
    def ids(self) -> list[int]:
        """The suffix, then all ends."""
        return [*self.suffix, *(token for end in self.ends for token in end)]

    @property
    def branches(self) -> list[int]:
        """To which end each token belongs, from 1; 0 for the suffix."""
        return [0] * len(self.suffix) + [n for n, end in enumerate(self.ends, 1) for _ in end]

    @property
    def places(self) -> list[int]:
        """Each token's place in the text that its branch is."""
        start = len(self.prefix) + len(self.suffix)
        return [*range(len(self.prefix), start), *(start + n for end in self.ends for n in range(len(end)))]


class Comparer:
    """Compares two answers over one model; its caller sees that nobody else uses the model meanwhile."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        adapter_rows: AdapterRows,
        prefixes: PrefixCache,
        *,
        batch_tokens: int,
        max_tokens: int,
    ) -> None:
        """Take a model that the adapters are attached to, and its prefixes; see ``Generator`` for the rest."""
        self._model, self._tokenizer, self._adapter_rows = model, tokenizer, adapter_rows
        self._prefixes, self._max_tokens = prefixes, max_tokens
        self._batch_tokens = min(batch_tokens, _MOST_TOKENS)

    def compare(self, rows: Sequence[BranchedRow], answers: tuple[Sequence[str], Sequence[str]]) -> list[list[float]]:
        """How likely the model begins with one of two answers after each end of each row.

        Args:
            rows: Prompts of a chat, their suffix the excerpt, and what may follow it.
            answers: The spellings of the one answer and of the other; the first token of each counts.

        Returns:
            One list a row, one number an end: the first answer's share of both, 0 to 1.
        """
        import torch

        groups = [sorted({plain_ids(self._tokenizer, word)[0] for word in words}) for words in answers]
        shares: list[list[float]] = [[] for _ in rows]
        for batch in self._batches([self._branched(at, each) for at, each in enumerate(rows) if each.ends]):
            logits = self._read(batch).float()
            masses = torch.stack([logits[:, group].logsumexp(-1) for group in groups], dim=-1)
            values = iter(masses.softmax(-1)[:, 0].tolist())
            for branched in batch:
                shares[branched.at] = [next(values) for _ in branched.ends]
        return shares

    def _branched(self, at: int, branched: BranchedRow) -> _Branches:
        row = branched.row
        head, after = chat_ids(self._tokenizer, row.before, row.prefix)
        ends = [plain_ids(self._tokenizer, end) + after for end in branched.ends]
        room = self._max_tokens - len(head) - max(map(len, ends))
        return _Branches(at, row, tuple(head), text_ids(self._tokenizer, row.suffix, room), ends)

    def _batches(self, rows: Sequence[_Branches]) -> Iterator[list[_Branches]]:
        """Cut into batches of like length, longest first; inside, the rows of one adapter stand together."""
        batch: list[_Branches] = []
        widest = 0
        for row in sorted(rows, key=lambda each: -len(each.ids)):
            width = max(widest, len(row.prefix) + len(row.ids))
            if batch and (len(batch) + 1) * width > self._batch_tokens:
                yield sorted(batch, key=lambda each: (each.row.adapter or "", each.at))
                batch, width = [], len(row.prefix) + len(row.ids)
            batch.append(row)
            widest = width
        if batch:
            yield sorted(batch, key=lambda each: (each.row.adapter or "", each.at))

    def _read(self, batch: Sequence[_Branches]) -> "torch.Tensor":
        """Logits after each end of each row, shape (ends, vocabulary)."""
        import torch

        device = self._model.device
        cache, prefix_mask = self._prefixes.read([(row.row.adapter, row.prefix) for row in batch])
        ids, mask = left_padded([row.ids for row in batch], self._tokenizer.pad_token_id)
        branches = torch.where(mask.bool(), left_padded([row.branches for row in batch], 0)[0], _PADDING)
        places, _ = left_padded([row.places for row in batch], 0)
        seen, key_places = _tree(prefix_mask, branches, places)
        self._adapter_rows.assign([row.row.adapter for row in batch])
        hidden = self._model.get_decoder()(
            input_ids=ids.to(device),
            attention_mask=attention_masks.by_layer(
                self._model.config, seen.to(device), places.to(device), key_places.to(device)
            ),
            position_ids=places.to(device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        last = [(n, ids.shape[1] - back) for n, row in enumerate(batch) for back in _distances(row.ends)]
        judged = hidden[[n for n, _ in last], [place for _, place in last]]
        logits: torch.Tensor = self._model.get_output_embeddings()(judged)
        return logits


def _distances(ends: Sequence[Sequence[int]]) -> list[int]:
    """How far each end's last token stands from the right border of its row, 1 for the last one of all."""
    total = sum(map(len, ends))
    distances, read = [], 0
    for end in ends:
        read += len(end)
        distances.append(total - read + 1)
    return distances


def _tree(
    prefix_mask: "torch.Tensor", branches: "torch.Tensor", places: "torch.Tensor"
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Which key each token may see, and the keys' places in their texts.

    Args:
        prefix_mask: 1 for a token of a prefix, shape (rows, prefix).
        branches: The branch of each token that is read now, shape (rows, tokens).
        places: Its place, shape (rows, tokens).

    Returns:
        Bool, shape (rows, 1, tokens, prefix + tokens), and shape (rows, prefix + tokens).
    """
    import torch

    own, other = branches[:, :, None], branches[:, None, :]
    tokens = branches.shape[1]
    earlier = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    seen = earlier & ((other == 0) | (own == other)) & (other != _PADDING)
    before = prefix_mask.bool()[:, None, :].expand(-1, tokens, -1)
    prefix_places = (prefix_mask.cumsum(dim=1) - 1).clamp(min=0)
    return torch.cat([before, seen], dim=-1)[:, None], torch.cat([prefix_places, places], dim=1)
