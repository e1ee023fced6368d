"""Commands that measure and watch: codes against people, coders against each other, groups, and changes over time."""
