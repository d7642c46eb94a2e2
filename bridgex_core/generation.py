"""Text from a local model: prompts in batches, the beginning that they share computed once."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .decoding import Decoding, Finish, Generated
from .errors import InputError
from .progress import Advances

if TYPE_CHECKING:
    import torch

    from .models import Model

BATCH_SIZE = 64
# What a batch of its own costs, in tokens: a group of prompts must save more to be set apart.
_BATCH_COST = 128
_HALF_CHARACTER = "\ufffd"


def generate(
    model: Model,
    prompts: Sequence[str],
    decoding: Decoding,
    *,
    batch_size: int = BATCH_SIZE,
    progress: Advances | None = None,
) -> list[Generated]:
    """One answer a prompt; how the prompts are batched makes no difference but rounding.

    The model's beginning-of-sequence token stands in front of every prompt. The token that ends a
    text counts as written: its log-probability is the answer's last.

    Parameters
    ----------
    model : a loaded model.
    prompts : the texts to go on from, at least one.
    decoding : how; a drawn answer depends on the seed and the prompt's place among the prompts.
    batch_size : prompts that are written at once, at most.
    progress : advanced by the prompts of each batch; asked after every token whether to stop.

    Raises
    ------
    InputError
        No prompt, an empty one, or one that leaves no room for the answer in the model's context.
    """
    ids = encode_prompts(model, prompts, decoding.max_tokens)
    spelling = _Spelling(model)
    answers = [_Answer(spelling, decoding, number) for number in range(len(ids))]
    for prefix, rows in batches(model, ids, batch_size, room=decoding.max_tokens):
        reading = read(model, [ids[row] for row in rows], prefix)
        for _ in _write(reading, [answers[row] for row in rows], decoding):
            if progress is not None:
                progress.advance(0.0)
        if progress is not None:
            progress.advance(float(len(rows)))
    return [answer.shown() for answer in answers]


def stream(model: Model, prompt: str, decoding: Decoding) -> Iterator[Generated]:
    """The answer as it grows, a token at a time; closing the iterator stops the work.

    Half a character, and what may turn out to be the beginning of a stop text, is held back. The
    last answer equals that of :func:`generate`, and raises what it raises.
    """
    ids = encode_prompts(model, [prompt], decoding.max_tokens)

    def grow() -> Iterator[Generated]:
        answer = _Answer(_Spelling(model), decoding, 0)
        for _ in _write(read(model, ids), [answer], decoding):
            yield answer.shown()

    return grow()


def alternatives(model: Model, prompt: str, decoding: Decoding, count: int = 5) -> list[Generated]:
    """Answers that begin with the ``count`` most probable first tokens, each gone on greedily.

    The most probable whole answer comes first. Raises what :func:`generate` raises.
    """
    import torch

    ids = encode_prompts(model, [prompt], decoding.max_tokens)
    reading = read(model, ids)
    firsts = reading.logits[0].topk(min(count, reading.logits.shape[1])).indices
    reading.keep([0] * len(firsts))
    greedy = Decoding(decoding.max_tokens, decoding.stop)
    spelling = _Spelling(model)
    answers = [_Answer(spelling, greedy, number) for number in range(len(firsts))]
    for _ in _write(reading, answers, greedy, torch.as_tensor(firsts)):
        pass
    shown = [answer.shown() for answer in answers]
    return sorted(shown, key=lambda answer: -sum(answer.log_probabilities))


def encode_prompts(model: Model, prompts: Sequence[str], room: int) -> list[list[int]]:
    """Token ids of each prompt, BOS in front, with ``room`` tokens left in the model's context.

    Raises
    ------
    InputError
        As :func:`generate` says.
    """
    if not prompts:
        raise InputError("There is no prompt to go on from.")
    ids = [[*model.bos, *model.encode(prompt)] for prompt in prompts]
    if min(map(len, ids)) <= len(model.bos):
        raise InputError("A prompt is empty: the model's tokenizer finds no token in it.")
    longest = max(map(len, ids))
    if longest + room > model.context:
        raise InputError(
            f"A prompt of {longest} tokens and an answer of {room} do not fit into the model's "
            f"context of {model.context}: shorten it, or take fewer demonstrations."
        )
    return ids


@dataclass(frozen=True)
class Prefix:
    """The tokens that several prompts begin with, and the cache of keys and values they leave."""

    ids: tuple[int, ...] = ()
    cache: Any = None

    def cache_for(self, rows: int) -> Any:
        """A cache of its own for a batch of ``rows`` prompts."""
        from transformers import DynamicCache

        # Made without the configuration, it keeps every position: sliding windows are then a matter
        # of the mask alone.
        return DynamicCache() if self.cache is None else repeated(self.cache, rows)


def repeated(cache: Any, rows: int) -> Any:
    """A copy of a cache of one row, for a batch of ``rows``."""
    grown = copy.deepcopy(cache)
    grown.batch_repeat_interleave(rows)
    return grown


class Reading:
    """R prompts that the network has read, and what it read since.

    Attributes
    ----------
    cache : keys and values of the T positions so far.
    mask : int64 (R, T), 1 where a position holds a token, 0 where it pads.
    lengths : int64 (R,), tokens of each row.
    logits : float32 (R, V) behind each row's last token.
    """

    def __init__(self, model: Model, cache: Any, mask: torch.Tensor) -> None:
        self.model = model
        self.cache = cache
        self.mask = mask
        self.lengths = mask.sum(1)
        self.logits: torch.Tensor

    def extend(self, tokens: torch.Tensor) -> None:
        """Read one more token a row, (R,)."""
        import torch

        ones = torch.ones_like(self.mask[:, :1])
        self.mask = torch.cat([self.mask, ones], 1)
        logits = forward(
            self.model, tokens[:, None], self.cache, self.mask, self.lengths[:, None], keep=1
        )
        self.lengths = self.lengths + 1
        self.logits = logits[:, -1].float()

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, in this order; a row may come several times."""
        import torch

        index = torch.tensor(rows, device=self.mask.device)
        self.cache.batch_select_indices(index)
        self.mask, self.lengths = self.mask[index], self.lengths[index]
        self.logits = self.logits[index]


