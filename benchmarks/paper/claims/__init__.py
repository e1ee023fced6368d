"""The claims of the paper and of the notice, each with what was measured and a verdict."""
