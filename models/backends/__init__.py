"""The only home of torch: coders, moderators and embedders that run, or call, a real model."""

import os

# Threads of OpenMP that wait by spinning take the core from the next role's threads: with two model processes on two
# cores a batch took up to six times as long. It is read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
