"""The grid of "Principled Interpolation in Normalizing Flows" (arXiv 2010.12059): priors, paths, seeds."""
