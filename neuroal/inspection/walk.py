"""One walk over the dense and the pruned model of a run, which tells of every linear what its input lost."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from torch import Tensor, nn

from neuroal.alignment import Compared, walk
from neuroal.blocks import DecoderStack, Linear
from neuroal.calibration import calibration_tokens
from neuroal.inspection.record import Inspected, Seen
from neuroal.models.loading import LanguageModel
from neuroal.pruners import PRUNERS
from neuroal.rows import Alignment, consumer_of, driven
from neuroal.runs.events import Evaluated
from neuroal.runs.spec import RunSpec

METRIC = "inspection"


def iter_inspect(spec: RunSpec, lm: LanguageModel, twin: nn.Module) -> Generator[Evaluated, None, Inspected]:
    """Compares every linear's input as the alignment score does, on the run's own calibration sequences.

    Args:
        lm: the dense model; not written to.
        twin: the run's pruned model; not written to.

    Yields:
        Evaluated after each block.

    Raises:
        UserError: the calibration text cannot be had, or as ``DecoderStack.capture``.
    """
    text = spec.text if spec.source == "own" else ""
    tokens: Tensor = calibration_tokens(lm.tokenizer, spec.source, spec.samples, spec.length, spec.seed, text)
    stack, blocks = DecoderStack(lm.model), []
    with closing(walk(stack, twin, tokens, PRUNERS.get(spec.pruner)().norms)) as walking:
        for found in walking:
            blocks.append(found)
            yield Evaluated("chosen", len(blocks), len(stack), METRIC)
    return Inspected(_seen(stack, blocks, spec.gqa), *tokens.shape)


def _seen(stack: DecoderStack, blocks: list[Compared], gqa: str) -> tuple[Seen, ...]:
    alignment: Alignment = {linear.path: lost for block in blocks for linear, lost in block.lost.items()}
    drivers = {linear.path: driver for _, linear, driver in driven(stack, alignment, gqa)}
    seen = []
    for b, (linears, found) in enumerate(zip(stack.linears, blocks, strict=True)):
        norms = [[norm.float().cpu().numpy() for norm in side] for side in (found.dense, found.pruned)]
        groups = {linear: g for g, group in enumerate(stack.groups[b]) for linear in group}
        for linear in linears:
            g, (rows, columns) = groups.get(linear), linear.weight.shape
            bare = Seen(b, linear.name, linear.path, rows, columns, linear.transposed)
            if g is None:
                seen.append(bare)
                continue
            dense, pruned = (side[g] for side in norms)
            reader = _reader(stack, b, stack.groups[b][g])
            whole = (g, found.terms[linear], reader, dense, pruned, drivers.get(linear.path))
            seen.append(Seen(b, linear.name, linear.path, rows, columns, linear.transposed, *whole))
    return tuple(seen)


def _reader(stack: DecoderStack, b: int, group: tuple[Linear, ...]) -> str:
    consumer = consumer_of(stack, b, group)
    return consumer.path if consumer is not None else ""
