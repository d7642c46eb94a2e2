"""Endpoints against servers with every kind of manners, one of them real."""

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex_core import generation, models
from bridgex_core.decoding import Backend, Decoding
from bridgex_core.endpoints import Endpoint, connect
from bridgex_core.endpoints.answers import Token, added
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.model_sources import find_model
from bridgex_core.progress import Progress

KEY = "sk-very-secret-123"
PROMPT = 'English:"dog"→Deutsch:"'
WRITES = 'Hund"\nmore'
SHORT = Decoding(max_tokens=8)


@dataclass
class Answer:
    """What a server sends: JSON, or the raw text; a stream is the list of its events."""

    body: object
    status: int = 200
    kind: str = "application/json"
    cut: bool = False  # close the connection before the promised end

    def payload(self) -> bytes:
        if isinstance(self.body, list):
            events = (e if isinstance(e, str) else json.dumps(e) for e in self.body)
            return "".join(f"data: {event}\n\n" for event in events).encode()
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.encode()


@dataclass
class Server:
    """A running server and what it was sent."""

    url: str = ""
    asked: list[dict] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)


Manners = Callable[[str, dict], Answer]


@pytest.fixture
def serve() -> Iterator[Callable[[Manners], Server]]:
    running = []

    def start(manners: Manners) -> Server:
        server = Server()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(
                    self.rfile.read(int(self.headers.get("content-length", 0))) or "{}"
                )
                server.asked.append(body)
                self._send(body)

            def do_GET(self) -> None:
                self._send({})

            def _send(self, body: dict) -> None:
                server.headers.append({key.lower(): each for key, each in self.headers.items()})
                answer = manners(self.path, body)
                payload = answer.payload()
                kind = "text/event-stream" if isinstance(answer.body, list) else answer.kind
                self.send_response(answer.status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(payload) + 99 * answer.cut))
                self.end_headers()
                self.wfile.write(payload)
                self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        http.handle_error = lambda *args: None  # a client that has left
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        running.append(http)
        server.url = f"http://127.0.0.1:{http.server_port}"
        return server

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


def value(before: str, token: str) -> float:
    """The log-probability that the servers here give a token."""
    return -(1 + (sum(map(ord, before)) + 7 * sum(map(ord, token))) % 9) / 4


def letters(text: str) -> list[str]:
    return list(text)


def glued(text: str) -> list[str]:
    """A quote is one token with the letter that follows it."""
    parts: list[str] = []
    for letter in text:
        if parts and parts[-1] == '"' and letter.isalpha():
            parts[-1] += letter
        else:
            parts.append(letter)
    return parts


def values(tokens: list[str]) -> list[float]:
    return [value("".join(tokens[:i]), token) for i, token in enumerate(tokens)]


