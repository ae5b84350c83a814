"""Several processes that train one model together: each computes a part of every batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn

from goemo_cli.core.arrays import FloatArray, IntArray
from goemo_cli.core.errors import ProcessLostError, TrainingFailedError
from goemo_cli.core.system.variables import environment


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together. One process alone is rank 0 of 1, for which nothing is sent."""

    rank: int = 0
    count: int = 1

    @property
    def is_alone(self) -> bool:
        """Whether no other process takes part."""
        return self.count == 1

    def part(self, rows: IntArray) -> IntArray:
        """The rows of a batch that this process computes; none if the batch is smaller than the number of processes."""
        return rows[self.rank :: self.count]

    def share_weights(self, model: nn.Module) -> None:
        """Give every process the weights of rank 0."""
        if self.is_alone:
            return
        with _lost_peers():
            for tensor in model.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def of_first(self, text: str) -> str:
        """The text of rank 0, for which the others wait.

        Raises:
            ProcessLostError: another process has ended.
        """
        if self.is_alone:
            return text
        texts = [text]
        with _lost_peers():
            distributed.broadcast_object_list(texts, src=0, device=torch.device("cpu"))
        return texts[0]

    def require_equal(self, step: int) -> None:
        """Refuse to continue unless all processes have done the same number of steps.

        Raises:
            TrainingFailedError: they have not.
        """
        if self.is_alone:
            return
        steps = torch.zeros(self.count, dtype=torch.int64)
        steps[self.rank] = step
        with _lost_peers():
            distributed.all_reduce(steps)
        if (steps != step).any():
            raise TrainingFailedError(
                f"the processes of the training begin at different steps: {steps.tolist()}"
            )

    def add_gradients(
        self, parameters: Sequence[nn.Parameter], words: nn.Parameter | None, tokens: IntArray, loss: float
    ) -> float:
        """Add up the gradients of all processes, in place, and their losses.

        A sparse gradient is sent as the rows of the batch's tokens, which every process knows.

        Args:
            parameters: those that are trained, in the same order everywhere.
            words: the word embeddings, if their gradients are sparse.
            tokens: token ids of the whole batch.
            loss: the share of the batch's loss that this process computed.

        Returns:
            The loss of the batch.

        Raises:
            ProcessLostError: another process has ended.
        """
        rows = torch.from_numpy(np.unique(tokens))
        pieces = [_rows_of_gradient(p, rows) if p is words else _gradient(p) for p in parameters]
        flat = torch.cat([*(piece.flatten() for piece in pieces), pieces[0].new_tensor([loss])])
        with _lost_peers():
            distributed.all_reduce(flat)
        sums = torch.split(flat[:-1], [piece.numel() for piece in pieces])
        for parameter, piece, total in zip(parameters, pieces, sums, strict=True):
            whole = total.view_as(piece)
            if parameter is words:
                whole = torch.sparse_coo_tensor(
                    rows[None], whole, parameter.shape, is_coalesced=True, check_invariants=False
                )
            parameter.grad = whole
        return float(flat[-1])

    def add(self, values: FloatArray) -> FloatArray:
        """The sum over all processes of arrays of one shape; for arrays that are zero where others computed.

        Raises:
            ProcessLostError: another process has ended.
        """
        if self.is_alone:
            return values
        total = torch.from_numpy(values.copy())
        with _lost_peers():
            distributed.all_reduce(total)
        found: FloatArray = total.numpy()
        return found


ALONE = Ranks()


@contextmanager
def joined(ranks: Ranks) -> Iterator[None]:
    """Connect the processes for the duration of the block: by gloo on CPUs, by NCCL on GPUs of NVIDIA or AMD.

    Raises:
        ProcessLostError: they do not find each other.
    """
    if ranks.is_alone:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(environment("LOCAL_RANK") or 0))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _lost_peers():
        distributed.init_process_group(backend)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Zeros if this process had no row of the batch."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _rows_of_gradient(parameter: nn.Parameter, rows: Tensor) -> Tensor:
    """The given rows of a sparse gradient, (n_rows, width)."""
    dense = torch.zeros(len(rows), parameter.shape[1], device=parameter.device)
    if parameter.grad is not None:
        gradient = parameter.grad.coalesce()
        is_known = torch.isin(
            gradient.indices()[0].cpu(), rows
        )  # padding, whose gradient is zero, may be missing
        at = torch.searchsorted(rows, gradient.indices()[0].cpu()[is_known])
        dense[at] = gradient.values()[is_known]
    return dense


@contextmanager
def _lost_peers() -> Iterator[None]:
    """Say what it means if an operation in which all processes take part fails.

    Raises:
        ProcessLostError: another process has ended.
    """
    try:
        yield
    except RuntimeError as error:  # gloo and NCCL have no type of error in common
        reason = str(error).strip().partition("\n")[0]
        raise ProcessLostError(f"another process of the training has ended ({reason})") from error