def forward(
    model: Model,
    ids: torch.Tensor,
    cache: Any,
    mask: torch.Tensor,
    positions: torch.Tensor,
    *,
    keep: int,
) -> torch.Tensor:
    """Logits (R, keep, V) of the last ``keep`` of the tokens (R, N) read behind the cache.

    The cache grows by them. ``keep=0`` gives all N; ``mask`` is (R, T + N), or (R, 1, N, T + N) to
    add to the attention scores; ``positions`` (R, N) count tokens, not padding.
    """
    import torch

    # An architecture without the argument (ALiBi) counts the positions from the mask.
    takes_positions = "position_ids" in inspect.signature(model.network.forward).parameters
    with torch.inference_mode():
        return model.network(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
            **({"position_ids": positions} if takes_positions else {}),
        ).logits


def read(model: Model, ids: Sequence[Sequence[int]], prefix: Prefix | None = None) -> Reading:
    """Read a batch of prompts, padded between the shared beginning and the rest of each."""
    import torch

    prefix = prefix or Prefix()
    done = len(prefix.ids)
    width = max(map(len, ids)) - done
    tokens = torch.zeros((len(ids), width), dtype=torch.long)
    mask = torch.ones((len(ids), done + width), dtype=torch.long)
    for row, each in enumerate(ids):
        padding = width - (len(each) - done)
        tokens[row, padding:] = torch.tensor(each[done:])
        mask[row, done : done + padding] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, done:]
    place = model.device
    with torch.inference_mode():
        reading = Reading(model, prefix.cache_for(len(ids)), mask.to(place))
        logits = forward(
            model, tokens.to(place), reading.cache, reading.mask, positions.to(place), keep=1
        )
        reading.logits = logits[:, -1].float()
    return reading


def batches(
    model: Model, ids: Sequence[Sequence[int]], batch_size: int, *, room: int
) -> Iterator[tuple[Prefix, list[int]]]:
    """Rows to go through the model together, with the beginning that their group shares, read.

    ``room`` is the number of tokens that are still to come behind each row.
    """
    window = attention_window(model)
    # A window is counted in positions of the cache, padding included.
    padded = window is None or max(map(len, ids)) + room <= window
    for shared, rows in group_by_beginning(ids):
        prefix = Prefix()
        if shared * (len(rows) - 1) > _BATCH_COST:
            first = ids[rows[0]][:shared]
            prefix = Prefix(tuple(first), read(model, [first]).cache)
        batch: list[int] = []
        for row in sorted(rows, key=lambda row: len(ids[row])):
            unlike = bool(batch) and not padded and len(ids[row]) != len(ids[batch[0]])
            if unlike or len(batch) == batch_size:
                yield prefix, batch
                batch = []
            batch.append(row)
        yield prefix, batch


def attention_window(model: Model) -> int | None:
    """The shortest span of positions that a layer's attention is limited to; None without any."""
    config = model.network.config.get_text_config()
    spans = (getattr(config, name, None) for name in ("sliding_window", "window_size"))
    return min((int(span) for span in spans if span), default=None)


