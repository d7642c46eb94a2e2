"""The language of thought: what each layer would say, and in which script (the logit lens).

Every layer's hidden state is read as if it were the last: final norm, then output head
(nostalgebraist 2020; the languages of what is read: Zhao et al., arXiv 2402.18815).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from .errors import InputError
from .text_language import NO_LETTERS, SCRIPTS, script_of, scripts_of

if TYPE_CHECKING:
    import torch

    from .models import Model

ROWS = 1024  # hidden states that are read together …
WORDS = 4096  # … against this many words of the vocabulary: 16 MiB in single precision

# What stands between the last layer and the output head, as paths from the network.
_DEFAULT_END = ("model.norm",)
_ENDS: dict[str, tuple[str, ...]] = {
    "gemma3": ("model.language_model.norm",),
    "phi": ("model.final_layernorm",),
    **dict.fromkeys(("gpt2", "gpt_neo", "gptj", "falcon", "bloom"), ("transformer.ln_f",)),
    "gpt_neox": ("gpt_neox.final_layer_norm",),
    "opt": ("model.decoder.final_layer_norm", "model.decoder.project_out"),
    "xglm": ("model.layer_norm",),
}


@dataclass(frozen=True)
class Lens:
    """The most probable next words as each of L layers would have them, at P positions.

    Level 0 is the embedding, level l the output of layer l; level L is what the model itself says.

    Attributes
    ----------
    prompt : the text.
    tokens : P texts, the prompt's tokens; the beginning-of-sequence token is the first, if any.
    top_tokens : str (L+1, P, N), the N most probable next tokens, best first.
    probabilities : float32 (L+1, P, N), theirs.
    scripts : str (L+1, P, N), ISO 15924 code of the script of each.
    script_mass : float32 (L+1, P, S), probability of all tokens of each script of ``SCRIPTS``.
    skipped : positions before the text's first token: 1 with a beginning-of-sequence token, else 0.
    """

    prompt: str
    tokens: tuple[str, ...]
    top_tokens: np.ndarray
    probabilities: np.ndarray
    scripts: np.ndarray
    script_mass: np.ndarray
    skipped: int

    @property
    def levels(self) -> int:
        """L + 1."""
        return len(self.top_tokens)

    def to_frame(self) -> pd.DataFrame:
        """One row a level, position and rank (from 1)."""
        level, position, rank = np.indices(self.probabilities.shape)
        return pd.DataFrame(
            {
                "level": level.ravel(),
                "position": position.ravel(),
                "token": np.array(self.tokens, dtype=object)[position.ravel()],
                "rank": rank.ravel() + 1,
                "says": self.top_tokens.ravel(),
                "probability": self.probabilities.ravel(),
                "script": self.scripts.ravel(),
            }
        )


def logit_lens(model: Model, prompt: str, *, top: int = 5) -> Lens:
    """Read every layer of a prompt through the model's final norm and output head.

    Parameters
    ----------
    model : a loaded model.
    prompt : its tokens, after the beginning-of-sequence token where the model has one.
    top : words kept at each level and position.

    Raises
    ------
    InputError
        An empty prompt, one longer than the model's context, or ``top`` out of range.
    """
    import torch

    ids = [*model.bos, *model.encode(prompt)]
    vocabulary = _output_head(model).weight.shape[0]
    if len(ids) <= len(model.bos):
        raise InputError("The prompt is empty: the model's tokenizer finds no token in it.")
    if len(ids) > model.context:
        raise InputError(
            f"The prompt has {len(ids)} tokens, more than the model's context of {model.context}."
        )
    if not 1 <= top <= min(100, vocabulary):
        raise InputError(f"From 1 to 100 words can be kept of each layer, not {top}.")
    with torch.inference_mode():
        states = torch.cat(_levels(model, ids))
        parts = [_read(model, rows, top) for rows in states.split(ROWS)]
        values, best, mass = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
    shape = (model.layers + 1, len(ids), -1)
    texts = {token: _text(model, token) for token in np.unique(best).tolist()}
    scripts = np.array(list(SCRIPTS), dtype=object)
    return Lens(
        prompt=prompt,
        tokens=tuple(_text(model, token) for token in ids),
        top_tokens=np.array([texts[token] for token in best.ravel().tolist()], dtype=object)
        .reshape(shape),
        probabilities=values.astype(np.float32).reshape(shape),
        scripts=scripts[_token_scripts(model)[best]].reshape(shape),
        script_mass=mass.astype(np.float32).reshape(shape),
        skipped=len(model.bos),
    )  # fmt: skip


def share_by_layer(
    lens: Lens, languages: Sequence[str], *, positions: Sequence[int] | None = None
) -> pd.DataFrame:
    """How much of what each level would say is in which script, and in which language.

    A script counts for a language when it is the only one of ``languages`` that is written in it:
    of Latin tokens alone nobody can tell English from Swahili, so where both take part their share
    stays with the script. A word of a language that takes no part counts for whichever does write
    its script.

    Parameters
    ----------
    lens : from :func:`logit_lens`.
    languages : FLORES codes that take part: source, bridges, target.
    positions : the positions that are averaged; by default all but the beginning of the sequence.

    Returns
    -------
    DataFrame with ``level``, ``script`` (ISO 15924), ``language`` (FLORES code, or empty where the
    script is nobody's or several languages') and ``share``; the shares of a level add up to 1.
    Scripts that never reach 0.1 % are counted as ``Zzzz``, another script.
    """
    chosen = range(lens.skipped, len(lens.tokens)) if positions is None else positions
    if not len(chosen) or not all(0 <= place < len(lens.tokens) for place in chosen):
        raise InputError(f"The positions to average must be some of 0 to {len(lens.tokens) - 1}.")
    share = lens.script_mass[:, list(chosen)].mean(1, dtype=np.float64)  # (L+1, S)
    names = list(SCRIPTS)
    other = names.index("Zzzz")
    writers = {name: [code for code in languages if name in scripts_of(code)] for name in names}
    rare = [
        s
        for s, name in enumerate(names)
        if share[:, s].max() < 1e-3 and s != other and not writers[name]
    ]
    share[:, other] += share[:, rare].sum(1)
    share[:, rare] = 0
    kept = [s for s in range(len(names)) if share[:, s].any()]
    return pd.DataFrame(
        {
            "level": level,
            "script": names[s],
            "language": writers[names[s]][0] if len(writers[names[s]]) == 1 else "",
            "share": share[level, s],
        }
        for level in range(lens.levels)
        for s in kept
    )


def vocabulary_logits(model: Model, states: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """The model's logits for final hidden states (R, hidden), some words of the vocabulary a time.

    Yields the number of the first word and the logits (R, up to ``WORDS``) in single precision at
    least: the whole (R, vocabulary) matrix is never held.
    """
    import torch
    from torch.nn import functional

    head = _output_head(model)
    config = model.network.config.get_text_config()
    cap = getattr(config, "final_logit_softcapping", None)
    scale = getattr(config, "logit_scale", None) or 1 / (
        getattr(config, "logits_scaling", None) or 1
    )
    bias = getattr(head, "bias", None)
    for start in range(0, head.weight.shape[0], WORDS):
        part = slice(start, start + WORDS)
        logits = functional.linear(states, head.weight[part], None if bias is None else bias[part])
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if scale != 1:
            logits = logits * scale
        yield start, logits if cap is None else cap * torch.tanh(logits / cap)


def _text(model: Model, token: int) -> str:
    return str(model.tokenizer.decode([token]))


def _output_head(model: Model) -> Any:
    return model.network.get_output_embeddings()


def _levels(model: Model, ids: Sequence[int]) -> list[torch.Tensor]:
    """L+1 tensors (P, hidden), ready for the output head; the last one is the model's own."""
    import torch

    output = model.body(
        input_ids=torch.tensor([list(ids)], device=model.device),
        use_cache=False,
        output_hidden_states=True,
    )
    levels = [_finish(model, state[0]) for state in output.hidden_states[: model.layers]]
    return [*levels, output.last_hidden_state[0]]


