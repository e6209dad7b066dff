"""The mathematics of diffusion: schedule, predictions, DDIM steps up and down. No networks here."""
