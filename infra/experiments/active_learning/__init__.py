"""Active learning, simulated on data that people labelled."""
