"""Making room in a folder that holds another training than the one to be done in it."""

import shutil

from jstyleid_core.errors import OutputError
from jstyleid_dreambooth.training.job import TrainingJob


def remove_training(job: TrainingJob) -> None:
    """Remove the job's folder and all that is in it.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        shutil.rmtree(job.folder)
    except OSError as error:
        raise OutputError(
            f"cannot remove {job.folder}: {error.strerror}. Remove it yourself, or choose another "
            "--out."
        ) from error
