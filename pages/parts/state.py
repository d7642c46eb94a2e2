"""What a reader sees, kept in the session and in the page's link.

A field's value lives in the session under its own name, not under its widget's key: widgets that
are not drawn lose their state, these values do not. Streamlit can bind a widget to the link by
itself, but drops what it cannot read without a word, and writes labels instead of codes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from bridgex_core.alignment import MEASURES
from bridgex_core.bridge_sets import BAND
from bridgex_core.bridges import RANKERS
from bridgex_core.corpora import UDHR, open_corpus
from bridgex_core.embedded import DEFAULT_MODEL
from bridgex_core.errors import InputError
from bridgex_core.interventions import ACTIONS, MOST_STRENGTH
from bridgex_core.model_sources import find_model
from bridgex_core.neurons import SELECTIONS, TIES, layer_band
from bridgex_core.perturbations import PERTURBATIONS, named_perturbations
from bridgex_core.probing import KNOWN_RULES
from bridgex_core.rankers import COMBINED
from bridgex_core.spectrum import DEFAULT, METRICS, ORDERINGS, SpectrumSettings
from bridgex_core.study import BRIDGES
from bridgex_core.typology import TYPOLOGY_KINDS
from pages.parts import results, words

DTYPES = ("float32", "bfloat16")
POOLED = ("auto", "yes", "no")
TASKS = ("bli", "reading", "inference", "translation", "summary", "chain")
VIEWS = tuple(words.VIEWS)
LAB_VIEWS = ("try", "measure")
ANALYSES = tuple(words.ANALYSES)
METHODS = tuple(words.METHODS)
SETTLING = 1.5  # seconds
_DEEP = 1000  # layers, more than any model has
_PAGE, _PUBLISHED, _PROBLEMS, _RESTORED = "page", "published", "link_problems", "link_restored"
RATES = (0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1)


@dataclass(frozen=True)
class Field:
    """One thing that a link says.

    Attributes
    ----------
    default : what a link does not mention.
    read : text of the link → value; ``InputError`` tells what is wrong with it.
    show : value → text of the link.
    """

    default: Any
    read: Callable[[str], Any]
    show: Callable[[Any], str] = str


@dataclass(frozen=True)
class _Published:
    """What this session made the link say, and when."""

    parameters: dict[str, str]
    at: float

    @property
    def is_recent(self) -> bool:
        """Whether the browser may not have heard of it yet."""
        return time.monotonic() - self.at < SETTLING


def _one_of(options: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in options:
            raise InputError(f"'{text}' is none of {', '.join(options)}.")
        return text

    return read


def _model(text: str) -> str:
    return find_model(text, results.store().root).name


def _corpus(text: str) -> str:
    return open_corpus(text, register=results.register()).name


def _languages(text: str) -> tuple[str, ...]:
    known = set(results.languages_of(st.session_state["corpus"]))
    codes = tuple(language.code for language in results.register().resolve_all(text.split(",")))
    if lacking := [code for code in codes if code not in known]:
        raise InputError(f"The corpus has no text in {', '.join(lacking)}.")
    return codes


def _pair(text: str) -> tuple[str, str]:
    codes = tuple(language.code for language in results.register().resolve_all(text.split(",")))
    if len(codes) != 2:
        raise InputError(f"'{text}' is not two languages, such as eng_Latn,deu_Latn.")
    return codes[0], codes[1]


def _language(text: str) -> str:
    return results.register().resolve(text).code


def _codes(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    codes = tuple(language.code for language in results.register().resolve_all(text.split(",")))
    if len(set(codes)) < len(codes):
        raise InputError(f"'{text}' names a language twice.")
    return codes


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise InputError(f"'{text}' is not a whole number from {low} to {high}.")
        return int(text)

    return read


def _neuron(text: str) -> tuple[int, int]:
    layer, _, index = text.partition(":")
    if not (layer.isascii() and layer.isdigit() and index.isascii() and index.isdigit()):
        raise InputError(f"'{text}' is no neuron: give a layer and an index, such as 12:345.")
    return int(layer), int(index)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"'{text}' is not a number.") from None


def _rate(text: str) -> float:
    rate = _number(text)
    if not RATES[0] <= rate <= RATES[-1]:
        raise InputError(f"'{text}' is not a share of the neurons from {RATES[0]} to {RATES[-1]}.")
    return rate


def _strength(text: str) -> float:
    strength = _number(text)
    if not abs(strength) <= MOST_STRENGTH:
        raise InputError(f"'{text}' is not a strength from -{MOST_STRENGTH} to {MOST_STRENGTH}.")
    return strength


def _threshold(text: str) -> float:
    threshold = _number(text)
    if not abs(threshold) < 1e6:
        raise InputError(f"'{text}' is not a similarity.")
    return threshold


def _band(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    band = _number(low), _number(high)
    source = find_model(st.session_state["model"], results.store().root)
    of_import = "drawn_from" in st.query_params  # whose depth shows when it is drawn
    layer_band(_DEEP if of_import else source.layers or _DEEP, band)
    return band


def _show_band(band: tuple[float, float]) -> str:
    # Rounded down: a bound that lies on a layer must not take in the next one.
    return ":".join(f"{int(1000 * bound + 1e-6) / 1000:g}" for bound in band)


FIELDS: dict[str, Field] = {
    "model": Field(DEFAULT_MODEL, _model),
    "corpus": Field(UDHR, _corpus),
    "dtype": Field(DTYPES[0], _one_of(DTYPES)),
    "languages": Field(None, _languages, ",".join),
    "metric": Field(DEFAULT.metric, _one_of(METRICS)),
    "selection": Field(DEFAULT.selection, _one_of(SELECTIONS)),
    "rate": Field(DEFAULT.top_rate, _rate, "{:g}".format),
    "ties": Field(DEFAULT.ties, _one_of(TIES)),
    "layers": Field(DEFAULT.band, _band, _show_band),
    "order": Field(ORDERINGS[0], _one_of(ORDERINGS)),
    "view": Field(VIEWS[0], _one_of(VIEWS)),
    "pair": Field(None, _pair, ",".join),
    "threshold": Field(None, _threshold, "{:.4g}".format),
    "typology": Field(TYPOLOGY_KINDS[0], _one_of(TYPOLOGY_KINDS)),
    "source": Field("ind_Latn", _language),
    "target": Field("swh_Latn", _language),
    "bridges": Field(BRIDGES, _codes, ",".join),
    "ranker": Field(None, _one_of((*RANKERS, COMBINED))),
    "band": Field(BAND, _band, _show_band),
    "pooled": Field(POOLED[0], _one_of(POOLED)),
    "length": Field("no", _one_of(("no", "yes"))),
    "known": Field(KNOWN_RULES[0], _one_of(KNOWN_RULES)),
    "task": Field(TASKS[0], _one_of(TASKS)),
    "lab_view": Field(LAB_VIEWS[0], _one_of(LAB_VIEWS)),
    "text": Field("", str),
    "shots": Field(4, _whole(0, 16)),
    "seed": Field(0, _whole(0, 10**6)),
    "items": Field(100, _whole(1, 10**5)),
    "perturb": Field(PERTURBATIONS, named_perturbations, ",".join),
    "analysis": Field(ANALYSES[0], _one_of(ANALYSES)),
    "method": Field(METHODS[0], _one_of(METHODS)),
    "share": Field(0.01, _rate, "{:g}".format),
    "neuron": Field(None, _neuron, lambda neuron: f"{neuron[0]}:{neuron[1]}"),
    "of": Field(None, _language),
    "through": Field("eng_Latn", _language),
    "prompt": Field("", str),
    "bridged": Field("", str),
    "measure": Field(MEASURES[0], _one_of(MEASURES)),
    "layer": Field(None, _whole(0, 1000)),
    "neurons": Field(None, str),
    "action": Field(ACTIONS[0], _one_of(ACTIONS)),
    "strength": Field(2.0, _strength, "{:g}".format),
    "like": Field(None, _language),
    "question": Field("", str),
    "words": Field(20, _whole(1, 10_000)),
    "texts": Field(None, _codes, ",".join),
    "tokens": Field(300, _whole(10, 100_000)),
    "imported": Field(None, str),
    "drawn_from": Field(None, str),
}


def restore(page: str) -> None:
    """Take over what the link says, where it is new, and note what it says wrongly.

    It is new when a session begins and when the reader goes back or forward in the browser. To
    another page of the menu one comes without any parameters, and what is shown stays.
    """
    known = st.session_state.get(_PUBLISHED)
    said = st.query_params.to_dict()
    moved = st.session_state.get(_PAGE) != page
    st.session_state[_PAGE] = page
    if known is not None and (said == known.parameters or (moved and not said) or known.is_recent):
        return
    problems = []
    for name, field in FIELDS.items():
        st.session_state[name] = field.default
        if name not in said:
            continue
        try:
            st.session_state[name] = field.read(said[name])
        except InputError as error:
            problems.append(
                f"The link's {name} cannot be used, so the default is shown instead: {error}"
            )
    st.session_state[_PROBLEMS] = problems
    st.session_state[_RESTORED] = _parameters()


def problems() -> list[str]:
    """What the link said wrongly, until the reader changes something."""
    if st.session_state[_RESTORED] != _parameters():
        st.session_state[_PROBLEMS] = []
    return list(st.session_state[_PROBLEMS])


def publish() -> None:
    """Make the page's link say what is shown; defaults are left out."""
    parameters = _parameters()
    known = st.session_state.get(_PUBLISHED)
    if known is None or known.parameters != parameters:
        st.session_state[_PUBLISHED] = _Published(parameters, time.monotonic())
    if st.query_params.to_dict() != parameters:
        st.query_params.from_dict(parameters)


