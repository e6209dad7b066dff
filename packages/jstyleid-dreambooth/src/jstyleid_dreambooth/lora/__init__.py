"""Low-rank adaptation (Hu et al., arXiv 2106.09685) of the UNet and the text encoder.

Pure data (`weights`, `initial`, `files`) needs numpy only; `layers` and `loras` compute, and so
start Jittor.
"""