@dataclass(frozen=True)
class Polite:
    """A server that writes ``WRITES`` whatever it is asked, a letter a token, and tells all of it.

    ``shape`` of log-probabilities: lists (vLLM), content (llama.cpp), none (transformers serve).
    """

    names: tuple[str, ...] | None = ("tiny",)
    shape: str = "lists"
    echo: int | None = 200  # status where it is asked to read; None ignores the wish
    texts: bool = True
    stops: bool = False  # keeps to the stop texts
    cut: Callable[[str], list[str]] = letters

    def __call__(self, path: str, body: dict) -> Answer:
        if path == "/v1/models":
            if self.names is None:
                return Answer({"error": {"message": "no list"}}, 404)
            return Answer({"object": "list", "data": [{"id": name} for name in self.names]})
        if self.names and body["model"] not in self.names:
            return Answer({"error": {"message": "The model does not exist."}}, 404)
        chat = path == "/v1/chat/completions"
        if not chat and not self.texts:
            return Answer({"detail": "Not Found"}, 404)
        echo = body.get("echo") and self.echo is not None
        if echo and self.echo != 200:
            return Answer({"error": {"message": "Only no echo is supported"}}, self.echo)
        prompt = body["messages"][0]["content"] if chat else body["prompt"]
        tokens = letters(WRITES)[: body["max_tokens"]]
        finish = "length"
        if self.stops:
            ends = [i for i, token in enumerate(tokens) if token in body.get("stop", ())]
            tokens, finish = (tokens[: ends[0]], "stop") if ends else (tokens, finish)
        read = self.cut(prompt) if echo else []
        told = [*([None] if read else []), *values(read)[1:], *values(tokens)]
        asks = bool(body.get("logprobs"))
        choices = [
            self._choice(token, number, chat, bool(body.get("stream")), asks)
            for number, token in zip(told, [*read, *tokens], strict=True)
        ]
        if body.get("stream"):
            chunks = [{"choices": [choice]} for choice in choices]
            end = {**self._choice("", 0.0, chat, True, False), "finish_reason": finish}
            return Answer([*chunks, {"choices": [end]}, {"choices": [], "usage": {}}, "[DONE]"])
        whole = {"index": 0, "finish_reason": finish, "logprobs": self._joined(choices)}
        text = "".join([*read, *tokens])
        whole |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        return Answer({"choices": [whole], "usage": {"completion_tokens": len(tokens)}})

    def _choice(
        self, token: str, number: float | None, chat: bool, piece: bool, asks: bool
    ) -> dict:
        said = {"delta": {"content": token}} if chat and piece else {"text": token}
        told: dict | None = None
        others = {token: number, "K": -0.5, "Z": -0.2, "\ufffd": -0.1, "": -0.05}
        if asks and self.shape == "lists" and not chat:
            told = {"tokens": [token], "token_logprobs": [number], "top_logprobs": [others]}
            if number is None:
                told["top_logprobs"] = [None]
        elif asks and (self.shape == "content" or chat) and self.shape != "none":
            top = [{"token": key, "logprob": other} for key, other in others.items()]
            told = {"content": [{"token": token, "logprob": number, "top_logprobs": top}]}
        return {**said, "index": 0, "finish_reason": None, "logprobs": told}

    @staticmethod
    def _joined(choices: list[dict]) -> dict | None:
        told = [choice["logprobs"] for choice in choices]
        if not told or told[0] is None:
            return None
        return {key: [each for one in told for each in one[key]] for key in told[0]}


def sentence(error: pytest.ExceptionInfo[InputError]) -> str:
    """The message, which is one line, ends in a full stop, and holds no key."""
    said = str(error.value)
    assert said.endswith(".")
    assert "\n" not in said
    assert KEY not in said
    assert KEY not in repr(error.value)
    return said


# What a server is found to be


def test_connect_takes_the_only_model_and_learns_that_the_server_tells_everything(serve):
    server = serve(Polite())
    backend: Backend = connect(server.url)
    assert backend == Endpoint(f"{server.url}/v1", "tiny", no_probabilities=None, no_scores=None)
    assert backend.title == f"tiny at {server.url.removeprefix('http://')}"
    assert len(server.asked) == 1


@pytest.mark.parametrize("echo", [400, 422, 500, 501, None])
def test_a_server_that_does_not_score_what_it_reads(serve, echo):
    endpoint = connect(serve(Polite(echo=echo, shape="content")).url)
    assert endpoint.no_probabilities is None
    assert not endpoint.chat or echo == 501
    assert endpoint.no_scores.startswith("Candidates cannot be scored: ")
    with pytest.raises(InputError) as error:
        endpoint.score_candidates([PROMPT], ["Hund"])
    assert str(error.value) == endpoint.no_scores


def test_a_server_that_tells_no_probabilities(serve):
    endpoint = connect(serve(Polite(shape="none")).url)
    assert endpoint.no_scores
    assert endpoint.no_probabilities.endswith("the server does not return them.")
    (answer,) = endpoint.generate([PROMPT], SHORT)
    assert (answer.text, answer.log_probabilities, answer.log_probability) == ("Hund", (), None)
    assert endpoint.alternatives(PROMPT, SHORT) == []


