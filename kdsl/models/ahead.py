"""Results made in a thread while the ones before them are used: a batch is laid out while the model runs another."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

Made = TypeVar("Made")


def ahead(made: Iterator[Made]) -> Iterator[Made]:
    """The same results in the same order; one is always in the making. What making one raises is raised here."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, made, end)
        while (here := coming.result()) is not end:
            coming = thread.submit(next, made, end)
            yield here  # type: ignore[misc]


class Coming:
    """A tensor on its way to the CPU, while a GPU goes on with what it was given since."""

    def __init__(self, values: "torch.Tensor") -> None:
        import torch

        self._values, self._done = values, None
        if values.device.type == "cuda":
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._done.record(torch.cuda.current_stream(values.device))

    def read(self) -> Any:
        """The values as an array, waited for."""
        if self._done is not None:
            self._done.synchronize()
        return self._values.numpy()
