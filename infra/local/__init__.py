"""Everything on one machine: the stack, the demo, and files coded without a broker."""
