"""``atlas``: what the neurons do, an analysis a subcommand."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from bridgex_core.cli import (
    atlas_alignment,
    atlas_detection,
    atlas_files,
    atlas_interventions,
    atlas_lens,
    atlas_statistics,
)
from bridgex_core.cli.parser import add_common

_Add = Callable[[argparse.ArgumentParser], None]
_Run = Callable[[argparse.Namespace], None]

ANALYSES: dict[str, tuple[str, _Add, _Run]] = {
    "lape": (
        "classes of neurons by LAPE, and the neurons specific to each language",
        atlas_statistics.add_lape,
        atlas_statistics.run_lape,
    ),
    "sharing": (
        "classes of neurons by the parallel inputs on which languages share them",
        atlas_statistics.add_sharing,
        atlas_statistics.run_sharing,
    ),
    "agreement": (
        "how far LAPE, sharing and the sets of most active neurons agree, class by class",
        atlas_statistics.add_agreement,
        atlas_statistics.run_agreement,
    ),
    "alignment": (
        "how alike parallel text looks inside the model, by layer",
        atlas_alignment.add_alignment,
        atlas_alignment.run_alignment,
    ),
    "lens": (
        "what each layer would say after a prompt, and in which script",
        atlas_lens.add_lens,
        atlas_lens.run_lens,
    ),
    "intervene": (
        "what changing languages' neurons does to the perplexity of every language",
        atlas_interventions.add_intervene,
        atlas_interventions.run_intervene,
    ),
    "translate": (
        "how words are translated, and in which language, with neurons changed",
        atlas_interventions.add_translate,
        atlas_interventions.run_translate,
    ),
    "detection": (
        "the neurons of highest impact, against the most active ones",
        atlas_detection.add_detection,
        atlas_detection.run_detection,
    ),
    "import": (
        "neuron sets or activation statistics from files, kept under a name",
        atlas_files.add_import,
        atlas_files.run_import,
    ),
    "export": (
        "neuron sets or activation statistics into files",
        atlas_files.add_export,
        atlas_files.run_export,
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The analyses, each with its options and the common ones."""
    analyses = parser.add_subparsers(dest="analysis", metavar="ANALYSIS", required=True)
    for name, (summary, add, run_analysis) in ANALYSES.items():
        analysis = analyses.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
        )
        add(analysis)
        add_common(analysis)
        analysis.set_defaults(analyse=run_analysis)


def run(args: argparse.Namespace) -> None:
    """Run the analysis that was named."""
    args.analyse(args)
