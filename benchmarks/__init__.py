"""How fast it goes, measured: transport with stub models, and coding with real ones."""
