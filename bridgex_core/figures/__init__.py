from .heatmap import spectrum_heatmap