def test_a_server_that_refuses_to_be_asked_for_probabilities(serve):
    def manners(path: str, body: dict) -> Answer:
        if "logprobs" in body:
            return Answer({"error": {"message": "logprobs is not supported"}}, 400)
        return Polite()(path, body)

    server = serve(manners)
    endpoint = connect(server.url)
    assert "logprobs is not supported" in endpoint.no_probabilities
    assert endpoint.generate([PROMPT], SHORT)[0].text == "Hund"
    assert "logprobs" not in server.asked[-1]


def test_a_server_that_only_chats(serve):
    server = serve(Polite(texts=False))
    endpoint = connect(server.url)
    assert endpoint.chat
    assert endpoint.title.endswith("(as a chat)")
    assert "chats only" in endpoint.no_scores
    assert endpoint.no_probabilities is None
    (answer,) = endpoint.generate([PROMPT], SHORT)
    assert server.asked[-1]["messages"] == [{"role": "user", "content": PROMPT}]
    assert answer.text == "Hund"
    assert answer.log_probabilities == pytest.approx(values(list('Hund"')))
    assert list(endpoint.stream(PROMPT, SHORT))[-1] == answer
    assert endpoint.alternatives(PROMPT, SHORT) == []


def test_a_chat_that_says_nothing_is_an_empty_answer(serve):
    silent = {
        "choices": [{"message": {"role": "assistant", "content": None}, "finish_reason": "stop"}]
    }
    server = serve(lambda path, body: Answer(silent))
    endpoint = Endpoint(server.url, "tiny", chat=True)
    assert endpoint.generate([PROMPT], Decoding(stop=()))[0].finish == "end"


def test_a_model_is_chosen_where_there_are_several_or_none(serve):
    several = serve(Polite(names=("b", "a")))
    with pytest.raises(InputError, match=r"Choose a model of the server .*: a, b\.$"):
        connect(several.url)
    assert connect(several.url, "b").model == "b"
    for names in ((), None):
        server = serve(Polite(names=names))
        with pytest.raises(InputError):
            connect(server.url)
        assert connect(server.url, "tiny").model == "tiny"


def test_an_unknown_model_is_told_with_those_that_are_there(serve):
    with pytest.raises(InputError, match=r"no model 'c' \(HTTP 404\)\. It lists: a, b\.$"):
        connect(serve(Polite(names=("b", "a"))).url, "c")


# Writing


def test_what_is_asked_for_reaches_the_server(serve):
    server = serve(Polite())
    endpoint = connect(server.url)
    stop = ("\n", "1", "2", "3", '"')
    decoding = Decoding(max_tokens=7, stop=stop, temperature=0.5, top_p=0.25, seed=11)
    (answer,) = endpoint.generate([PROMPT], decoding)
    asked = server.asked[-1]
    assert asked["prompt"] == PROMPT
    assert (asked["max_tokens"], asked["temperature"], asked["top_p"]) == (7, 0.5, 0.25)
    assert (asked["seed"], asked["model"]) == (11, "tiny")
    assert asked["stop"] == ["\n", "1", "2", "3"]  # the protocol's limit
    assert answer.text == "Hund"  # the fifth is enforced all the same


@pytest.mark.parametrize("shape", ["lists", "content"])
def test_an_answer_ends_at_the_stop_text_and_its_token_counts(serve, shape):
    endpoint = connect(serve(Polite(shape=shape, echo=None)).url)
    (answer,) = endpoint.generate([PROMPT], SHORT)
    assert (answer.text, answer.finish) == ("Hund", "stop")
    assert answer.log_probabilities == pytest.approx(values(list('Hund"')))
    whole = endpoint.generate([PROMPT], replace(SHORT, stop=()))[0]
    assert (whole.text, whole.finish) == (WRITES[:8], "length")
    assert whole.log_probability == pytest.approx(sum(values(list(WRITES[:8]))))


