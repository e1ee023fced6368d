"""Learning from people: each study's classifier is taught, tested, kept, released and gone back to.

In reading order. What decides is in ``models``: ``labelled`` (what is taught), ``promotion`` (the gate), ``retraining``
(when), ``serving`` (which release, and its guesses), ``querying`` and ``stopping`` (what next, and whether at all).

- ``running`` is the role: what a trainer reads first and is made of. ``trainer`` is its work, batch by batch;
  ``background`` the thread beside it, ``attempts`` what it remembers over a restart.
- ``workshop`` fits heads and tunes bodies, ``vectors`` keeps embeddings on disk, ``candidates`` tests what was taught,
  and tells whether more labels still change it.
- ``checkpoints`` writes and verifies what lies on disk. ``releasing`` makes a release of a candidate, says which one
  serves and goes back to an earlier one; ``loading`` opens a release for coders and router.
- ``asking`` chooses what people should see next.
- ``logbook`` writes trainings to MLflow through ``tracking``.
- ``reporting`` is what a lead sees of it all, on the page and in ``learn status``; ``explaining`` says which words
  decided. ``commands`` is ``qualstream learn``.
- The experiment, apart from all that: ``simulating``, its ``learners``, and ``simulation_*``.
"""
