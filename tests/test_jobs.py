"""Jobs: real processes, started, cancelled, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridgex_core import jobs
from bridgex_core.errors import Cancelled, InputError
from bridgex_core.jobs import cancel, forget, job, job_reporter, resume, run_as_job, start
from bridgex_core.progress import Progress
from bridgex_core.store import Store

# Stands for `python -m bridgex_core`: a few commands that show each way a job can go.
PROGRAM = """
import os, sys, time
sys.path.insert(0, os.getcwd())
command, steps, job_id = sys.argv[1], int(sys.argv[2]), sys.argv[-1]
if command == "refused":
    sys.exit("error: no such command")
from bridgex_core.errors import InputError
from bridgex_core.jobs import job_reporter, run_as_job
from bridgex_core.progress import Progress
from bridgex_core.store import default_store
store = default_store()
with run_as_job(store, job_id):
    print("session", os.getsid(0) == os.getpid(), "folder", os.getcwd(), flush=True)
    if command == "bad-input":
        raise InputError("The text is empty: give it a few sentences.")
    if command == "bug":
        1 / 0
    if command == "exit":
        sys.exit(steps)
    report, cancelled = job_reporter(store, job_id)
    progress = Progress(steps, report, cancelled)
    for step in range(steps):
        if str(step) in store.parts("stats", "0" * 32):
            progress.skip(1)
            continue
        time.sleep(0.02)
        store.save_part("stats", "0" * 32, str(step), {}, {})
        print("computed", step, flush=True)
        progress.advance(1, f"step {step}")
