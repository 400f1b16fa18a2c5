"""Parts the experiments share."""
