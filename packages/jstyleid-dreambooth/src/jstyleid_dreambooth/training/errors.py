"""What can go wrong in a training that the user's input is not to blame for."""

from jstyleid_core.errors import JStyleIDError


class TrainingError(JStyleIDError):
    """A training cannot go on; its last good checkpoint is kept."""
