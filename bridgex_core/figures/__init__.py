"""Results → plotly figures. Pure functions: what is drawn depends on the arguments alone."""

from .bridges import bridge_graph, bridge_layers, bridge_ranking
from .charts import agreement_curve, fluency_bars, pair_layers, typology_scatter
from .evaluations import gains_heatmap, route_chart
from .graphs import graph_figure, map_figure
from .heatmap import METRIC_TITLES, spectrum_heatmap
from .ranker_grids import bridge_places, ranker_agreement
from .theme import ACCENT, DOWNLOAD_CONFIG, MARK, QUALITATIVE, download_config, to_html

__all__ = [
    "ACCENT",
    "DOWNLOAD_CONFIG",
    "MARK",
    "METRIC_TITLES",
    "QUALITATIVE",
    "agreement_curve",
    "bridge_graph",
    "bridge_layers",
    "bridge_places",
    "bridge_ranking",
    "download_config",
    "fluency_bars",
    "gains_heatmap",
    "graph_figure",
    "map_figure",
    "pair_layers",
    "ranker_agreement",
    "route_chart",
    "spectrum_heatmap",
    "to_html",
    "typology_scatter",
]
