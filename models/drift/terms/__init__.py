"""Words and codes counted one by one: which rose, for good or for a day, and what is new in some texts."""
