"""Texts in which tokenizers differ where they differ at all.

Each has something that a rule of one tokenizer treats apart: runs of blanks, line ends, digits in
groups, contractions, scripts, composed and decomposed characters, joiners, special texts.
"""

from __future__ import annotations

HARD_TEXTS = (
    "What is 2+2?",
    "def f(x):\n\treturn x ** 2  # größer, 日本語, 🙂\n\n",
    "cafe\u0301, not composed; café, composed; ﬁne ligature ① Ⅳ",
    "  two  spaces, I'll don't 1234567 \r\n",
    " ",
    "      six, then\n\n\n   three lines and blanks   \n",
    "\t\ttabs\tand\u00a0hard\u2003spaces\u3000of others",
    "I'M YOU'RE they'LL o'clock 'tis l'été",
    "0 12 345 6789 1,000,000.25 ١٢٣ ४५६ 3½ x²",
    "Ωμέγα Привет мир שלום עולם مرحبا بالعالم नमस्ते สวัสดี 한국어 ქართული",
    "中文没有空格，句子很长。日本語のひらがなとカタカナ",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 e\u0301\u0323 a\u200bzero\u200dwidth\ufeff",
    "snake_case camelCase kebab-case UPPER lower.dotted::path/to\\file",
    "<s>not special?</s> <|im_start|>user <unk> [INST] {{x}} <0x0A>",
    "!!! ??? ... --- *** ### (((nested))) [[[x]]] «quoted» “curly” ‘s",
    "https://example.org/a?b=c&d=%20#e user@example.org C:\\temp\\x.txt",
    "▁ Ġ Ċ ĉ literal marks, and \\n \\t written out",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "∀x ∈ ℝⁿ: ‖x‖₂ ≥ 0 ⟹ ∑ᵢ xᵢ² ≤ ∞; Å≠Å? ﷽",
)