"""
LONG = ["work", "1000"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    monkeypatch.setattr(jobs, "_PROGRAM", (sys.executable, str(program)))
    store = Store(tmp_path / "store")
    yield store
    for one in jobs.jobs(store):
        if one.active:
            os.kill(pid_of(store, one.id), signal.SIGKILL)


def log_of(store: Store, job_id: str) -> str:
    return (store.root / "jobs" / job_id / "log.txt").read_text()


def pid_of(store: Store, job_id: str) -> int:
    return json.loads((store.root / "jobs" / job_id / "job.json").read_text())["pid"]


def wait(store: Store, job_id: str, until) -> jobs.Job:
    deadline = time.monotonic() + 20
    while not until(now := job(store, job_id)):
        assert time.monotonic() < deadline, (now, log_of(store, job_id))
        time.sleep(0.02)
    return now


def ended(now: jobs.Job) -> bool:
    return not now.active


def wait_for_work(store: Store, job_id: str) -> None:
    wait(store, job_id, lambda now: store.parts("stats", "0" * 32))


def computed(store: Store, job_id: str) -> list[str]:
    return [line for line in log_of(store, job_id).splitlines() if line.startswith("computed")]


def test_a_job_runs_apart_and_is_done(place):
    begun = start(place, "Collect Swahili", ["work", "5"])
    assert begun.state in ("starting", "running")
    assert (begun.title, begun.argv, begun.error) == ("Collect Swahili", ("work", "5"), "")
    done = wait(place, begun.id, ended)
    assert (done.state, done.fraction, done.message) == ("done", 1.0, "step 4")
    assert (done.eta_seconds, done.error) == (None, "")
    assert done.started == begun.started < done.updated
    project = Path(jobs.__file__).parent.parent
    assert f"session True folder {project}\n" in log_of(place, done.id)
    assert len(place.parts("stats", "0" * 32)) == 5, "BRIDGEX_STORE led it to this store"


def test_the_same_work_twice_is_one_job(place):
    first = start(place, "Once", LONG)
    wait_for_work(place, first.id)
    second = start(place, "Twice", LONG)
    assert (second.id, second.started, second.title) == (first.id, first.started, "Once")
    other = start(place, "Other", ["work", "1"])
    assert other.id != first.id
    assert [one.id for one in jobs.jobs(place)] == [other.id, first.id], "newest first"
    wait(place, other.id, ended)
    assert log_of(place, first.id).count("session") == 1


def test_cancelled_then_resumed_it_goes_on_where_it_stopped(place):
    begun = start(place, "Collect", ["work", "20"])
    wait_for_work(place, begun.id)
    assert cancel(place, begun.id).state in ("running", "cancelled")
    stopped = wait(place, begun.id, ended)
    assert (stopped.state, stopped.error) == ("cancelled", "")
    assert 0 < stopped.fraction < 1
    kept = place.parts("stats", "0" * 32)
    assert 0 < len(kept) < 20
    again = resume(place, begun.id)
    assert (again.id, again.title, again.argv) == (begun.id, begun.title, begun.argv)
    assert again.started > begun.started
    assert wait(place, begun.id, ended).state == "done"
    lines = computed(place, begun.id)
    assert len(lines) == len(set(lines)) == 20, "nothing was computed twice"
    assert cancel(place, begun.id).state == "done", "too late, and no harm"


def test_killed_it_is_interrupted_then_resumed(place):
    begun = start(place, "Collect", ["work", "20"])
    wait_for_work(place, begun.id)
    os.kill(pid_of(place, begun.id), signal.SIGKILL)
    stopped = wait(place, begun.id, ended)
    assert stopped.state == "interrupted"
    assert stopped.eta_seconds is None
    assert stopped.error.endswith("resume it to go on where it stopped.")
    before = len(computed(place, begun.id))
    resume(place, begun.id)
    assert wait(place, begun.id, ended).state == "done"
    lines = computed(place, begun.id)
    # Killed between storing a part and saying so, one line may be missing.
    assert len(lines) == len(set(lines))
    assert len(lines) in (19, 20)
    assert before < len(lines)


def test_a_wish_to_cancel_is_shown_and_taken_back_by_starting_again(place):
    begun = start(place, "Collect", LONG)
    pid = pid_of(place, begun.id)
    wait_for_work(place, begun.id)
    os.kill(pid, signal.SIGSTOP)
    wait(place, begun.id, lambda now: ") T " in Path(f"/proc/{pid}/stat").read_text())
    assert cancel(place, begun.id).message == "stopping"
    assert start(place, "Collect", LONG).message != "stopping"
    os.kill(pid, signal.SIGCONT)
    at = job(place, begun.id).fraction
    assert wait(place, begun.id, lambda now: now.fraction > at).state == "running"


def test_a_wish_to_cancel_is_kept_while_the_program_starts(place):
    begun = start(place, "Collect", LONG)
    cancel(place, begun.id)
    assert wait(place, begun.id, ended).state == "cancelled"
    assert len(computed(place, begun.id)) <= 1


@pytest.mark.parametrize(
    ("argv", "state", "error", "logged"),
    [
        (["bad-input", "0"], "failed", "The text is empty: give it a few sentences.", ""),
        (["bug", "0"], "failed", "ZeroDivisionError: division by zero", "    1 / 0\n"),
        (["exit", "3"], "failed", "It ended with exit code 3.", ""),
        (["exit", "0"], "done", "", ""),
        (
            ["refused", "0"],
            "interrupted",
            "Its process ended before the work began: error: no such command",
            "",
        ),
    ],
)
def test_how_a_job_ends_is_told_in_a_sentence(place, argv, state, error, logged):
    now = wait(place, start(place, "x", argv).id, ended)
    assert (now.state, now.error) == (state, error)
    assert logged in log_of(place, now.id)


def test_a_job_outlives_the_process_that_started_it(place):
    code = (
        "import sys; from bridgex_core import jobs; from bridgex_core.store import Store;"
        "jobs._PROGRAM = tuple(sys.argv[2:]);"
        "print(jobs.start(Store(sys.argv[1]), 'x', ['work', '1000']).id)"
    )
    starter = subprocess.run(
        [sys.executable, "-c", code, place.root, *jobs._PROGRAM],
        capture_output=True,
        text=True,
        check=True,
    )
    job_id = starter.stdout.strip()
    at_that_time = len(place.parts("stats", "0" * 32))
    wait(place, job_id, lambda now: len(place.parts("stats", "0" * 32)) > at_that_time + 2)
    assert job(place, job_id).state == "running"


def test_a_program_that_cannot_be_started_leaves_no_job(place, monkeypatch):
    monkeypatch.setattr(jobs, "_PROGRAM", ("/no/such/program",))
    with pytest.raises(InputError, match="could not be started"):
        start(place, "x", ["work"])
    assert jobs.jobs(place) == ()


@pytest.mark.parametrize("argv", [[], ["a\0b"], [1]])
def test_a_command_must_be_words(place, argv):
    with pytest.raises(InputError, match="list of words"):
        start(place, "x", argv)


@pytest.mark.parametrize("job_id", ["0" * 16, "", "../../etc", "x"])
def test_an_unknown_job_is_told(place, job_id):
    for ask in (job, cancel, resume, forget, job_reporter):
        with pytest.raises(InputError, match="There is no job"):
            ask(place, job_id)
    with pytest.raises(InputError, match="There is no job"), run_as_job(place, job_id):
        pass


def test_something_else_among_the_jobs_is_passed_over(place):
    for name in ("0" * 16, "1" * 16, "notes"):
        (place.root / "jobs" / name).mkdir(parents=True)
    (place.root / "jobs" / ("1" * 16) / "job.json").write_text("{broken")
    assert jobs.jobs(place) == ()


def test_only_an_ended_job_is_forgotten(place):
    begun = start(place, "x", LONG)
    with pytest.raises(InputError, match="still running"):
        forget(place, begun.id)
    wait_for_work(place, begun.id)
    cancel(place, begun.id)
    wait(place, begun.id, ended)
    forget(place, begun.id)
    assert jobs.jobs(place) == ()
    assert not (place.root / "jobs" / begun.id).exists()
    assert place.parts("stats", "0" * 32), "its results stay"


# -- the worker's side, in this process ----------------------------------------------------------

ID = "a" * 16


@pytest.fixture
def here(tmp_path):
    """A store with a job whose worker is this very process."""
    store = Store(tmp_path / "store")
    write_record(store, "run-2")
    return store


def write_record(store: Store, run: str, **more: object) -> None:
    record = {"title": "x", "argv": ["x"], "run": run, "started": jobs._now(), **more}
    store.write_text(f"jobs/{ID}/job.json", json.dumps(record))


def test_without_a_worker_yet_it_is_starting(here):
    assert job(here, ID).state == "starting"
    before = time.time() - 60
    os.utime(here.root / "jobs" / ID / "job.json", (before, before))
    assert job(here, ID).state == "interrupted"


def test_what_earlier_runs_left_does_not_count(here):
    folder = here.root / "jobs" / ID
    (folder / "cancel").write_text("run-1")
    (folder / "state.json").write_text(json.dumps({"run": "run-1", "state": "done", "at": "9"}))
    (folder / "progress.json").write_text(json.dumps({"run": "run-1", "fraction": 0.7}))
    assert (job(here, ID).state, job(here, ID).fraction) == ("starting", 0.0)
    with run_as_job(here, ID):
        assert not (folder / "cancel").exists()
        assert job(here, ID).state == "running"
        _, cancelled = job_reporter(here, ID)
        assert not cancelled()
        cancel(here, ID)
        assert cancelled()
    assert job(here, ID).state == "done"


def test_a_job_that_ends_while_it_is_looked_at_is_not_interrupted(here, monkeypatch):
    def ends_now(*_args):
        jobs._write_state(here, ID, "run-2", "done")
        return False

    jobs._write_state(here, ID, "run-2", "running")
    monkeypatch.setattr(jobs, "_is_at_work", ends_now)
    assert job(here, ID).state == "done"


def test_progress_of_a_job_can_be_read(here):
    now = 0.0
    with run_as_job(here, ID):
        progress = Progress(10, *job_reporter(here, ID), clock=lambda: now)
        for _ in range(3):
            now += 2.0
            progress.advance(1, "日本語")
        seen = job(here, ID)
        assert (seen.fraction, seen.message) == (0.3, "日本語")
        assert seen.eta_seconds == pytest.approx(14)


@pytest.mark.parametrize(
    ("error", "state", "sentence"),
    [
        (Cancelled("x"), "cancelled", ""),
        (KeyboardInterrupt(), "cancelled", ""),
        (InputError("Too short."), "failed", "Too short."),
        (RuntimeError("first\nsecond"), "failed", "RuntimeError: first"),
        (MemoryError(), "failed", "MemoryError"),
    ],
)
def test_an_error_passes_through_and_is_recorded(here, error, state, sentence):
    with pytest.raises(type(error)), run_as_job(here, ID):
        raise error
    assert (job(here, ID).state, job(here, ID).error) == (state, sentence)
    log = here.root / "jobs" / ID / "log.txt"
    assert ("Traceback" in log.read_text() if log.exists() else False) == (
        not isinstance(error, Cancelled | InputError)
    )


def test_a_full_disk_does_not_hide_the_first_error(here, monkeypatch):
    def full(*_args):
        raise InputError("The disk of the store is full.")

    def work():
        with run_as_job(here, ID):
            monkeypatch.setattr(Store, "write_text", full)
            raise RuntimeError("first")

    with pytest.raises(RuntimeError, match="first"):
        work()


def test_another_process_with_the_same_number_is_not_the_job(here):
    start_time = jobs._process_start(os.getpid())
    write_record(here, "run-2", pid=os.getpid(), process_start=start_time)
    assert job(here, ID).state == "starting"
    write_record(here, "run-2", pid=os.getpid(), process_start=start_time - 1)
    assert job(here, ID).state == "interrupted"


def test_a_zombie_is_not_at_work(here):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(0)
    try:
        write_record(here, "run-2", pid=child, process_start=jobs._process_start(child))
        assert job(here, ID).state == "starting"
        os.write(writer, b"x")
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it ended, and nobody took note
        assert Path(f"/proc/{child}").exists()
        assert job(here, ID).state == "interrupted"
    finally:
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_without_proc_the_heartbeat_tells(here, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "_PROC", tmp_path / "no-proc")
    monkeypatch.setattr(jobs, "_BEAT_SECONDS", 0.01)
    folder = here.root / "jobs" / ID
    before = time.time() - 60
    with run_as_job(here, ID):
        os.utime(folder / "job.json", (before, before))
        time.sleep(0.1)
        assert time.time() - (folder / "heartbeat").stat().st_mtime < 5, "it beats"
        assert job(here, ID).state == "running"
    state = json.loads((folder / "state.json").read_text()) | {"state": "running"}
    (folder / "state.json").write_text(json.dumps(state))
    os.utime(folder / "heartbeat", (before, before))
    assert job(here, ID).state == "interrupted", "silent, though a process has its number"
    (folder / "heartbeat").touch()
    assert job(here, ID).state == "running"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (folder / "state.json").write_text(json.dumps(state | {"pid": gone.pid}))
    assert job(here, ID).state == "interrupted", "no process has its number"
