"""Results → plotly figures. Pure functions: what is drawn depends on the arguments alone."""

from .charts import agreement_curve, fluency_bars, pair_layers, typology_scatter
from .graphs import graph_figure, map_figure
from .heatmap import METRIC_TITLES, spectrum_heatmap
from .theme import ACCENT, DOWNLOAD_CONFIG, MARK, QUALITATIVE, download_config, to_html

__all__ = [
    "ACCENT",
    "DOWNLOAD_CONFIG",
    "MARK",
    "METRIC_TITLES",
    "QUALITATIVE",
    "agreement_curve",
    "download_config",
    "fluency_bars",
    "graph_figure",
    "map_figure",
    "pair_layers",
    "spectrum_heatmap",
    "to_html",
    "typology_scatter",
]
