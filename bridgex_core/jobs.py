"""Long work in a process of its own, which goes on when the page that started it is closed.

A job is a command of this program. Its folder ``{root}/jobs/{id}/`` holds ``job.json`` (what was
started, by the starter), ``state.json``, ``progress.json`` and ``heartbeat`` (by the worker),
``cancel`` (a wish to stop) and ``log.txt``. Each start has a run number of its own, and files of
earlier runs do not count.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridgex_core.errors import Cancelled, InputError
from bridgex_core.progress import Snapshot
from bridgex_core.store import Store, process_alive

_PROGRAM = (sys.executable, "-m", "bridgex_core")
_PROJECT = Path(__file__).resolve().parent.parent
_PROC = Path("/proc")
_BEAT_SECONDS = 5.0
_SILENT_SECONDS = 30.0
_END_STATES = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """A job as it was at one moment.

    ``state`` is "starting", "running", "done", "failed", "cancelled" or "interrupted" (the process
    is gone without a word). ``fraction`` is 0 to 1, ``eta_seconds`` None while unknown, ``started``
    and ``updated`` are UTC in ISO format, ``error`` is one sentence or empty.
    """

    id: str
    title: str
    argv: tuple[str, ...]
    state: str
    fraction: float
    message: str
    eta_seconds: float | None
    started: str
    updated: str
    error: str

    @property
    def active(self) -> bool:
        """Whether its process is at work."""
        return self.state in ("starting", "running")


def start(store: Store, title: str, argv: Sequence[str]) -> Job:
    """Run the command ``argv`` of this program in a process of its own.

    The same ``argv`` is the same job: while it runs, it is returned instead of a second one, and a
    wish to cancel it is taken back; after it ended it runs again, in the same folder.
    """
    words = list(argv)
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise InputError("A job needs a command: a list of words.")
    job_id = hashlib.sha256(json.dumps(words).encode("ascii")).hexdigest()[:16]
    with store.lock(f"job-{job_id}"):
        if _is_active(store, job_id):
            (_folder(store, job_id) / "cancel").unlink(missing_ok=True)
        else:
            _launch(store, job_id, {"title": title, "argv": words})
    return job(store, job_id)


def resume(store: Store, job_id: str) -> Job:
    """Start the job's command again; what it had stored is found and not computed again."""
    old = job(store, job_id)
    return start(store, old.title, old.argv)


def jobs(store: Store) -> tuple[Job, ...]:
    """All jobs, the latest started first."""
    found = []
    for folder in (store.root / "jobs").glob("*"):
        with contextlib.suppress(_NoJobError):  # something else lies there
            found.append(job(store, folder.name))
    return tuple(sorted(found, key=lambda one: one.started, reverse=True))


def job(store: Store, job_id: str) -> Job:
    """The job's present state; ``InputError`` if there is no such job."""
    record = _record(store, job_id)
    worker = _of_run(store, job_id, "state.json", record["run"])
    at_work = _is_at_work(store, job_id, worker or record)
    # Read again: it may have ended between the first look and the look at its process.
    worker = _of_run(store, job_id, "state.json", record["run"])
    state = worker.get("state", "starting")
    if state not in _END_STATES and not at_work:
        state = "interrupted"
    progress = _of_run(store, job_id, "progress.json", record["run"])
    active = state in ("starting", "running")
    stopping = active and _is_cancelled(store, job_id, record["run"])
    return Job(
        id=job_id,
        title=record["title"],
        argv=tuple(record["argv"]),
        state=state,
        fraction=1.0 if state == "done" else progress.get("fraction", 0.0),
        message="stopping" if stopping else progress.get("message", ""),
        eta_seconds=progress.get("eta_seconds") if active else None,
        started=record["started"],
        updated=max(record["started"], worker.get("at", ""), progress.get("at", "")),
        error=_interruption(store, job_id, worker)
        if state == "interrupted"
        else worker.get("error", ""),
    )


def cancel(store: Store, job_id: str) -> Job:
    """Ask the job to stop after the part in hand; nothing happens if it has ended."""
    run = _record(store, job_id)["run"]
    if job(store, job_id).active:
        store.write_text(f"jobs/{job_id}/cancel", run)
    return job(store, job_id)


def forget(store: Store, job_id: str) -> None:
    """Remove an ended job from the list, with its log; its results stay."""
    if job(store, job_id).active:
        raise InputError("This job is still running: cancel it before you remove it.")
    store.discard(_folder(store, job_id))


# -- the worker's side ---------------------------------------------------------------------------


@contextlib.contextmanager
def run_as_job(store: Store, job_id: str) -> Iterator[None]:
    """Around a job's work in its process: records that it runs and how it ends.

    An error passes through; its sentence is kept, and the traceback of one that is no
    ``InputError`` goes to the log.
    """
    run = _record(store, job_id)["run"]
    if not _is_cancelled(store, job_id, run):  # a wish that an earlier run did not live to see
        (_folder(store, job_id) / "cancel").unlink(missing_ok=True)
    _write_state(store, job_id, run, "running")
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(_folder(store, job_id), ended), daemon=True)
    beat.start()
    try:
        yield
    except BaseException as error:
        state, sentence = _outcome(error)
        # The disk may be full by now: the first error is the one to tell.
        with contextlib.suppress(InputError, OSError):
            if not isinstance(error, InputError | Cancelled | SystemExit):
                with (_folder(store, job_id) / "log.txt").open("a", encoding="utf-8") as log:
                    traceback.print_exception(error, file=log)
        with contextlib.suppress(InputError, OSError):  # last: who sees it reads the log
            _write_state(store, job_id, run, state, sentence)
        raise
    else:
        _write_state(store, job_id, run, "done")
    finally:
        ended.set()
        beat.join()


