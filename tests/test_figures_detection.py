"""Structure of the figures on detection; how they look is for eyes."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bridgex_core.errors import InputError
from bridgex_core.figures import impact_curve, impact_ranks

CURVE = pd.DataFrame(
    {
        "layer": range(3),
        "mean": [0.8, 0.2, np.nan],
        "lowest": [0.6, -0.1, np.nan],
        "highest": [0.9, 0.4, np.nan],
        "language": [0.7, 0.3, np.nan],
    }
)


def named(figure: go.Figure, name: str) -> go.Figure:
    return next(trace for trace in figure.data if trace.name == name)


def test_ranks_show_every_count_where_it_belongs() -> None:
    counts = np.arange(16).reshape(4, 4)
    figure = impact_ranks(counts)
    trace = named(figure, "neurons")
    np.testing.assert_array_equal(trace.z, counts)
    np.testing.assert_allclose(trace.x, [12.5, 37.5, 62.5, 87.5])
    np.testing.assert_allclose(trace.y, trace.x)
    assert list(trace.customdata[0][3]) == ["0 to 25 %", "75 to 100 %"]  # impact, probability
    assert figure.layout.yaxis.title.text == "Rank by impact"
    assert "8" in trace.colorbar.title.text  # the mean: 120 neurons in 16 cells
    assert trace.zmin == 0
    with pytest.raises(InputError, match="square"):
        impact_ranks(counts[:2])


def test_the_curve_has_range_mean_and_language() -> None:
    figure = impact_curve(CURVE, "<b>Mine")
    assert list(named(figure, "mean of the languages").y[:2]) == [0.8, 0.2]
    assert list(named(figure, "&lt;b&gt;Mine").y[:2]) == [0.7, 0.3]
    band = named(figure, "from the lowest to the highest language")
    assert list(band.x) == [0, 1, 2, 2, 1, 0]
    np.testing.assert_array_equal(band.y, [0.9, 0.4, np.nan, np.nan, -0.1, 0.6])
    low, high = figure.layout.yaxis.range
    assert low < -0.1
    assert high > 0.9
