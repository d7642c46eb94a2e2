"""Run every benchmark; exit 1 when a promised ratio is missed."""

import sys

from benchmarks import collection, hsic_pairs, spectra
from benchmarks.measure import Report

report = Report()
spectra.main(report)
hsic_pairs.main(report)
collection.main(report)
sys.exit(report.finish())
