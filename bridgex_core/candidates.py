"""How probable each of many candidates is as what follows a prompt; and a local model's backend.

Candidates that begin alike share what they begin with: their tokens make a tree, and the network
reads every inner node of it once, all nodes of a prompt in one sequence in which a node sees the
prompt and its own ancestors alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import generation
from .decoding import CandidateScores, Decoding, Generated
from .errors import InputError
from .generation import (
    Reading,
    attention_window,
    batches,
    common_beginning,
    encode_prompts,
    forward,
    read,
    repeated,
)
from .progress import Advances

if TYPE_CHECKING:
    import torch

    from .models import Model

# Logits of a forward pass, in numbers: 256 MiB of them in float32.
_LOGITS = 2**26
_LOGITS_IN_FLOAT32 = 2**23  # converted at once, for the same reason
_POSITIONS = 2048  # of a forward pass: beyond, nothing is gained
_NODES = 2048  # of a tree: each is compared with every other
_PROMPTS = 32  # of a batch
_TOLERANCE = {"float64": 1e-3, "float32": 1e-3}  # of a log-probability, in nats
_ROUGH_TOLERANCE = 0.5  # in shorter number formats

# Their layers cut attention short by place in the sequence, whatever the mask says.
_OWN_WINDOWS = ("gpt_neo",)

_reads_trees: weakref.WeakKeyDictionary[torch.nn.Module, bool] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class LocalBackend:
    """Writes text with a model on this machine; see :class:`bridgex_core.decoding.Backend`."""

    model: Model

    @property
    def title(self) -> str:
        """Its name, for people."""
        return self.model.source.title

    @property
    def no_scores(self) -> str | None:
        """None: it can score candidates."""
        return None

    def generate(
        self,
        prompts: Sequence[str],
        decoding: Decoding,
        *,
        progress: Advances | None = None,
    ) -> list[Generated]:
        """See :func:`bridgex_core.generation.generate`."""
        return generation.generate(self.model, prompts, decoding, progress=progress)

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[Generated]:
        """See :func:`bridgex_core.generation.stream`."""
        return generation.stream(self.model, prompt, decoding)

    def alternatives(self, prompt: str, decoding: Decoding, count: int = 5) -> list[Generated]:
        """See :func:`bridgex_core.generation.alternatives`."""
        return generation.alternatives(self.model, prompt, decoding, count)

    def score_candidates(
        self,
        prompts: Sequence[str],
        candidates: Sequence[str],
        *,
        progress: Advances | None = None,
    ) -> CandidateScores:
        """See :func:`score_candidates`."""
        return score_candidates(self.model, prompts, candidates, progress=progress)


def score_candidates(
    model: Model,
    prompts: Sequence[str],
    candidates: Sequence[str],
    *,
    progress: Advances | None = None,
) -> CandidateScores:
    """The log-probability of every candidate after every prompt, summed over its tokens.

    A candidate's tokens do not depend on the prompt: they are those that follow an opening quote,
    as in the prompts of :mod:`bridgex_core.prompts`. What would end the candidate (a closing quote)
    is not scored.

    Parameters
    ----------
    model : a loaded model.
    prompts : at least one.
    candidates : texts, at least one; one that comes twice is scored alike.
    progress : advanced by the prompts of each batch.

    Raises
    ------
    InputError
        No prompt, no candidate, an empty one of either, or a prompt that leaves no room for the
        longest candidate in the model's context.
    """
    tokens = candidate_tokens(model, candidates)
    longest = max(map(len, tokens))
    ids = encode_prompts(model, prompts, longest)
    trees = [(_Tree([tokens[c] for c in part]), part) for part in _parts(tokens)]
    window = attention_window(model)
    fits = window is None or max(map(len, ids)) + longest <= window
    whole = fits and _reads_a_tree(model)
    scores = np.empty((len(ids), len(tokens)))
    most = max(tree.size for tree, _ in trees)
    together = max(1, min(_PROMPTS, _positions(model) // max(most, 1))) if whole else 1
    for prefix, rows in batches(model, ids, together, room=longest):
        reading = read(model, [ids[row] for row in rows], prefix)
        for tree, part in trees:
            scores[np.ix_(rows, part)] = tree.score(reading, _read_nodes if whole else _read_rows)
        if progress is not None:
            progress.advance(float(len(rows)))
    return CandidateScores(scores, np.array([len(each) for each in tokens], dtype=np.int64))


def candidate_tokens(model: Model, candidates: Sequence[str]) -> list[tuple[int, ...]]:
    """The tokens of each candidate, as they follow an opening quote.

    Raises
    ------
    InputError
        No candidate, or an empty one.
    """
    if not candidates:
        raise InputError("There is no candidate to score.")
    quote = model.encode('"')
    tokens = []
    for candidate in candidates:
        quoted = model.encode(f'"{candidate}')
        joined = quoted[: len(quote)] != quote  # into one token with the quote
        own = model.encode(candidate) if joined else quoted[len(quote) :]
        if not own or not candidate.strip():
            raise InputError("A candidate is empty: leave it out.")
        tokens.append(tuple(own))
    return tokens


def _parts(tokens: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Candidates whose trees have at most ``_NODES`` nodes (or one candidate)."""
    order = sorted(range(len(tokens)), key=lambda c: tokens[c])
    parts: list[list[int]] = []
    size = 0
    for c in order:
        shared = common_beginning(tokens[parts[-1][-1]][:-1], tokens[c][:-1]) if parts else 0
        size += len(tokens[c]) - 1 - shared
        if not parts or size > _NODES:
            parts.append([])
            size = len(tokens[c]) - 1
        parts[-1].append(c)
    return parts