def test_a_server_that_takes_the_stop_text_off(serve):
    (answer,) = connect(serve(Polite(stops=True)).url).generate([PROMPT], SHORT)
    assert (answer.text, answer.finish) == ("Hund", "stop")


@pytest.mark.parametrize(
    ("told", "finish"),
    [({}, "stop"), ({"stop_reason": '"'}, "stop"), ({"stop_reason": None}, "end")],
)
def test_how_an_answer_ended_as_far_as_the_server_tells(serve, told, finish):
    body = {"choices": [{"text": "Hund", "finish_reason": "stop", **told}]}
    endpoint = Endpoint(serve(lambda path, asked: Answer(body)).url, "tiny")
    assert endpoint.generate([PROMPT], SHORT)[0].finish == finish


def test_tokens_that_spell_another_text_tell_no_probabilities(serve):
    told = {"tokens": ["x", "y"], "token_logprobs": [-1.0, -2.0]}
    body = {"choices": [{"text": WRITES, "finish_reason": "length", "logprobs": told}]}
    endpoint = Endpoint(serve(lambda path, asked: Answer(body)).url, "tiny", no_probabilities=None)
    (answer,) = endpoint.generate([PROMPT], SHORT)
    assert (answer.text, answer.log_probabilities) == ("Hund", ())


@pytest.mark.parametrize("stops", [True, False])
def test_a_stream_grows_into_the_whole_answer(serve, stops):
    endpoint = connect(serve(Polite(stops=stops)).url)
    grown = list(endpoint.stream(PROMPT, SHORT))
    assert [answer.text for answer in grown[:4]] == ["H", "Hu", "Hun", "Hund"]
    assert grown[-1] == endpoint.generate([PROMPT], SHORT)[0]


def test_answers_keep_the_order_of_the_prompts_whichever_comes_first(serve):
    def manners(path: str, body: dict) -> Answer:
        time.sleep(0.02 * (5 - int(body["prompt"])))
        return Answer({"choices": [{"text": body["prompt"], "finish_reason": "length"}]})

    server = serve(manners)
    seen: list[float] = []
    progress = Progress(5, lambda now: seen.append(now.done), clock=iter(range(99)).__next__)
    prompts = list("12345")
    answers = Endpoint(server.url, "tiny").generate(prompts, SHORT, progress=progress)
    assert [answer.text for answer in answers] == prompts
    assert seen == [0, 1, 2, 3, 4, 5]


def test_a_wish_to_stop_leaves_the_other_prompts_unasked(serve):
    server = serve(Polite())
    endpoint = connect(server.url)
    with pytest.raises(Cancelled):
        endpoint.generate([PROMPT] * 200, SHORT, progress=Progress(200, cancelled=lambda: True))
    assert len(server.asked) < 100


def test_alternatives_begin_with_the_probable_tokens_and_go_on_greedily(serve):
    server = serve(Polite())
    endpoint = connect(server.url)
    short = Decoding(max_tokens=6, temperature=1.0)
    rest = sum(values(list('Hund"')))
    # The server offers "", half a character, Z, H and K, in this order of probability.
    assert endpoint.alternatives(PROMPT, short, 2) == []
    found = endpoint.alternatives(PROMPT, short, 5)
    assert [answer.text for answer in found] == ["ZHund", "HHund", "KHund"]
    assert [answer.log_probability for answer in found] == pytest.approx(
        [begin + rest for begin in (-0.2, value("", "H"), -0.5)]
    )
    assert {ask["temperature"] for ask in server.asked} == {0.0}
    one = endpoint.alternatives(PROMPT, Decoding(max_tokens=1), 4)
    assert [(answer.text, answer.log_probability) for answer in one] == [("Z", -0.2), ("H", -0.25)]


@pytest.mark.parametrize("prompts", [[], [""], ["a", ""]])
def test_there_must_be_a_prompt(prompts):
    endpoint = Endpoint("http://localhost:1", "tiny", no_scores=None, no_probabilities=None)
    calls = [
        lambda: endpoint.generate(prompts, SHORT),
        lambda: endpoint.score_candidates(prompts, ["a"]),
        lambda: endpoint.stream("", SHORT),
        lambda: endpoint.alternatives("", SHORT),
    ]
    for call in calls:
        with pytest.raises(InputError, match="prompt"):
            call()


