"""People's side: what they are asked, what they decide, how far they agree."""
