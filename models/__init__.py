"""Decisions, and the models that they need. Pure: no broker, no store, no tensor library at import."""
