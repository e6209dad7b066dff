"""Which files an order reads, and where what it makes belongs, for workers on other machines."""

from typing import assert_never

from jstyleid_runner.orders import (
    ClassImageOrder,
    ClassLatentsOrder,
    DrawOrder,
    InvertOrder,
    Order,
    StyliseOrder,
    TrainOrder,
)
from jstyleid_runner.scheduling.executor import Freight


def freight_of(order: Order) -> Freight:
    """The files of an order."""
    match order:
        case ClassImageOrder():
            return Freight()
        case ClassLatentsOrder():
            return Freight(once=order.images)
        case TrainOrder():
            job = order.training
            samples = tuple(image for style in job.styles for image in style.images)
            latents = (job.class_latents,) if job.class_latents else ()
            # Its last checkpoint goes there, and each new one comes back.
            return Freight(read=(*samples, *latents), folders=(job.folder,))
        case InvertOrder():
            return Freight(read=(order.reference,), held=(order.kept,) if order.kept else ())
        case DrawOrder():
            return Freight(read=(*((order.lora,) if order.lora else ()), *order.start))
        case StyliseOrder():
            style = freight_of(order.style)
            return Freight(style.read, (order.content, *order.company), held=style.held)
        case _:
            assert_never(order)
