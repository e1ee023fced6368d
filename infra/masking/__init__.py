"""Personal data at intake: masked before anything is kept, with the originals encrypted where there is a key."""