# Candidates


def naive(texts: list[str], prompt: str, cut: Callable[[str], list[str]]) -> np.ndarray:
    def total(text: str) -> float:
        return math.fsum(values(cut(text))[1:])

    return np.array([total(prompt + text) - total(prompt) for text in texts])


@pytest.mark.parametrize("cut", [letters, glued])
def test_candidates_score_what_they_add_to_the_prompt(serve, cut):
    endpoint = connect(serve(Polite(cut=cut)).url)
    prompts, candidates = [PROMPT, "x", 'a longer:"'], ["Hund", "כלב", "犬", "Hun", "two words"]
    progress = Progress(3)
    scores = endpoint.score_candidates(prompts, candidates, progress=progress)
    for row, prompt in enumerate(prompts):
        assert scores.log_probability[row] == pytest.approx(naive(candidates, prompt, cut))
    assert scores.tokens.tolist() == [4, 3, 1, 3, 9]
    assert scores.log_probability.dtype == np.float64
    assert progress.snapshot.done == pytest.approx(3)


@pytest.mark.parametrize("candidates", [[], ["a", " "]])
def test_there_must_be_a_candidate(serve, candidates):
    with pytest.raises(InputError, match="candidate"):
        connect(serve(Polite()).url).score_candidates([PROMPT], candidates)


numbers = st.floats(-20, 0)
texts = st.lists(st.tuples(st.sampled_from("abc"), numbers), min_size=1, max_size=6)


@given(texts, texts, texts)
def test_a_score_is_the_difference_of_the_sums(shared, end, rest):
    def tokens(pairs: list[tuple[str, float]]) -> list[Token]:
        return [Token(text, number, {}) for text, number in pairs]

    total, count = added(tokens(shared), tokens(shared + rest))
    assert total == pytest.approx(sum(number for _, number in rest))
    assert count == len(rest)
    # With an end that is cut anew, the sums of both texts decide.
    changed, _ = added(tokens([*shared, ("x", -1.0), *end]), tokens(shared + rest))
    assert changed == pytest.approx(total + 1.0 - sum(number for _, number in end))


# What goes wrong


def endpoint_of(server: Server, **more: object) -> Endpoint:
    return Endpoint(server.url, "tiny", KEY, **{"timeout": 5.0, **more})


def every_call(endpoint: Endpoint) -> list[Callable[[], object]]:
    ready = replace(endpoint, no_probabilities=None, no_scores=None)
    chat = replace(endpoint, chat=True)
    return [
        lambda: connect(endpoint.url, "tiny", api_key=KEY, timeout=endpoint.timeout),
        lambda: endpoint.generate([PROMPT], SHORT),
        lambda: list(endpoint.stream(PROMPT, SHORT)),
        lambda: ready.alternatives(PROMPT, SHORT),
        lambda: ready.score_candidates([PROMPT], ["a"]),
        lambda: chat.generate([PROMPT], SHORT),
    ]


def test_a_server_that_is_away():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for call in every_call(Endpoint(f"http://127.0.0.1:{port}", "tiny", KEY)):
            with pytest.raises(InputError) as error:
                call()
            assert f"No server answers at http://127.0.0.1:{port}/v1" in sentence(error)


def test_a_silent_server_is_left_after_the_timeout_and_asked_once(serve):
    gone = threading.Event()
    server = serve(lambda path, body: Answer({"waited": gone.wait(5)}))
    began = time.monotonic()
    for call in every_call(endpoint_of(server, timeout=0.1)):
        with pytest.raises(InputError) as error:
            call()
        assert "was silent for 0.1 seconds" in sentence(error)
    assert time.monotonic() - began < 3
    gone.set()


