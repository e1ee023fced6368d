"""Pages that change many codes at once."""
