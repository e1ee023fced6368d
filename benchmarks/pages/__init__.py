"""The pages under docs/results, drawn from what the benchmarks measured."""