def test_an_http_error_is_told_once_and_never_with_the_key(serve):
    told = {
        401: "refuses the key",
        403: "refuses the key",
        404: "has no model 'tiny'",
        429: "too many requests",
        400: "refuses the request (HTTP 400): the key … is wrong here",
        500: "failed (HTTP 500): the key … is wrong here",
        503: "failed (HTTP 503): the key … is wrong here",
    }
    statuses: list[int] = []
    said = {"error": {"message": f"the key {KEY}\nis wrong here."}}
    server = serve(lambda path, body: Answer(said, statuses[-1]))
    calls = every_call(endpoint_of(server))
    for status, words in told.items():
        statuses.append(status)
        for call in calls:
            with pytest.raises(InputError) as error:
                call()
            assert words in sentence(error)


RUBBISH = (
    "", "no JSON", "<html></html>", "[]", "3", "null", '"text"', "{}", '{"choices": null}',
    '{"choices": []}', '{"choices": 3}', '{"choices": [null]}', '{"choices": [{}]}',
    '{"choices": ["text"]}', '{"choices": [{"text": null}]}', '{"choices": [{"text": 3}]}',
    '{"choices": [{"message": 3}]}', '{"choices": [{"message": {"content": ["a"]}}]}',
    '{"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": []}}]}',
    '{"choices": [{"text": "a", "logprobs": {"content": [{"token": "a"}]}}]}',
    '{"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": ["b"]}}]}',
    '{"choices": [{"text": "a", "logprobs": 3}]}', '{"data": 3}', '{"data": [{}]}',
)  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_rubbish_is_called_rubbish(serve, kind):
    bodies: list[str] = []
    server = serve(lambda path, asked: Answer(bodies[-1], kind=kind))
    endpoint = endpoint_of(server)
    for body in RUBBISH:
        bodies.append(body)
        for call in (endpoint.models, lambda: endpoint.generate([PROMPT], SHORT)):
            with pytest.raises(InputError) as error:
                call()
            assert "does not speak OpenAI's protocol" in sentence(error), body
    with pytest.raises(InputError, match="protocol"):
        connect(server.url)