def _finish(model: Model, state: torch.Tensor) -> torch.Tensor:
    """A layer's output as the model treats that of its last one."""
    for path in _ENDS.get(model.network.config.model_type, _DEFAULT_END):
        module: Any = model.network
        for name in path.split("."):
            module = getattr(module, name)
        if module is not None:  # a variant of OPT has neither
            state = module(state)
    return state


def _read(
    model: Model, states: torch.Tensor, top: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Probabilities (R, top), words (R, top) and mass by script (R, S) of hidden states."""
    import torch
    from torch.nn import functional

    codes = torch.from_numpy(_token_scripts(model)).to(states.device)
    count, precise = len(states), torch.promote_types(states.dtype, torch.float32)
    best_values = states.new_empty((count, 0), dtype=precise)
    best_words = states.new_empty((count, 0), dtype=torch.long)
    peak = states.new_full((count, 1), -torch.inf, dtype=precise)
    mass = states.new_zeros((count, len(SCRIPTS)), dtype=precise)  # to be times exp(peak)
    for start, logits in vocabulary_logits(model, states):
        values, words = logits.topk(min(top, logits.shape[1]))
        values = torch.cat([best_values, values], 1)
        words = torch.cat([best_words, words + start], 1)
        best_values, order = values.topk(min(top, values.shape[1]))
        best_words = words.gather(1, order)
        higher = best_values[:, :1]
        scripts = functional.one_hot(codes[start : start + logits.shape[1]], len(SCRIPTS))
        added = logits.sub_(higher).exp_() @ scripts.to(logits.dtype)
        mass = mass * (peak - higher).exp() + added
        peak = higher
    total = mass.sum(1, keepdim=True)
    return (best_values - peak).exp() / total, best_words, mass / total


_scripts_by_head: WeakKeyDictionary[Any, np.ndarray] = WeakKeyDictionary()


def _token_scripts(model: Model) -> np.ndarray:
    """int64 (vocabulary,): which of ``SCRIPTS`` each word is in; kept as long as the model is.

    Tokens with a role of their own, such as <bos>, have no script, nor have pieces of letters.
    """
    head = _output_head(model)
    if head not in _scripts_by_head:
        place = {script: index for index, script in enumerate(SCRIPTS)}
        size = head.weight.shape[0]
        codes = np.full(size, place[NO_LETTERS], dtype=np.int64)
        texts = model.tokenizer.batch_decode([[token] for token in range(len(model.tokenizer))])
        roles = set(model.tokenizer.get_added_vocab().values())
        for token, text in enumerate(texts[:size]):
            if token not in roles:
                codes[token] = place[script_of(text)]
        _scripts_by_head[head] = codes
    return _scripts_by_head[head]
