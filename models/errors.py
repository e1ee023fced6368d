"""The error tree, split by who has to act.

QualstreamError
  +-- SettingError       the operator: a setting, a profile, a file that is not as it must be
  +-- InputError         the user: a file or a record that cannot be taken
  |     +-- UncodableError    one segment that no model could code; it becomes a dead letter
  +-- UnavailableError   nobody: a broker, store or server is away; wait and try again
  |     +-- SpareError        nobody: another worker does what this one would; it waits to take its place
  +-- WorkerFault        the developer: something unexpected; the worker stops before it acknowledges
"""


class QualstreamError(Exception):
    """Any error that Qualstream itself raises. Its message says what was found, what was expected, what to do."""


class SettingError(QualstreamError):
    """A setting, profile or installation that is not as it must be. Exit status 2."""


class InputError(QualstreamError):
    """A file or record that cannot be taken. Exit status 1."""


class UncodableError(InputError):
    """One segment that cannot be coded, although it could be read."""


class UnavailableError(QualstreamError):
    """A broker, store or model server that does not answer now."""


class SpareError(UnavailableError):
    """Another worker does what this one is for, and only one may at a time: this one is a spare."""


class WorkerFault(QualstreamError):
    """Something unexpected inside a worker; what was read is not acknowledged and will be read again."""
