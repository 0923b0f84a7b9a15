#!/usr/bin/env bash
# Hypothesis 6.170.17: with derandomize=True and no database, what is drawn depends on what other
# modules of the project the process has imported by then.
#
# Hypothesis draws about one value in twenty from constants that it finds in the sources of all
# imported modules that are neither the standard library's nor in site-packages. A test whose seed
# is fixed gets other inputs once an unrelated module has been imported: alone or in a whole run, on
# another worker of pytest-xdist, in another order, with the package installed editable or not. What
# a failure printed may not be drawn again by the same test run alone. Seen 2026-12-01 on Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/pip install -q hypothesis==6.170.17

echo "WORDS = [$(seq -f '"elsewhere-%g",' 1 50 | tr '\n' ' ')]" > elsewhere.py
cat > draws.py <<'PY'
import os
import sys

if "import" in sys.argv:
    import elsewhere  # the function below knows nothing of it

from hypothesis import given, settings, strategies as st

drawn = []


@settings(derandomize=True, database=None, max_examples=300)
@given(st.text())
def collect(text):
    drawn.append(text)


collect()
print(hash(tuple(drawn)), sum(os.environ["WORD"] in text for text in drawn))
PY

export PYTHONHASHSEED=0 WORD=elsewhere-
alone=$(v/bin/python draws.py) again=$(v/bin/python draws.py) beside=$(v/bin/python draws.py import)
echo "alone:                        $alone"
echo "alone, again:                 $again"
echo "with another module imported: $beside"

[ "$alone" = "$again" ] || { echo "derandomized draws differ from run to run"; exit 1; }
[ "$alone" != "$beside" ] || { echo "an imported module no longer changes what is drawn"; exit 1; }
[ "${alone##* }" = 0 ] && [ "${beside##* }" -gt 0 ] || { echo "no constant of that module is drawn"; exit 1; }
