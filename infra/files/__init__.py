"""Files in and out: segments, coded texts, gold, exports."""
