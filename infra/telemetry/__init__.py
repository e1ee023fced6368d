"""How a running system is watched: metrics, traces, logs. Nothing here knows what a segment says."""
