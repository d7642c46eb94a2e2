"""Structure of the figures of evaluations; how they look is for eyes."""

import numpy as np
import pandas as pd
import pytest

from bridgex_core.errors import InputError
from bridgex_core.figures import SIGNIFICANT, gains_heatmap, route_chart
from bridgex_core.languages import register

REGISTER = register()
IND, SWH, ENG, DEU = "ind_Latn", "swh_Latn", "eng_Latn", "deu_Latn"


@pytest.fixture
def table() -> pd.DataFrame:
    nan = float("nan")
    values = {
        "source": [IND] * 3,
        "target": [SWH] * 3,
        "bridge": ["", ENG, DEU],
        "accuracy": [0.10, 0.30, 0.05],
        "low": [0.05, 0.2, 0.0],
        "high": [0.15, 0.4, 0.1],
        "difference": [nan, 0.2, -0.05],
        "difference_low": [nan, 0.1, -0.1],
        "difference_high": [nan, 0.3, 0.0],
        "p_value": [nan, 0.001, 0.4],
        "p_holm": [nan, 0.002, 0.4],
    }
    return pd.DataFrame(values)


def named(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_routes_stand_with_direct_first_then_the_best(table):
    figure = route_chart(table, "accuracy", REGISTER)
    points = named(figure, "routes")
    assert list(points.y) == ["", ENG, DEU]
    assert list(points.x) == [10, 30, 5]
    np.testing.assert_allclose(points.error_x.array, [5, 10, 5])
    np.testing.assert_allclose(points.error_x.arrayminus, [5, 10, 5])
    (line,) = figure.layout.shapes
    assert (line.x0, line.x1) == (10, 10)
    assert list(figure.layout.yaxis.ticktext) == ["direct", "via English", "via German"]


def test_a_measure_that_is_not_there(table):
    with pytest.raises(InputError, match="no mean reciprocal rank"):
        route_chart(table, "mrr", REGISTER)


def test_gains_by_pair_and_bridge(table):
    pairs, bridges = [(ENG, SWH), (IND, SWH)], [DEU, ENG]
    figure = gains_heatmap(table, "accuracy", pairs, bridges, REGISTER)
    traces = [trace for trace in figure.data if trace.name.startswith("gains")]
    shown = np.array(traces[0].z, dtype=float)
    shown[np.isnan(shown)] = np.array(traces[1].z, dtype=float)[np.isnan(shown)]
    assert np.isnan(shown[0]).all()
    assert shown[1].tolist() == [-5, 20]
    texts = ["".join(trace.text[1][column] for trace in traces) for column in (0, 1)]
    assert texts == ["−5.0", f"+20.0{SIGNIFICANT}"]
    grey = np.array(named(figure, "not measured").z, dtype=float)
    np.testing.assert_array_equal(np.isnan(grey), ~np.isnan(shown))
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-20, 20)
    cells = named(figure, "cells")
    assert [(x, y) for x, y in zip(cells.x, cells.y, strict=True)] == [
        (ENG, f"{IND} {SWH}"),
        (DEU, f"{IND} {SWH}"),
    ]
    assert "Kiswahili" in cells.customdata[0][0]
    assert "direct 10.0" in cells.customdata[0][0]


def test_gains_of_nothing(table):
    figure = gains_heatmap(table, "mrr", [(IND, SWH)], [ENG], REGISTER)
    assert not named(figure, "cells").x
    assert figure.layout.coloraxis.cmax == 2