class _Tree:
    """The tokens of C candidates as a tree; only its inner nodes are read by the network.

    Attributes
    ----------
    tokens, parents : of each inner node; a node comes after its parent, the prompt's end is -1.
    depths : int64, tokens between the prompt's end and the node.
    """

    def __init__(self, candidates: Sequence[tuple[int, ...]]) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        nodes: dict[tuple[int, ...], int] = {(): -1}
        edges: dict[tuple[int, int], int] = {}
        steps: list[int] = []
        self._starts: list[int] = []
        for candidate in candidates:
            self._starts.append(len(steps))
            for length, token in enumerate(candidate):
                node = nodes[candidate[:length]]
                steps.append(edges.setdefault((node, token), len(edges)))
                path = candidate[: length + 1]
                if length + 1 < len(candidate) and path not in nodes:
                    nodes[path] = len(self.tokens)
                    self.tokens.append(token)
                    self.parents.append(node)
        self._steps = np.array(steps)
        self._edge_nodes, self._edge_tokens = np.array(list(edges)).T
        self.depths = np.array([len(path) - 1 for path in nodes if path], dtype=np.int64)

    @property
    def size(self) -> int:
        """Inner nodes."""
        return len(self.tokens)

    def ancestors(self) -> np.ndarray:
        """bool (N, N), [n, m] where m is n or above it."""
        above = np.eye(self.size, dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                above[node] |= above[parent]
        return above

    def paths(self) -> list[list[int]]:
        """The nodes from the prompt's end to each node that has no inner node below it."""
        last = sorted(set(range(self.size)) - set(self.parents))
        above = self.ancestors()
        return [np.flatnonzero(above[node]).tolist() for node in last]

    def score(self, reading: Reading, read_inner: Callable[..., _Found]) -> np.ndarray:
        """float64 (R, C): the candidates' log-probabilities behind R prompts."""
        steps = np.empty((len(reading.lengths), len(self._edge_nodes)))
        self._take(steps, np.array([-1]), reading.logits[:, None])
        for nodes, logits in read_inner(self, reading):
            self._take(steps, nodes, logits)
        return np.add.reduceat(steps[:, self._steps], self._starts, axis=1)

    def _take(self, steps: np.ndarray, nodes: np.ndarray, logits: torch.Tensor) -> None:
        """Fill in the log-probabilities of what goes out from some nodes, logits (R, N, V)."""
        import torch

        place = {int(node): index for index, node in enumerate(nodes)}
        edges = np.flatnonzero(np.isin(self._edge_nodes, nodes))
        rows, _, vocabulary = logits.shape
        pieces = logits.split(max(1, _LOGITS_IN_FLOAT32 // (rows * vocabulary)), dim=1)
        with torch.inference_mode():
            norm = torch.cat([piece.float().logsumexp(-1) for piece in pieces], 1)
            at = torch.tensor([place[int(node)] for node in self._edge_nodes[edges]])
            to = torch.from_numpy(self._edge_tokens[edges])
            at, to = at.to(logits.device), to.to(logits.device)
            found = logits[:, at, to].float() - norm[:, at]
        steps[:, edges] = found.cpu().numpy()


_Found = Iterator[tuple[np.ndarray, "torch.Tensor"]]


def _positions(model: Model) -> int:
    """Positions of a forward pass whose logits are wanted."""
    vocabulary = model.network.config.get_text_config().vocab_size
    return max(1, min(_POSITIONS, _LOGITS // vocabulary))


def _read_nodes(tree: _Tree, reading: Reading) -> _Found:
    """Nodes and their logits (R, N, V), all nodes in one sequence behind each of R prompts."""
    import torch

    rows, width = reading.mask.shape
    step = max(1, _positions(reading.model) // rows)
    device, dtype = reading.mask.device, reading.model.dtype
    above = torch.from_numpy(tree.ancestors()).to(device)
    tokens = torch.tensor(tree.tokens, device=device)
    depths = torch.from_numpy(tree.depths).to(device)
    prompt = reading.mask.bool()[:, None, :]
    for start in range(0, tree.size, step):
        end = min(start + step, tree.size)
        count = end - start
        seen = torch.cat(
            [prompt.expand(rows, count, width), above[start:end, :end].expand(rows, count, end)], 2
        )
        barred = torch.zeros(seen.shape, dtype=dtype, device=device)
        barred.masked_fill_(~seen, torch.finfo(dtype).min)
        logits = forward(
            reading.model,
            tokens[start:end].expand(rows, count),
            reading.cache,
            barred[:, None],
            reading.lengths[:, None] + depths[start:end],
            keep=0,
        )
        yield np.arange(start, end), logits
    reading.cache.crop(-tree.size)


def _read_rows(tree: _Tree, reading: Reading) -> _Found:
    """The same behind one prompt, the paths of the tree as rows of a batch, for any network."""
    import torch

    paths = sorted(tree.paths(), key=len)
    device = reading.mask.device
    while paths:
        width = len(paths[-1])
        count = max(1, _positions(reading.model) // width)
        paths, batch = paths[:-count], paths[-count:]
        tokens = torch.zeros((len(batch), width), dtype=torch.long, device=device)
        for row, path in enumerate(batch):
            tokens[row, : len(path)] = torch.tensor([tree.tokens[node] for node in path])
        depths = torch.arange(width, device=device)
        logits = forward(
            reading.model,
            tokens,
            repeated(reading.cache, len(batch)),
            # What pads a row stands behind all that counts, and no token before it sees it.
            torch.ones(
                (len(batch), reading.mask.shape[1] + width), dtype=torch.long, device=device
            ),
            reading.lengths[:, None] + depths.expand(len(batch), width),
            keep=0,
        )
        counted = [(row, at) for row, path in enumerate(batch) for at in range(len(path))]
        at_row, at_place = torch.tensor(counted, device=device).T
        yield np.concatenate(batch), logits[at_row, at_place][None]


def _reads_a_tree(model: Model) -> bool:
    """Whether the network scores a small tree in one sequence as it does row by row.

    Architectures that count positions from the mask (ALiBi) do not.
    """
    known = _reads_trees.get(model.network)
    if known is None:
        known = _reads_trees[model.network] = _check_a_tree(model)
    return known


def _check_a_tree(model: Model) -> bool:
    if model.network.config.model_type in _OWN_WINDOWS:
        return False
    middle = model.network.config.get_text_config().vocab_size // 2  # ordinary tokens
    a, b, c, d = range(middle, middle + 4)
    prompts = [[*model.bos, a, b, c], [*model.bos, a]]  # short: windows can be narrow
    tree = _Tree([(a, b, c), (a, d, c), (d, b, c)])
    try:
        found = tree.score(read(model, prompts), _read_nodes)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False  # a mask of four dimensions is not understood
    expected = np.concatenate([tree.score(read(model, [ids]), _read_rows) for ids in prompts])
    tolerance = _TOLERANCE.get(model.dtype_name, _ROUGH_TOLERANCE)
    return bool(np.abs(found - expected).max() < tolerance)
