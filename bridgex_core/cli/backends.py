"""What writes the text of a command: a model of this machine or a server, and its kept results."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bridgex_core.candidates import LocalBackend
from bridgex_core.cli.parser import Arguments, add_device, add_model
from bridgex_core.cli.workspace import Report, stoppable
from bridgex_core.endpoints import Endpoint, connect
from bridgex_core.errors import InputError
from bridgex_core.model_sources import ModelSource, find_model
from bridgex_core.models import DTYPES, load_quietly, resolve_dtype
from bridgex_core.store import Store
from bridgex_core.study import Evaluations, Task, model_identity
from bridgex_core.text_files import read_text
from bridgex_core.xicl import Route

_AUTO = "auto"
_FIXED = "float32"  # stands for either format while nothing has to be computed


def add_backend(parser: Arguments) -> None:
    """--model, --dtype, --device, --server, --server-model and --server-key."""
    add_model(parser)
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default=_AUTO,
        help="number format; auto takes stored results of either, and computes in what this "
        "machine is faster in (default: %(default)s)",
    )
    add_device(parser)
    parser.add_argument(
        "--server",
        metavar="URL",
        help="let a server that speaks OpenAI's protocol write instead, see docs/servers.md",
    )
    parser.add_argument(
        "--server-model",
        metavar="NAME",
        help="which of the server's models (default: the only one)",
    )
    parser.add_argument(
        "--server-key",
        type=Path,
        metavar="FILE",
        help="a text file with the server's key; no option takes the key itself, which everyone on "
        "this machine could then read",
    )


def choose_backend(args: argparse.Namespace, store: Store) -> ModelSource | Endpoint:
    """The server, connected to, or the model, not loaded yet.

    Raises
    ------
    InputError
        The server cannot be used, or the model is not there.
    """
    if args.server:
        for option in ("model", "device"):
            if getattr(args, option):
                raise InputError(f"--{option} is for a model of this machine: leave out --server.")
        key = read_text(args.server_key).strip() if args.server_key else None
        return connect(args.server, args.server_model, api_key=key)
    for option in ("server_model", "server_key"):
        if getattr(args, option):
            raise InputError(f"--{option.replace('_', '-')} is of a server: give --server too.")
    source = find_model(args.model, store.root)
    if not source.fingerprint:
        raise InputError(f"The model {source.title} is not on this machine. {source.how_to_get}")
    return source


def load_backend(args: argparse.Namespace, source: ModelSource) -> LocalBackend:
    """A model of this machine, loaded."""
    dtype = resolve_dtype(args.dtype, source, args.device) if source.installed else args.dtype
    return LocalBackend(load_quietly(source, dtype, args.device))


@dataclass(frozen=True)
class Results:
    """What is kept of a backend, and how to get more.

    Attributes
    ----------
    args : of the command.
    store : where it is kept.
    chosen : the backend.
    """

    args: argparse.Namespace
    store: Store
    chosen: ModelSource | Endpoint

    @property
    def title(self) -> str:
        """The backend's name."""
        return self.chosen.name if isinstance(self.chosen, ModelSource) else self.chosen.title

    @property
    def no_scores(self) -> str | None:
        """Why there are no ranks, as a sentence; None if there are."""
        return self.chosen.no_scores if isinstance(self.chosen, Endpoint) else None

    def kept(self) -> Evaluations:
        """What is kept, of either number format unless one was asked for."""
        if isinstance(self.chosen, Endpoint):
            endpoint = self.chosen
            who = {"server": endpoint.url, "server_model": endpoint.model, "chat": endpoint.chat}
            return Evaluations(self.store, (who,), endpoint.title)
        if self.args.dtype == _AUTO:
            return Evaluations.of_model(self.store, self.chosen, _FIXED)
        identity = model_identity(self.chosen, self.args.dtype)
        return Evaluations(self.store, (identity,), self.chosen.name)

    def uniform(self, work: Sequence[tuple[Task, Route]]) -> Results:
        """The same in one number format: the one that most of some work is kept in, else the
        machine's faster one."""
        if isinstance(self.chosen, Endpoint) or self.args.dtype != _AUTO:
            return self
        faster = resolve_dtype(_AUTO, self.chosen, self.args.device)
        kept = Evaluations.of_model(self.store, self.chosen, faster).uniform(work)
        args = argparse.Namespace(**{**vars(self.args), "dtype": kept.identities[0]["dtype"]})
        return replace(self, args=args)

    def complete(
        self,
        work: Sequence[tuple[Task, Route]],
        report: Report | None,
        cancelled: Callable[[], bool] | None,
    ) -> Evaluations:
        """Compute what is missing of some work, and give what is kept then.

        Raises
        ------
        Cancelled
            It was interrupted or asked to stop; routes that were finished are kept.
        """
        kept = self.kept()
        todo = [(task, route) for task, route in work if not kept.has(task, route)]
        if todo:
            with stoppable():
                self._compute(todo, report, cancelled)
        return kept

    def _compute(
        self,
        work: Sequence[tuple[Task, Route]],
        report: Report | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        if isinstance(self.chosen, Endpoint):
            endpoint = self.chosen
            self.kept().run(work, lambda: endpoint, report=report, cancelled=cancelled)
            return
        local = load_backend(self.args, self.chosen)
        identity = model_identity(self.chosen, local.model.dtype_name)
        running = Evaluations(self.store, (identity,), self.chosen.name)
        running.run(work, lambda: local, report=report, cancelled=cancelled)
