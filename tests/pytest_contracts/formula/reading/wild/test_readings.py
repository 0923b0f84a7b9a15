"""What formulas found in the wild mean: readings checked by hand, and those that stay prose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_contracts.errors import FormulaError
from pytest_contracts.formula import parse, render_unicode
from pytest_contracts.formula.reading.wild import read
from pytest_contracts.formula.tree import Call, Words, walk

CORPUS = Path(__file__).parents[4] / "corpus"

READINGS = {
    # Guards and implications, in signs and in words.
    "|GELU_approx(x) - GELU_exact(x)| < ε for |x| < 10": (
        "magnitude(x) < 10 ⟹ |GELU_approx(x) − GELU_exact(x)| < ε"
    ),
    "x ≥ y ⟹ ReLU(x) ≥ ReLU(y)": "x ≥ y ⟹ ReLU(x) ≥ ReLU(y)",
    "h1 < h2 implies m_{h1} > m_{h2}": "h1 < h2 ⟹ m[h1] > m[h2]",
    "bw1 < bw2 -> tok_s(bw1) <= tok_s(bw2)": "bw1 < bw2 ⟹ tok_s(bw1) ≤ tok_s(bw2)",
    "S1 < S2 => kv_total(S1) < kv_total(S2)": "S1 < S2 ⟹ kv_total(S1) < kv_total(S2)",
    "L_new = L_orig → theta' = theta": "L_new = L_orig ⟹ theta_prime = theta",
    "G(S) = 0 iff |unique(S)| = 1": "G(S) = 0 ⟺ magnitude(unique(S)) = 1",
    "∀l: is_attention(l) XOR is_gdn(l)": "∀ l: ¬(is_attention(l) ⟺ is_gdn(l))",
    "sqrt(sigma_B^2 + eps) > 0 when eps > 0": "eps > 0 ⟹ sqrt(sigma_B² + eps) > 0",
    "accuracy = 1, precision = 1, recall = 1, F1 = 1 when ŷ = y": (
        "ŷ = y ⟹ accuracy = 1 ∧ precision = 1 ∧ recall = 1 ∧ F1 = 1"
    ),
    "y.shape = (batch, d_out) for x.shape = (batch, d_in), W.shape = (d_out, d_in)": (
        "shape(x) = [batch, d_in] ∧ shape(W) = [d_out, d_in] ⟹ shape(y) = [batch, d_out]"
    ),
    "tied_lm_head(x, W_embed) = matmul(x, W_separate^T) when W_separate = W_embed": (
        "W_separate = W_embed ⟹ tied_lm_head(x, W_embed) = matmul(x, W_separateᵀ)"
    ),
    "x finite and W_embed finite implies logits finite": (
        "finite(x) ∧ finite(W_embed) ⟹ finite(logits)"
    ),
    "h % n_h == 0 ∧ n_h % n_kv == 0 ∧ d_k % 2 == 0": "h % n_h = 0 ∧ n_h % n_kv = 0 ∧ d_k % 2 = 0",
    # Quantifiers, in front and behind, and what they range over.
    "ReLU(x) ≥ 0 for all x": "∀ x: ReLU(x) ≥ 0",
    "u(uniform(k)) >= u(one_hot(k)) for all k >= 2": ("∀ k: k ≥ 2 ⟹ u(uniform(k)) ≥ u(one_hot(k))"),
    "m_h = 2^(-8h/H) > 0 for all h in {0, ..., H-1}": ("∀ h ∈ 0..H: m[h] = 2**(−8 · h / H) > 0"),
    "E[dropout_train(x, p)] = x for all x, p in [0, 1)": (
        "∀ x: (∀ p: p ∈ [0, 1) ⟹ E(dropout_train(x, p)) = x)"
    ),
    "R² ≤ 1.0 for all y, ŷ with Var(y) > 0": "∀ y: (∀ ŷ: Var(y) > 0 ⟹ R² ≤ 1.0)",
    "J = 0 when xᵢ = μ_{cᵢ} for all i": "(∀ i ∈ 0..len(x): x[i] = μ[c[i]]) ⟹ J = 0",
    "∀i: H(attn_i) <= log(m)": "∀ i ∈ 0..len(attn): H(attn[i]) ≤ log(m)",
    "∀i,j: j > i → mask(i,j) = 0": "∀ i: (∀ j: j > i ⟹ mask(i, j) = 0)",
    "∀l: ||h_l||_inf <= M for finite M": "∀ l ∈ 0..len(h): finite(M) ⟹ norm(h[l], ∞) ≤ M",
    "for all l: shape(block_l(x)) = shape(x)": "∀ l: shape(block(l, x)) = shape(x)",
    "forall t: best_val[t+1] <= best_val[t]": (
        "∀ t ∈ 0..len(best_val) − 1: best_val[t + 1] ≤ best_val[t]"
    ),
    "freq_i > freq_{i+1} for all i": "∀ i ∈ 0..len(freq) − 1: freq[i] > freq[i + 1]",
    "∀i: freq_i > 0 ∧ (i < d/2-1 → freq_i > freq_{i+1})": (
        "∀ i ∈ 0..len(freq): freq[i] > 0 ∧ (i < d / 2 − 1 ⟹ freq[i] > freq[i + 1])"
    ),
    "forall j: r_j <= max_{i in V}(h_{ij})": "∀ j ∈ 0..len(r): r[j] ≤ max(h[i, j] for i in V)",
    "c_i in {0, ..., K-1} for all i": "∀ i ∈ 0..len(c): c[i] ∈ range(K)",
    "x_i > x_j ⟹ σ(x)_i > σ(x)_j": (
        "∀ i ∈ 0..len(x): (∀ j ∈ 0..len(x): x[i] > x[j] ⟹ σ(x)[i] > σ(x)[j])"
    ),
    "h_{l+1} - h_l = sublayer(h_l)": ("∀ l ∈ 0..len(h) − 1: h[l + 1] − h[l] = sublayer(h[l])"),
    "BCE = 0 iff ŷᵢ = yᵢ for all i": "BCE = 0 ⟺ (∀ i ∈ 0..len(ŷ): ŷ[i] = y[i])",
    # What is in words stays in the tree, as words.
    "forall p valid prob vec with |p| >= 2: 0 <= m(p) <= 1": (
        "∀ p ∈ “valid prob vec”: magnitude(p) ≥ 2 ⟹ 0 ≤ m(p) ≤ 1"
    ),
    "forall committee predictions: H_vote >= 0": "“for all committee predictions” ⟹ H_vote ≥ 0",
    "|mean(BN(x)[:, c]) - beta_c| < eps per channel c when gamma=1": (
        "∀ c ∈ “channel”: gamma = 1 ⟹ |mean(BN(x)[:, c]) − beta[c]| < eps"
    ),
    "L_m <= L_{m-1} for each boosting round m": "∀ m ∈ “boosting round”: L[m] ≤ L[m − 1]",
    "G_split(S_L, S_R) ≤ G(S) for any partition": "“for any partition” ⟹ G_split(S_L, S_R) ≤ G(S)",
    "r_i >= 0 for all i at every iteration": ("∀ i ∈ 0..len(r): “at every iteration” ⟹ r[i] ≥ 0"),
    "f(x_{k+1}) <= f(x_k) for all k (with Wolfe line search)": (
        "∀ k ∈ 0..len(x) − 1: “with Wolfe line search” ⟹ f(x[k + 1]) ≤ f(x[k])"
    ),
    "j > i implies scores[i,j] = -inf in causal mode": (
        "∀ i ∈ 0..len(scores): (∀ j ∈ 0..shape(scores)[1]: "
        "“in causal mode” ⟹ j > i ⟹ scores[i, j] = −∞)"
    ),
    "n_h * d_k = 3584 for Qwen2.5-7B": "“for Qwen2.5-7B” ⟹ n_h · d_k = 3584",
    "sum(r_t) = 1 at every iteration": "“at every iteration” ⟹ Σ r_t = 1",
    # Sums, bars, products, sets, numbers.
    "|Σ σ(x)_i - 1.0| < ε": "|sum(σ(x)[i] for i in 0..len(σ(x))) − 1.0| < ε",
    "|CE(t, x) - (-sum(t_i * log_softmax(x)_i))| < eps": (
        "|CE(t, x) − −sum(t[i] · log_softmax(x)[i] for i in 0..len(t))| < eps"
    ),
    "Σ attn_i = 1 for all i": "∀ i ∈ 0..len(attn): sum(attn[i]) = 1",
    "log_softmax(x)_i = x_i - log(sum(exp(x_j)))": (
        "∀ i ∈ 0..len(log_softmax(x)): "
        "log_softmax(x)[i] = x[i] − log(sum(exp(x[j]) for j in 0..len(x)))"
    ),
    "Σᵢⱼ CM[i,j] = n": "sum(CM[i, j] for i in 0..len(CM) for j in 0..shape(CM)[1]) = n",
    "∀i: sum_j(mask(i,j)) <= W": "∀ i: sum(mask(i, j) for j) ≤ W",
    "|F_M(x)| < infinity": "|F_M(x)| < ∞",
    "|base ∪ qk| = 11": "cardinality(union(base, qk)) = 11",
    "∀ arch: base_roles ⊆ required_roles(arch)": (
        "∀ arch: subset(base_roles, required_roles(arch))"
    ),
    "g_k^T * H_k * g_k > 0 (direction has negative dot with gradient)": "g_kᵀ @ H_k @ g_k > 0",
    "∀pos,i: R(pos,i)^T R(pos,i) = I (tolerance 1e-12)": (
        "∀ pos: (∀ i: R(pos, i)ᵀ @ R(pos, i) = I)"
    ),
    "shape(Q @ K^T / √d_k) = [n, m]": "shape(Q @ Kᵀ / √d_k) = [n, m]",
    "||r_{t+1} - r*|| <= ||r_t - r*|| (contraction)": (
        "∀ t ∈ 0..len(r) − 1: ‖r[t + 1] − r_star‖ ≤ ‖r[t] − r_star‖"
    ),
    "||M - M_r||_F <= sigma_{r+1}": "‖M − M_r‖ ≤ sigma[r + 1]",
    "H([c, c, ..., c]) = 0.0 for any constant byte c": (
        "∀ c ∈ “constant byte”: H([c, c, ..., c]) = 0.0"
    ),
    "GQA(kv_heads=num_heads) == MHA(Q, K, V) within tolerance": (
        "GQA(kv_heads=num_heads) ≈ MHA(Q, K, V)"
    ),
    "n_h mod n_kv = 28 mod 4 = 0": "n_h % n_kv = 28 % 4 = 0",
    "d_ff > h, n_kv <= n_h, max_pos > 0": "d_ff > h ∧ n_kv ≤ n_h ∧ max_pos > 0",
    "output.shape[0] == input.shape[0]": "shape(output)[0] = shape(input)[0]",
    "p in [0, 1) — p = 1 would cause division by zero": "p ∈ [0, 1)",
    "attn_{ij} >= 0": "∀ i ∈ 0..len(attn): (∀ j ∈ 0..shape(attn)[1]: attn[i, j] ≥ 0)",
    "a ≤ b AND NOT (c > d) OR e < infinity": "a ≤ b ∧ ¬c > d ∨ e < ∞",
    "α·x^2 + 1e-6 ≥ 0 ∀ x": "∀ x: α · x² + 1e-06 ≥ 0",
    "s̄ = 0 when K < 2": "K < 2 ⟹ s̄ = 0",
}

AMBIGUOUS = {
    "|(AB)C - A(BC)| < ε (within floating point)": "expected",
    "|A(B+C) - AB - AC| < ε": "one name or a product",
    "H(softmax(QK^T/√d_k)) > H(softmax(QK^T)) for large d_k": "may be a product",
    "f(alpha * x) + b = alpha * (x @ W^T) + b": "product of matrices or with a number",
    "forall h in 1..n_periods: |y_hat_{T+h}| < infinity": "not clear",
    "forall Delta_E, T > 0: 0 < P(accept) <= 1": "not clear",
    "A=[m,r], B=[r,n] => A@B=[m,n]": "comma beside an implication",
    "mu_ref = mu_cur implies drift_score = 0 implies NoDrift": "chain of implications",
    "∀i: |sum_j(attn(i,j)) - 1.0| < ε where mask(i,j) = 1": "bound inside the claim",
    "rope_theta > 0 ∧ finite ∧ rms_norm_eps ∈ (0, 0.1)": "claims nothing",
    "|convert(convert(tensor, GGUF→APR), APR→GGUF) - tensor| < ε": "a claim stands where",
    "F <= 2 * P + O(seq_len * d * L)": "order of growth",
    "h_{l+1} - h_l = sublayer(norm(h_l))": "a length or a normalization",
    "|GELU(x) - x| < 0.01 for x > 10 and |GELU(x)| < 0.01 for x < -10": "several conditions",
    "mask_i in {0, 1}, P(mask_i = 1) = 1 - p": "probability of an event",
    "P(Qwen3-8B) in [8.0B, 8.4B]": "neither a number nor a name",
    "NoDrift if score < warn, Warning if warn <= score < drift": "unexpected ','",
    "Σ_{i=1}^{n} x_i = 1": "count from 0 or 1",
    "P(A|B) = 1": "given",
    "y_i = sum(x_i * w_i)": "whether 'i' is summed over",
    "σ(Af+B) ∈ (0, 1) for all f ∈ ℝ": "one name or a product",
    "C^-1 = C": "inverse or a reciprocal",
    "1/2x = 3": "ambiguous",
    "x_i > 0 when m_i = 1 for all i": "not clear",
    "x ≥ 0 for some x": "something else",
    "x > 0 if and only if valid input": "something else",
    "x = 1 when a = 1, y = 2 when b = 2": "unexpected ','",
    "∀ ε > 0: f(ε) > 0": "ε is the tolerance",
}

PROSE = (
    "output is finite",
    "Tiled softmax = full softmax",
    "merged shape == base shape",
    "Trained classifier predicts only observed classes",
    "All (i,j) pairs processed exactly once",
    "Each output row is weighted mean of V rows",
    "BN_eval(x) uses mu_run/sigma_run, not batch statistics",
    "has_bias=false => 0 bias tensors",
    "complete(model, arch) = true => forward(model) produces non-garbage output",
    "α_t ∈ (0, 1) since sigmoid maps ℝ → (0, 1)",
    "Linear in L",
    "sin x = 0",
    "x = f (logits)",
    "finite",
    "softmax(x)",
    "a => b",
    "error < 5%",
    "for all",
    "x > 0 for all",
    "x > 0 because y > 0",
    "",
    "   ",
)


PIPELINE = frozenset((CORPUS / "pipeline").glob("*.yaml"))
KERNELS = frozenset(CORPUS.rglob("*.yaml")) - PIPELINE


def formals(files: Iterable[Path]) -> Iterator[str]:
    for path in sorted(files):
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        for obligation in document.get("proof_obligations") or []:
            if "formal" in obligation:
                yield obligation["formal"]


def test_there_are_sixty_readings() -> None:
    assert len(READINGS) >= 60
    assert len(AMBIGUOUS) >= 10


@pytest.mark.parametrize("text", READINGS)
def test_a_formula_is_read_as_what_it_says(text: str) -> None:
    assert render_unicode(read(text).tree) == READINGS[text]


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_what_could_be_meant_in_two_ways_stays_prose(text: str) -> None:
    with pytest.raises(FormulaError) as caught:
        read(text)
    assert AMBIGUOUS[text] in caught.value.message


@pytest.mark.parametrize("text", PROSE)
def test_prose_stays_prose(text: str) -> None:
    with pytest.raises(FormulaError):
        read(text)


def counted(texts: Iterable[str]) -> tuple[int, int]:
    """Return how many are read as formulas alone, and how many with words."""
    formal = words = 0
    for text in texts:
        try:
            reading = read(text)
        except FormulaError:
            continue
        formal += not reading.words
        words += bool(reading.words)
    return formal, words


@pytest.mark.untraced
def test_four_fifths_of_the_corpus_are_read() -> None:
    found = list(formals(KERNELS))
    assert len(found) == 257
    formal, words = counted(found)
    assert (formal, words) == (156, 56)
    assert (formal + words) / len(found) >= 0.8


def test_the_second_style_is_read_where_it_is_formal() -> None:
    found = list(formals(PIPELINE))
    assert len(found) == 15
    assert counted(found) == (11, 0)


def test_nothing_of_a_condition_is_lost() -> None:
    reading = read("f(x) >= 0 for all bounded x when gamma = 1 after warm-up")
    assert reading.words == ("bounded", "after warm-up")
    assert "gamma = 1" in render_unicode(reading.tree)


def test_remarks_and_tolerances_are_kept_apart_from_the_claim() -> None:
    assert read("x >= 0 (sum of squares)").remark == "sum of squares"
    assert read("R(i) = I (tolerance 1e-12)").tolerance == 1e-12
    loose = read("f(a * x) = a * f(x) within 4 ULP")
    assert (loose.tolerance, loose.in_ulp) == (4.0, True)
    assert render_unicode(loose.tree) == "f(a · x) ≈ a · f(x)"


@pytest.mark.untraced
def test_what_has_no_words_is_a_formula_of_the_strict_notation() -> None:
    checked = 0
    for text in formals(KERNELS | PIPELINE):
        try:
            reading = read(text)
        except FormulaError:
            continue
        # Only the wild notation gives an argument by any name, or a name an overbar.
        named = "\N{COMBINING MACRON}" in text or any(
            isinstance(node, Call) and node.keywords for node in walk(reading.tree)
        )
        if not named and not any(isinstance(node, Words) for node in walk(reading.tree)):
            assert parse(render_unicode(reading.tree)) == reading.tree
            checked += 1
    assert checked > 100
