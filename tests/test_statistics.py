"""What is gathered of inputs: by hand, against its formula, and whatever the batching."""

from __future__ import annotations

import pytest
import torch
from packaging.version import Version

from neuroal.statistics import FadingNorm, Gathered, Gram, InputNorm, Moments, PooledMoments, column_norms


def test_norm_by_hand() -> None:
    """Two sequences of two tokens: s = mean over sequences of the sum over tokens of squares."""
    gathered = InputNorm()
    gathered.update(torch.tensor([[[1.0, 0.0], [1.0, 2.0]], [[3.0, 0.0], [1.0, 0.0]]]))
    # feature 0: (1 + 1 + 9 + 1) / 2 = 6; feature 1: (0 + 4 + 0 + 0) / 2 = 2
    assert gathered.norm.tolist() == pytest.approx([6**0.5, 2**0.5], rel=1e-6)
    assert gathered.sequences == 2


def test_batching_changes_no_bit() -> None:
    inputs = torch.randn(6, 9, 5)
    together, alone = InputNorm(), InputNorm()
    together.update(inputs)
    for sequence in inputs:
        alone.update(sequence)
    assert torch.equal(together.norm, alone.norm)


def test_half_precision_is_summed_in_float32() -> None:
    gathered = InputNorm()
    gathered.update(torch.full((1, 4096, 1), 300.0, dtype=torch.float16))  # 300² * 4096 overflows float16
    assert gathered.norm.dtype == torch.float32
    assert gathered.norm.item() == pytest.approx(300 * 64)


def test_nothing_gathered_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="No input"):
        _ = InputNorm().norm


def test_early_sequences_dominate_the_fading_norm() -> None:
    """Sums of squares 4 and 16 weigh 2 and 1: (2 * 4 + 1 * 16) / 2 = 12; a third of 9 weighs 2/3: (8 + 16 + 6) / 3."""
    gathered = FadingNorm()
    gathered.update(torch.tensor([[[2.0], [0.0]], [[0.0], [4.0]]]))
    assert gathered.norm.item() == pytest.approx(12**0.5)
    gathered.update(torch.tensor([[3.0]]))
    assert gathered.norm.item() == pytest.approx(10**0.5)


def test_the_gram_matrix_is_its_formula() -> None:
    inputs = torch.randn(5, 7, 3)
    gathered = Gram()
    gathered.update(inputs)
    expected = 2 / 5 * sum(x.double().t() @ x.double() for x in inputs)
    assert torch.allclose(gathered.gram.double(), expected, rtol=1e-5)


def test_moments_by_hand() -> None:
    """Means of sums over tokens; variances within each sequence, weighted by its tokens: (2 * 1 + 4 * 4) / 6."""
    gathered = Moments()
    gathered.update(torch.tensor([[1.0], [3.0]]))  # sum 4, variance 1
    gathered.update(torch.tensor([[10.0], [10.0], [14.0], [14.0]]))  # sum 48, variance 4
    assert gathered.mean.item() == pytest.approx(26)
    assert gathered.variance.item() == pytest.approx(3)


@pytest.mark.parametrize("offset", [0.0, 1e4], ids=["centred", "far from zero"])
def test_the_pooled_variance_is_that_of_all_tokens(offset: float) -> None:
    """Sequences of several lengths, each around another mean: what the original leaves out."""
    sequences = [torch.randn(length, 4) + shift + offset for length, shift in ((3, 0), (1, 5), (11, -2), (6, 3))]
    gathered = PooledMoments()
    for x in sequences:
        gathered.update(x)
    together = torch.cat(sequences)
    assert torch.allclose(gathered.variance, torch.var(together.double(), 0, unbiased=False).float(), rtol=1e-3)
    assert torch.allclose(gathered.mean, together.sum(0) / 4, rtol=1e-5)


@pytest.mark.parametrize(
    ("statistic", "offers"),
    [(FadingNorm, "norm"), (Gram, "gram"), (Moments, "mean"), (Moments, "variance"), (PooledMoments, "variance")],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batching_changes_nothing(statistic: type, offers: str, dtype: torch.dtype) -> None:
    inputs = torch.randn(6, 9, 5).to(dtype)
    together, alone = statistic(), statistic()
    together.update(inputs)
    for sequence in inputs:
        alone.update(sequence)
    assert getattr(together, offers).dtype == torch.float32
    assert torch.equal(getattr(together, offers), getattr(alone, offers))


def test_what_is_gathered_together_is_found_by_its_name() -> None:
    inputs, parts = torch.randn(2, 3, 4), (Gram(), InputNorm(), Moments())
    gathered = Gathered(*parts)
    gathered.update(inputs)
    assert gathered.gram is parts[0].gram and gathered.mean is parts[2].mean
    assert torch.equal(gathered.norm, parts[1].norm)
    with pytest.raises(AttributeError, match="median"):
        _ = gathered.median


@pytest.mark.skipif(Version(torch.__version__) < Version("2.13"), reason="torch 2.6 adds up in another order.")
@pytest.mark.parametrize("shape", [(8, 128, 576), (3, 77, 64), (1, 5, 13), (2, 1, 7)])
def test_norms_have_the_bits_of_torchs_own_kernel(shape: tuple[int, ...]) -> None:
    """The reference's figures hang on the last bits; numpy is only faster."""
    inputs = torch.randn(*shape) * torch.rand(shape[-1]) * 10
    assert torch.equal(column_norms(inputs), torch.linalg.vector_norm(inputs, dim=1))
    strided = inputs.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(column_norms(strided), torch.linalg.vector_norm(inputs, dim=1))


@pytest.mark.parametrize("kind", [InputNorm, FadingNorm])
def test_a_batch_at_a_time_is_the_same_mean(kind: type[InputNorm]) -> None:
    """As it is gathered on a GPU, where each step is a launch."""
    one_by_one, batched, inputs = kind(), kind(), torch.randn(5, 6, 7)
    one_by_one.update(inputs)
    for part in inputs.split(2):
        batched._take(column_norms(part).square())
    assert batched.sequences == one_by_one.sequences == 5
    torch.testing.assert_close(batched.norm, one_by_one.norm)
