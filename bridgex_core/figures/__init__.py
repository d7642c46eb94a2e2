"""Results → plotly figures. Pure functions: what is drawn depends on the arguments alone."""

from .atlas import class_layers, neuron_bars, pitfall_points, upset
from .bridges import bridge_graph, bridge_layers, bridge_ranking
from .charts import agreement_curve, fluency_bars, pair_layers, typology_scatter
from .detection import impact_curve, impact_ranks
from .evaluations import SIGNIFICANT, gains_heatmap, route_chart
from .graphs import graph_figure, map_figure
from .heatmap import METRIC_TITLES, spectrum_heatmap
from .matrices import alignment_curve, language_matrix, perplexity_matrix
from .ranker_grids import bridge_places, ranker_agreement
from .robustness import drop_chart
from .theme import ACCENT, DOWNLOAD_CONFIG, MARK, QUALITATIVE, download_config, to_html
from .thought import lens_grid, lens_shares, script_colours, shaded_sentence

__all__ = [
    "ACCENT",
    "DOWNLOAD_CONFIG",
    "MARK",
    "METRIC_TITLES",
    "QUALITATIVE",
    "SIGNIFICANT",
    "agreement_curve",
    "alignment_curve",
    "bridge_graph",
    "bridge_layers",
    "bridge_places",
    "bridge_ranking",
    "class_layers",
    "download_config",
    "drop_chart",
    "fluency_bars",
    "gains_heatmap",
    "graph_figure",
    "impact_curve",
    "impact_ranks",
    "language_matrix",
    "lens_grid",
    "lens_shares",
    "map_figure",
    "neuron_bars",
    "pair_layers",
    "perplexity_matrix",
    "pitfall_points",
    "ranker_agreement",
    "route_chart",
    "script_colours",
    "shaded_sentence",
    "spectrum_heatmap",
    "to_html",
    "typology_scatter",
    "upset",
]