def piece(text: str, finish: str | None = None) -> dict:
    return {"choices": [{"text": text, "index": 0, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("events", "cut", "words"),
    [
        ([piece("Hu"), piece("n")], False, "broke off before its end; try again"),
        ([piece("Hu"), piece("n")], True, "broke off before its end; try again"),
        ([piece("Hu"), piece("n"), {"error": "no memory"}], False, "its end: no memory; try again"),
        (
            [piece("Hu"), piece("n"), {"error": {"message": f"{KEY} is worn"}}],
            False,
            "its end: … is worn; try again",
        ),
        ([piece("Hu"), piece("n"), "{"], False, "does not speak OpenAI's protocol"),
        ([piece("Hu"), piece("n"), {"choices": [{}]}], False, "does not speak OpenAI's protocol"),
    ],
)
def test_a_stream_that_breaks_off_keeps_what_had_come(serve, events, cut, words):
    server = serve(lambda path, body: Answer(events, cut=cut))
    stream = endpoint_of(server).stream(PROMPT, SHORT)
    assert [next(stream).text, next(stream).text] == ["Hu", "Hun"]
    with pytest.raises(InputError) as error:
        next(stream)
    assert words in sentence(error)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_nothing_is_asked_twice(serve, status):
    server = serve(lambda path, body: Answer({}, status))
    with pytest.raises(InputError):
        endpoint_of(server).generate([PROMPT], SHORT)
    assert len(server.asked) == 1


def test_a_stream_can_be_left(serve):
    server = serve(lambda path, body: Answer([piece("a")] * 50, cut=True))
    stream = endpoint_of(server).stream(PROMPT, SHORT)
    assert next(stream).text == "a"
    stream.close()


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost", "localhost:8000", "ftp://localhost", "file:///etc/passwd", "http://",
        "http://:8000", "http://a b", "http://localhost:x", "http://localhost:99999",
        "http://localhost:0", "http://[::1", "http://münchen", "http://user:pass@localhost",
        "http://localhost/v1?key=pass", "http://localhost/v1#pass", "http://a..b",
        f"http://{'a' * 70}", "http://%41",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_server(url):
    with pytest.raises(InputError) as error:
        connect(url)
    assert "address" in sentence(error)
    assert "pass" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        (" HTTP://localhost:8000/ ", "http://localhost:8000/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
        ("https://host/v1/models", "https://host/v1"),
        ("http://[::1]:8000/api", "http://[::1]:8000/api"),
    ],
)
def test_an_address_may_be_given_in_other_ways(given, used):
    assert Endpoint(given, "tiny").url == used


@pytest.mark.parametrize("key", ["schlüssel", "a\nb", "a\x00"])
def test_what_is_no_key(key):
    with pytest.raises(InputError, match="key") as error:
        Endpoint("http://localhost", "tiny", key)
    assert key not in str(error.value)


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_timeout(timeout):
    with pytest.raises(InputError, match="timeout"):
        Endpoint("http://localhost", "tiny", timeout=timeout)


def test_the_key_is_sent_and_never_shown(serve, caplog):
    server = serve(Polite())
    with caplog.at_level("DEBUG"):
        endpoint = connect(server.url, api_key=f" {KEY}\n")
    assert {each["authorization"] for each in server.headers} == {f"Bearer {KEY}"}
    assert KEY not in repr(endpoint)
    assert KEY not in endpoint.title
    assert KEY not in caplog.text


def test_no_key_of_the_environment_is_sent(serve, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, KEY)
    server = serve(Polite())
    connect(server.url)
    assert KEY not in str(server.headers)


# A real server


@pytest.fixture(scope="module")
def real_server(tiny_model_folder, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """``transformers serve`` with the tiny model, its templates as neutral as a text is."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("served") / "tiny"
    shutil.copytree(tiny_model_folder, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    tokenizer.chat_template = "{{ bos_token }}{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    (folder / "generation_config.json").write_text(json.dumps({**settings, "do_sample": True}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", serve, "serve", str(folder), "--port", str(port)]
    own = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path_factory.mktemp("hub"))}
    with (folder.parent / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--device", "cpu"],
            env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while True:
                with socket.socket() as knock:
                    if knock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None, (folder.parent / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", folder
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.slow
def test_a_real_server_writes_what_the_local_model_writes(real_server, tmp_path):
    url, folder = real_server
    endpoint = connect(url, str(folder))
    assert not endpoint.chat
    assert endpoint.no_probabilities
    assert endpoint.no_scores
    prompts = [PROMPT, "Hello", 'Français:"chien"→日本語:"']
    greedy = Decoding(max_tokens=24, stop=())
    model = models.load(find_model(str(folder), tmp_path), device="cpu")
    local = generation.generate(model, prompts, greedy)
    assert len({answer.text for answer in local}) == 3
    for one in (endpoint, replace(endpoint, chat=True)):
        texts = [answer.text.rstrip("\ufffd") for answer in one.generate(prompts, greedy)]
        assert texts == [answer.text for answer in local]
        *_, last = one.stream(PROMPT, greedy)
        assert last.text.rstrip("\ufffd") == local[0].text
    letter = next(each for each in local[1].text[1:] if each.isascii())
    stopping = replace(greedy, stop=(letter,))
    assert endpoint.generate(prompts, stopping)[1].text == local[1].text.split(letter)[0]
    drawn = replace(greedy, temperature=1.0, seed=3)
    first, again = endpoint.generate(["Hello"], drawn), endpoint.generate(["Hello"], drawn)
    other = endpoint.generate(["Hello"], replace(drawn, seed=4))
    assert first == again != other


@pytest.mark.slow
def test_a_real_server_refuses_another_model_and_lists_none(real_server):
    url, _ = real_server
    with pytest.raises(InputError, match="lists none"):
        connect(url)
    with pytest.raises(InputError, match=r"HTTP 400.*pinned"):
        connect(url, "another")
