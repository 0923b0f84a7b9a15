"""The table that the compiled executor reads: one row of int64 per operation, and what they mean.

An entry is a row LINEAR, a row GATED with the two LINEAR rows of its matrices, or a row GROUP with
the rows of its parts. All threads walk the entries together; before one with WAIT they meet.

Buffers are float32 matrices given by address and WIDTH, the floats from one row to the next. Which
row of a buffer belongs to a token is said by its AT column: ROW the token's own; OWN one that is
the thread's alone (a lone token is normed and rounded by every thread for itself, which saves a
meeting); DENSE the place among the tokens whose logits are wanted.
"""

from __future__ import annotations

COLUMNS = 21

# Every entry.
OP, WAIT, LAST, OWN_ROWS, CHUNK = range(5)

# GROUP: unit u is part u mod PARTS of token u div PARTS; COUNT rows follow, done unit by unit.
PARTS, COUNT = 5, 6

# LINEAR. FIX are the corrections, FIX_BYTES of them per block; TARGET, if any, is added to.
# MATRIX counts calls, SHAPE the kernels that ran.
KERNEL, PACKED, BLOCKS, GROUPS, Q, SCALES, FIX, FIX_BYTES = range(5, 13)
OUT, WIDTH, TARGET, TARGET_WIDTH, MATRIX, SHAPE = range(13, 19)

# GATED uses GROUPS, OUT and WIDTH, too.

# Parts: a unit has X_SIZE floats of X and Y_SIZE floats of Y.
X, X_WIDTH, X_SIZE, X_AT = range(5, 9)
Y, Y_WIDTH, Y_SIZE, Y_AT = range(9, 13)
PARAMETER = 13  # address of a vector; NORM, BIAS
HEAD = 14  # elements of a head: ROPE, REMEMBER, ATTEND; length of the vector: NORM
REAL = 15  # a float64: eps of NORM, factor of SCALE
ANGLES = 16  # ROPE: which pair of tables
NEOX = 17  # ROPE
OPENER = 17  # GATE: as CODE of GATED
LAYER = 13  # REMEMBER, ATTEND
WINDOW = 16  # ATTEND; 0: none
ROUND_Q, ROUND_SCALES, ROUND_BLOCKS, ROUND_AT = 13, 14, 15, 16  # QUANTIZE, CORRECT
FORM, FACTOR, FIXES = 17, 18, 19  # CORRECT

# The address of the compiled function that does it: a kernel of LINEAR, what opens GATED, a part.
CODE = 20

LINEAR, GATED, GROUP = range(3)
NORM, BIAS, SCALE, ROPE, REMEMBER, ATTEND, GATE, ADD, QUANTIZE, CORRECT = range(10, 20)
ROW, OWN, DENSE = range(3)

APART_ROWS = 8
"""Rows between those that threads own, so that they share no cache line."""

# The frame: what changes from run to run.
(
    TOKENS, WANTED, WANTED_ROWS, TEXTS, OUTPUT, SCRATCH, SCRATCH_BYTES,
    ATTENTION, ATTENTION_BYTES, ATTENTION_WIDTH, CALLS, TALLY, TIMES, CLOCK, BEGIN, END, TAPS,
    TAP_COLUMNS_CODE, TAP_PART_CODE, TABLES,
) = range(20)  # fmt: skip
FRAME = TABLES + 2 * 8
MAX_TABLES = 8

# TEXTS points to one row of int64 per token: its position and where its text's past lies.
POSITION, KEYS, VALUES, LAYER_KEYS, LAYER_VALUES, HEAD_KEYS, HEAD_VALUES = range(7)
PLACE = 8

# TAPS points to one row of int64 per row of the table, or is 0 where nobody watches: where to copy
# what the row has just written, as float32 matrices [tokens, width]. TAP is its output; TAP_TARGET
# the sum that a LINEAR row adds to. An ATTEND row has its scores and weights, [heads, tokens, keys]
# from key TAP_FIRST on.
TAP, TAP_WIDTH, TAP_TARGET, TAP_TARGET_WIDTH = range(4)
TAP_SCORES, TAP_WEIGHTS, TAP_KEYS, TAP_FIRST = range(4, 8)
TAP_COLUMNS = 8
