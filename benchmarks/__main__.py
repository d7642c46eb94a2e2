"""Run every benchmark; exit 1 when a promised ratio is missed."""

import sys

from benchmarks import (
    collection,
    generation,
    hsic_pairs,
    interventions,
    neuron_classes,
    probe,
    spectra,
)
from benchmarks.measure import Report

report = Report()
spectra.main(report)
neuron_classes.main(report)
hsic_pairs.main(report)
collection.main(report)
probe.main(report)
generation.main(report)
interventions.main(report)
sys.exit(report.finish())