def link(page: str) -> str:
    """The address of a page with what is shown."""
    parameters = urlencode(_parameters(), safe=",:")
    return f"{page}?{parameters}" if parameters else page


def _parameters() -> dict[str, str]:
    return {
        name: field.show(st.session_state[name])
        for name, field in FIELDS.items()
        if st.session_state[name] != field.default
    }


def get(name: str) -> Any:
    """A field's value."""
    return st.session_state[name]


def put(**values: Any) -> None:
    """Set fields; their widgets follow when they are drawn next."""
    for name, value in values.items():
        if name not in FIELDS:
            raise KeyError(name)
        st.session_state[name] = value


def widget(
    name: str,
    shown: Callable[[Any], Any] = lambda value: value,
    meant: Callable[[Any], Any] = lambda value: value,
) -> dict[str, Any]:
    """Arguments that tie a widget to a field.

    Parameters
    ----------
    name : the field.
    shown : value → what the widget shows.
    meant : what the widget shows → value.
    """
    key = f"{name}_widget"
    wanted = shown(st.session_state[name])
    # Set only when it differs: a value sent back while a slider moves would make it jump.
    if key not in st.session_state or st.session_state[key] != wanted:
        st.session_state[key] = wanted
    return {"key": key, "on_change": _keep, "args": (name, meant)}


def _keep(name: str, meant: Callable[[Any], Any]) -> None:
    st.session_state[name] = meant(st.session_state[f"{name}_widget"])


def settle(name: str, options: Iterable[Any]) -> None:
    """Back to the default where the value is no longer among the options."""
    if st.session_state[name] not in options:
        st.session_state[name] = FIELDS[name].default


def settings() -> SpectrumSettings:
    """The spectrum that is asked for."""
    return SpectrumSettings(
        metric=get("metric"),
        selection=get("selection"),
        top_rate=get("rate"),
        ties=get("ties"),
        band=get("layers"),
    )


def put_settings(wanted: SpectrumSettings) -> None:
    """Ask for a spectrum."""
    put(
        metric=wanted.metric,
        selection=wanted.selection,
        rate=wanted.top_rate,
        ties=wanted.ties,
        layers=wanted.band,
    )
