"""What the class images of a split's trainings show."""

from pathlib import Path

from jstyleid_dreambooth.training.job import objects_of
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.split import read_samples


def class_objects(data: Path, split: str, training: TrainingSettings | None) -> tuple[str, ...]:
    """The objects of the whole split, where class images take them; chosen styles share images.

    Raises:
        InputError: a sample image's name does not say its object.
    """
    if training is None or training.prior is None or "{object}" not in training.prior.prompt:
        return ()
    return objects_of(read_samples(data, split))
