"""`collect`: what is counted, stored, resumed and reported."""

import hashlib
import json
import sys
import threading

import pytest

from bridgex_core import jobs, machine
from bridgex_core.collection import STATISTICS
from bridgex_core.store import Store, open_store


def test_collect_counts_every_byte_as_a_token(run, place):
    names = "Kiswahili, en,German"
    first = run("collect", *place.options, "--dtype", "float32", "--languages", names, "--json")
    assert first.code == 0
    assert first.err.splitlines() == [first.err.strip()]  # the plan, and no progress
    assert "on cpu in float32" in first.err
    assert "GiB of memory" in first.err
    codes = ["swh_Latn", "eng_Latn", "deu_Latn"]
    done = first.json
    assert (done["languages"], done["computed"], done["already_stored"]) == (codes, codes, [])
    assert done["dtype"] == "float32"
    assert done["seconds"] > 0
    for code in codes:  # the tokenizer's tokens are bytes; a line is a block without its newline
        text = (place.corpus / f"{code}.txt").read_bytes()
        assert done["tokens"][code] == len(text) - text.count(b"\n")

    again = run("collect", *place.options, "--dtype", "float32", "--languages", "fi,sw", "--json")
    assert again.json["computed"] == ["fin_Latn"]
    assert again.json["already_stored"] == ["swh_Latn"]

    last = run("collect", *place.options, "--dtype", "float32", "--languages", "fi,sw")
    assert last.err == ""  # nothing to do, nothing to plan
    assert last.out.startswith("Computed 0 languages in ")
    assert "; 2 stored already; " in last.out


def test_auto_is_resolved_before_anything_is_stored(run, refused, place, monkeypatch):
    monkeypatch.setattr(machine, "choose_dtype", lambda device, parameters: "bfloat16")
    done = run("collect", *place.options, "--languages", "sw,en", "--json").json
    assert done["dtype"] == "bfloat16"
    (swahili,) = run("languages", "swh", *place.options, "--json").json
    assert swahili["stored"] == ["bfloat16"]
    # What is stored is found without naming the format, in whatever format it is.
    shown = run("spectrum", *place.options, "--languages", "sw,en", "--selection", "active")
    assert "in bfloat16" in shown.out
    lacking = refused("spectrum", *place.options, "--languages", "sw,fi")
    assert "--languages fin_Latn" in lacking
    assert "--dtype bfloat16" in lacking


class Interrupted:
    """Stands for a person who presses Ctrl-C when a number of blocks is stored."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.saved: list[str] = []
        self.after = after
        original = Store.save_part

        def save_part(store: Store, kind: str, key: str, name: str, *rest: object) -> object:
            result = original(store, kind, key, name, *rest)
            self.saved.append(f"{kind} {name}")
            if len(self.saved) == self.after:
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(Store, "save_part", save_part)


def test_ctrl_c_keeps_the_finished_blocks(run, place, monkeypatch):
    words = ["collect", *place.options, "--dtype", "float32", "--languages", "sw"]
    person = Interrupted(monkeypatch, after=3)
    stopped = run(*words)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1].startswith("bridgex: Stopped: ")
    assert "stored" in stopped.err
    assert "Traceback" not in stopped.err
    finished = set(person.saved)
    every = {f"{STATISTICS} {block:02d}" for block in range(6)}
    assert len(finished) == 3
    assert finished < every

    person.saved.clear()
    person.after = -1
    assert run(*words).code == 0
    assert {part for part in person.saved if part.startswith(STATISTICS)} == every - finished


class Terminal:
    """A standard error that says it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal(run, place, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    words = ["collect", *place.options, "--dtype", "float32", "--languages", "sw"]
    assert run(*words).code == 0
    assert "  0%" in terminal.text
    assert "100%" in terminal.text

    terminal.text = ""
    Interrupted(monkeypatch, after=1)
    assert run(*words[:-1], "en").code == 130
    assert terminal.text.splitlines()[-1].startswith("\x1b[K" + "bridgex: Stopped")


def new_job(store: Store, argv: list[str]) -> str:
    """What `jobs.start` leaves for its worker."""
    job_id = hashlib.sha256(repr(argv).encode()).hexdigest()[:16]
    record = {"run": "r1", "title": "A job", "argv": argv, "started": "2025-01-01T00:00:00+00:00"}
    store.write_text(f"jobs/{job_id}/job.json", json.dumps(record))
    return job_id


def test_a_job_reports_how_it_went(run, place):
    store = open_store(place.store)
    words = ["collect", *place.options, "--dtype", "float32", "--languages", "sw"]
    job_id = new_job(store, words)
    assert run(*words, "--job", job_id).code == 0
    ended = jobs.job(store, job_id)
    assert (ended.state, ended.fraction) == ("done", 1.0)
    assert (store.root / "jobs" / job_id / "progress.json").exists()


def test_a_job_that_fails_keeps_its_sentence(refused, place):
    store = open_store(place.store)
    words = ["collect", *place.options, "--languages", "Kurdish"]
    job_id = new_job(store, words)
    line = refused(*words, "--job", job_id)
    ended = jobs.job(store, job_id)
    assert ended.state == "failed"
    assert line == f"bridgex: {ended.error}"


def test_a_job_stops_when_it_is_asked_to(run, place):
    store = open_store(place.store)
    words = ["collect", *place.options, "--dtype", "float32", "--languages", "sw"]
    job_id = new_job(store, words)
    store.write_text(f"jobs/{job_id}/cancel", "r1")
    stopped = run(*words, "--job", job_id)
    assert (stopped.code, stopped.out) == (130, "")
    assert jobs.job(store, job_id).state == "cancelled"


@pytest.mark.slow
def test_a_job_runs_in_a_process_of_its_own(place):
    store = open_store(place.store)
    words = ["collect", *place.options[2:], "--dtype", "float32", "--languages", "sw"]
    started = jobs.start(store, "A job", words)
    log = store.root / "jobs" / started.id / "log.txt"
    for _ in range(600):
        if not jobs.job(store, started.id).active:
            break
        threading.Event().wait(0.1)
    assert jobs.job(store, started.id).state == "done", log.read_text()
    assert "Computed 1 language" in log.read_text()
