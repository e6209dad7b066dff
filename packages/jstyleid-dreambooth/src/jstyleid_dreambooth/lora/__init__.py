"""Low-rank adaptation (Hu et al., arXiv 2106.09685) of the UNet and the text encoder.

What is pure data (weights, settings, targets, initial values, fitting, files) needs numpy only;
`layout`, `adapter`, `merging` and `attached` compute, and so start Jittor.
"""