def group_by_beginning(ids: Sequence[Sequence[int]]) -> list[tuple[int, list[int]]]:
    """Groups of rows with the number of tokens that all of a group begin with.

    A group is set apart where computing its beginning once saves more than a batch costs. At least
    one token of each row is left to be read by itself.

    >>> group_by_beginning([[1, 2, 3], [1, 2, 4], [1, 5]])
    [(1, [0, 1, 2])]
    """
    order = sorted(range(len(ids)), key=lambda row: tuple(ids[row]))
    shared = [common_beginning(ids[a], ids[b]) for a, b in pairwise(order)]

    def beginning(start: int, end: int) -> int:
        spare = min(len(ids[row]) for row in order[start:end]) - 1
        return min([spare, *shared[start : end - 1]])

    found = []
    pending = [(0, len(order))]
    while pending:
        start, end = pending.pop()
        least = beginning(start, end)
        cuts = [i + 1 for i in range(start, end - 1) if shared[i] == least]
        rest: list[int] = []
        for a, b in pairwise([start, *cuts, end]):
            if cuts and (b - a - 1) * (beginning(a, b) - least) > _BATCH_COST:
                pending.append((a, b))
            else:
                rest += order[a:b]
        if rest:
            found.append((least, rest))
    return found


def common_beginning(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two rows begin with alike."""
    unlike = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(unlike, min(len(one), len(other)))


def _write(
    reading: Reading,
    answers: Sequence[_Answer],
    decoding: Decoding,
    firsts: torch.Tensor | None = None,
) -> Iterator[None]:
    """Write a token into every unfinished answer a step, the first ones given or chosen."""
    import torch

    answers = list(answers)
    tokens = firsts
    while True:
        with torch.inference_mode():
            if tokens is None:
                tokens = _choose(reading.logits, answers, decoding)
            chosen = reading.logits.gather(1, tokens[:, None])[:, 0]
            log_probabilities = (chosen - reading.logits.logsumexp(1)).tolist()
        for answer, token, value in zip(answers, tokens.tolist(), log_probabilities, strict=True):
            answer.add(token, value)
        yield
        alive = [row for row, answer in enumerate(answers) if answer.finish is None]
        if not alive:
            return
        with torch.inference_mode():
            if 2 * len(alive) <= len(answers):  # not at every step: it copies the cache
                reading.keep(alive)
                answers, tokens = [answers[row] for row in alive], tokens[alive]
            reading.extend(tokens)
        tokens = None


def _choose(logits: torch.Tensor, answers: Sequence[_Answer], decoding: Decoding) -> torch.Tensor:
    """The next token of each row, (R,)."""
    import torch

    if decoding.temperature == 0:
        return logits.argmax(1)
    values, order = (logits / decoding.temperature).softmax(1).sort(1, descending=True)
    values = values.double().cumsum(1)
    drawn = []
    for row, answer in enumerate(answers):
        nucleus = int((values[row] < decoding.top_p).sum()) + 1
        upto = values[row, :nucleus]
        place = int(torch.searchsorted(upto, answer.draws.random() * float(upto[-1]), right=True))
        drawn.append(order[row, min(place, len(upto) - 1)])
    return torch.stack(drawn)


class _Spelling:
    """Tokens → text, as it reads behind a prompt.

    Some tokenizers drop the space in front of a text's first word; behind a quote they keep it.
    """

    def __init__(self, model: Model) -> None:
        self._tokenizer = model.tokenizer
        self._quote = model.encode('"')
        self._skipped = len(self._decode(self._quote))
        ends = getattr(model.network.generation_config, "eos_token_id", None)
        listed = ends if isinstance(ends, list) else [ends]
        self.ends = {*listed, model.tokenizer.eos_token_id} - {None}

    def text(self, ids: Sequence[int]) -> str:
        return self._decode([*self._quote, *ids])[self._skipped :]

    def _decode(self, ids: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


class _Answer:
    """One answer while it is written."""

    def __init__(self, spelling: _Spelling, decoding: Decoding, number: int) -> None:
        self._spelling = spelling
        self._decoding = decoding
        self._number = number
        self._ids: list[int] = []
        self._log_probabilities: list[float] = []
        self._text = ""
        self.finish: Finish | None = None

    @cached_property
    def draws(self) -> np.random.Generator:
        """Its own random numbers, so that no other answer has a part in it."""
        return np.random.default_rng([self._decoding.seed % 2**64, self._number])

    def add(self, token: int, log_probability: float) -> None:
        """Write a token; a finished answer takes none."""
        if self.finish is not None:
            return
        self._log_probabilities.append(log_probability)
        if token in self._spelling.ends:
            self.finish = "end"
            return
        self._ids.append(token)
        text = self._spelling.text(self._ids)
        places = [text.find(stop) for stop in self._decoding.stop if stop and stop in text]
        self._text = text[: min(places)] if places else text
        if places:
            self.finish = "stop"
        elif len(self._ids) == self._decoding.max_tokens:
            self.finish = "length"

    def shown(self) -> Generated:
        """What is certain by now: no half character, and while it grows no half stop text."""
        text = self._text.rstrip(_HALF_CHARACTER)
        if self.finish is None:
            text = text[: len(text) - self._begun(text)]
        return Generated(text, tuple(self._log_probabilities), self.finish or "length")

    def _begun(self, text: str) -> int:
        """Letters at the end of a text that a stop text may begin with."""
        starts = (stop[:size] for stop in self._decoding.stop for size in range(1, len(stop)))
        return max((len(start) for start in starts if text.endswith(start)), default=0)