def job_reporter(
    store: Store, job_id: str
) -> tuple[Callable[[Snapshot], None], Callable[[], bool]]:
    """A job's ``report`` and ``cancelled`` for its ``Progress``."""
    run = _record(store, job_id)["run"]

    def report(snapshot: Snapshot) -> None:
        _write(
            store,
            job_id,
            "progress.json",
            run=run,
            fraction=snapshot.fraction,
            message=snapshot.message,
            eta_seconds=snapshot.eta_seconds,
            at=_now(),
        )

    return report, lambda: _is_cancelled(store, job_id, run)


# -- processes -----------------------------------------------------------------------------------


def _is_active(store: Store, job_id: str) -> bool:
    try:
        return job(store, job_id).active
    except _NoJobError:
        return False


def _launch(store: Store, job_id: str, command: dict[str, Any]) -> None:
    record = command | {"run": uuid.uuid4().hex, "started": _now()}
    _write(store, job_id, "job.json", **record)
    log_path = _folder(store, job_id) / "log.txt"
    try:
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [*_PROGRAM, *command["argv"], "--job", job_id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=_PROJECT,
                env=os.environ | {"BRIDGEX_STORE": str(store.root)},
                start_new_session=True,
            )
    except OSError as error:
        store.discard(_folder(store, job_id))
        raise InputError(
            f"The job could not be started ({error.strerror}): free memory or disk space, then try "
            "again."
        ) from error
    # Somebody has to take its exit status, or it stays a zombie while this process lives.
    threading.Thread(target=process.wait, daemon=True).start()
    _write(store, job_id, "job.json", **record, **_identity(process.pid))


def _identity(pid: int) -> dict[str, int | None]:
    return {"pid": pid, "process_start": _process_start(pid)}


def _process_start(pid: int) -> int | None:
    """Clock ticks from the machine's start to the process's; None if it is gone, or no /proc."""
    try:
        # The command's name stands in brackets and may hold anything, brackets too.
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _is_at_work(store: Store, job_id: str, known: dict[str, Any]) -> bool:
    """Whether the process of ``known`` is alive, and not another one that was given its number."""
    pid = known.get("pid")
    if pid is not None and (_PROC / "self" / "stat").exists():
        return known["process_start"] is not None and _process_start(pid) == known["process_start"]
    signs = [_folder(store, job_id) / "heartbeat", _folder(store, job_id) / "job.json"]
    latest = max((path.stat().st_mtime for path in signs if path.exists()), default=0.0)
    return time.time() - latest < _SILENT_SECONDS and (pid is None or process_alive(pid))


def _beat(folder: Path, ended: threading.Event) -> None:
    while True:
        with contextlib.suppress(OSError):
            (folder / "heartbeat").touch()
        if ended.wait(_BEAT_SECONDS):
            return


def _outcome(error: BaseException) -> tuple[str, str]:
    if isinstance(error, Cancelled | KeyboardInterrupt):
        return "cancelled", ""
    if isinstance(error, InputError):
        return "failed", str(error)
    if isinstance(error, SystemExit):
        ended_well = error.code in (None, 0)
        return ("done", "") if ended_well else ("failed", f"It ended with exit code {error.code}.")
    first_line = (str(error).splitlines() or [""])[0]
    return "failed", f"{type(error).__name__}: {first_line}".removesuffix(": ")


def _interruption(store: Store, job_id: str, worker: dict[str, Any]) -> str:
    if worker:
        return "Its process ended before the work did: resume it to go on where it stopped."
    with contextlib.suppress(OSError, IndexError):
        log = (_folder(store, job_id) / "log.txt").read_text(encoding="utf-8", errors="replace")
        return f"Its process ended before the work began: {log.strip().splitlines()[-1]}"
    return "Its process ended before the work began."


# -- files ---------------------------------------------------------------------------------------


class _NoJobError(InputError):
    pass


def _folder(store: Store, job_id: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{16}", job_id):
        raise _NoJobError(f"There is no job '{job_id}' in the store {store.root}.")
    return store.root / "jobs" / job_id


def _record(store: Store, job_id: str) -> dict[str, Any]:
    record = _read(_folder(store, job_id) / "job.json")
    if not {"run", "title", "argv", "started"} <= record.keys():
        raise _NoJobError(f"There is no job '{job_id}' in the store {store.root}.")
    return record


def _of_run(store: Store, job_id: str, name: str, run: str) -> dict[str, Any]:
    """A file of the worker; empty if it is of an earlier run or not there."""
    content = _read(_folder(store, job_id) / name)
    return content if content.get("run") == run else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(store: Store, job_id: str, name: str, **content: Any) -> None:
    store.write_text(f"jobs/{job_id}/{name}", json.dumps(content, ensure_ascii=False))


def _write_state(store: Store, job_id: str, run: str, state: str, error: str = "") -> None:
    identity = _identity(os.getpid())
    _write(store, job_id, "state.json", run=run, state=state, error=error, at=_now(), **identity)


def _is_cancelled(store: Store, job_id: str, run: str) -> bool:
    try:
        return (_folder(store, job_id) / "cancel").read_bytes() == run.encode("ascii")
    except OSError:
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
