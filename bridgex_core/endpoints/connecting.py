"""The address of a server → an endpoint that knows what the server returns."""

from __future__ import annotations

from dataclasses import replace

from ..decoding import Decoding
from ..errors import InputError
from .endpoint import TIMEOUT, Endpoint, Refusal, Unread

_PROBE = "One two three four"
_ONE_TOKEN = Decoding(max_tokens=1, stop=())
_CHAT = "Candidates cannot be scored: the server has chats only, which do not score their input."

# Answers to a field that the server will not take, and to a path that it does not have.
_NO_SUCH_FIELD = (400, 422, 500, 501)
_NO_SUCH_PATH = (404, 405, 501)
# Answers that are final whatever is asked: no key, or no time.
_NOT_NOW = (401, 403, 429)


def connect(
    url: str, model: str | None = None, *, api_key: str | None = None, timeout: float = TIMEOUT
) -> Endpoint:
    """Ask a server what it serves and what it returns, with at most four small requests.

    Parameters
    ----------
    url : of the server, such as ``http://localhost:8000``.
    model : its name on the server; not needed where the server lists only one.
    api_key : where the server asks for one.
    timeout : the longest silence, in seconds; the first request may load the model.

    Raises
    ------
    InputError
        The server is away, silent, refuses or answers rubbish; it does not know the model; or no
        model was named, and it lists none or several.
    """
    endpoint = Endpoint(url, model or "", api_key, timeout)
    names: list[str] = []
    try:
        names = endpoint.models()
    except Refusal as refusal:
        # A server may know a model and keep no list.
        if not model or refusal.status in _NOT_NOW:
            raise
    if not model and len(names) != 1:
        listed = f": {', '.join(names)}" if names else " by its name: it lists none"
        raise InputError(f"Choose a model of the server {endpoint.url}{listed}.")
    try:
        return _asked(replace(endpoint, model=model or names[0]))
    except Refusal as refusal:
        if refusal.status == 404 and names:
            raise InputError(f"{refusal} It lists: {', '.join(names)}.") from None
        raise


def _asked(endpoint: Endpoint) -> Endpoint:
    """The endpoint that knows whether it chats and what it tells."""
    try:
        endpoint.read(_PROBE)
        return replace(endpoint, no_scores=None, no_probabilities=None)
    except Unread as error:
        endpoint = replace(endpoint, no_scores=str(error))
    except Refusal as refusal:
        if refusal.status in _NO_SUCH_PATH:
            endpoint = replace(endpoint, chat=True, no_scores=_CHAT)
        elif refusal.status in _NO_SUCH_FIELD:
            endpoint = replace(endpoint, no_scores=f"Candidates cannot be scored: {refusal}")
        else:
            raise
    return replace(endpoint, no_probabilities=_why_no_probabilities(endpoint))


def _why_no_probabilities(endpoint: Endpoint) -> str | None:
    telling = replace(endpoint, no_probabilities=None)
    try:
        if telling.generate([_PROBE], _ONE_TOKEN)[0].log_probabilities:
            return None
    except Refusal as refusal:
        if refusal.status not in _NO_SUCH_FIELD:
            raise
        endpoint.generate([_PROBE], _ONE_TOKEN)  # refused again unless the field was the reason
        return f"Probabilities are hidden: {refusal}"
    return "Probabilities are hidden: the server does not return them."
