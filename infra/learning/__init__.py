"""Learning from people: each study's classifier is taught, tested, kept, released and gone back to."""
