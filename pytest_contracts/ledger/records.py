"""What ran, where, with what verdict: one record per item, and the file they are written to."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pytest_contracts.files import write_text
from pytest_contracts.ledger.verdict import PROPERTY_EXAMPLES, Level, Verdict

SCHEMA = "pytest-contracts/ledger/1"
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One item's line in the ledger; plain values only, so that it travels between processes.

    ``where`` is ``path:line:column`` of the claim; ``examples`` and ``compared`` count inputs and
    elements; ``sources`` are SHA-256 digests of what the claim says and of the ``files`` that its
    verdict rests on; ``evidence`` says where and when an EVIDENCED or STALE item held;
    ``formulas`` are what was judged, a template's included; ``guards`` say how many inputs met
    those of a formula or a part of it, and of how many; ``failure`` is the failing comparison
    and ``counterexample`` the inputs behind it, as YAML; ``obligation`` is what a harness proves.
    ``run`` says when the earlier run began that the record is kept from, "" for the ledger's own.
    ``exhausted`` says that the examples are all that there are; ``opened`` are files that the code
    opened, such as tables and weights, whose digests are in ``sources`` too.
    """

    nodeid: str
    contract: str
    claim: str
    kind: str
    implementation: str | None
    parameters: Mapping[str, str]
    verdict: str
    level: str
    examples: int
    duration_s: float
    where: str
    message: str
    status: str = "ACTIVE"
    outcome: str = ""
    compared: int = 0
    ill_conditioned: int = 0
    ran: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    formulas: Sequence[str] = field(default_factory=list)
    guards: Mapping[str, Sequence[int]] = field(default_factory=dict)
    failure: Mapping[str, str] = field(default_factory=dict)
    counterexample: str = ""
    obligation: str | None = None
    run: str = ""
    exhausted: bool = False
    opened: Sequence[str] = ()

    @property
    def rests_on(self) -> tuple[str, ...]:
        """All files that the verdict rests on."""
        return (*self.files, *self.opened)

    @classmethod
    def lost(cls, entry: Mapping[str, Any], message: str = "not selected") -> Record:
        """Return the record of an item of which only its entry is known: nothing judged it."""
        nothing: dict[str, Any] = {
            "implementation": None,
            "parameters": {},
            "examples": 0,
            "duration_s": 0.0,
        }
        fixed = {"verdict": Verdict.LOST.value, "level": Level.TYPED.value, "message": message}
        return cls.from_dict({**nothing, **entry, **fixed})

    @property
    def unheard(self) -> bool:
        """Whether the item was to run, and the run ended without a word on it."""
        return self.verdict == Verdict.LOST.value and not self.outcome

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Return the record that ``as_dict`` wrote; unknown keys are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values."""
        return asdict(self)

    @property
    def verified(self) -> bool:
        """Whether the item counts as verified."""
        return Verdict(self.verdict).verified

    @property
    def properties(self) -> list[tuple[str, object]]:
        """What a JUnit file says of the item, beside its name, outcome and time."""
        named = (("implementation", self.implementation),) if self.implementation else ()
        return [
            ("contract", self.contract),
            ("claim", self.claim),
            *named,
            ("verdict", self.verdict),
            ("level", self.level),
            ("examples", self.examples),
            ("compared", self.compared),
            ("where", self.where),
        ]


class End(StrEnum):
    """How a run ended."""

    COMPLETE = "complete"
    """Every item that was selected has a verdict."""
    RUNNING = "running"
    """It has not ended; where this stays in a file, the process is gone."""
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    """By ``-x``, ``--maxfail`` or a plugin."""
    ERROR = "error"
    INCOMPLETE = "incomplete"
    """By itself, without a word on some of the items."""
    UNKNOWN = "unknown"
    """An older version wrote the ledger."""


@dataclass(frozen=True)
class Unread:
    """A file below a contract directory that is no contract; its claims did not run."""

    path: str
    line: int
    message: str


class Ledger:
    """The records of one run, by node id, in the order in which they came.

    ``device`` and ``commit`` say where and on what it ran, ``files`` are the SHA-256 digests of the
    files that the records name; ``retired`` are contract and claim of what is not collected,
    ``errors`` the files that are no contracts, and ``gates`` what the whole run decided, so that
    ledgers of parts can be merged and decided again. ``end`` says how the run ended, ``partial``
    that a part was all that was wanted; ``unselected`` are entries of the items that were collected
    and left out, ``changed`` the files that are not what they were when they were opened,
    ``uncollected`` the contract files that were not read. ``started`` is when the run
    began, in seconds since the epoch; by default it is now.
    """

    def __init__(self, started: float | None = None) -> None:
        self.device: str | None = None
        self.commit: str | None = None
        self.files: Mapping[str, str] = {}
        self.retired: Sequence[tuple[str, str]] = ()
        self.gates: Sequence[Mapping[str, Any]] = ()
        self.end = End.UNKNOWN
        self.partial = False
        self.changed: Sequence[str] = ()
        self.unselected: Sequence[Mapping[str, Any]] = ()
        self.uncollected: Sequence[str] = ()
        self._records: dict[str, Record] = {}
        self.errors: list[Unread] = []
        self._started = time.time() if started is None else started

    def add(self, record: Record) -> None:
        """Add an item's record; a second one for the same item replaces the first."""
        self._records[record.nodeid] = record

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> tuple[Record, ...]:
        """All records."""
        return tuple(self._records.values())

    def get(self, nodeid: str) -> Record | None:
        """Return an item's record, None where it did not run."""
        return self._records.get(nodeid)

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger as JSON-ready values."""
        return {
            "schema": SCHEMA,
            "run": {
                "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._started)),
                "duration_s": round(time.time() - self._started, 3),
                "machine": f"{platform.system()} {platform.machine()}",
                "device": self.device,
                "commit": self.commit,
                "python": platform.python_version(),
                "versions": dict(_versions()),
                "arguments": sys.argv[1:],
                "end": self.end.value,
                "partial": self.partial,
                "changed": list(self.changed),
                "property_examples": PROPERTY_EXAMPLES,
                "unselected": [dict(entry) for entry in self.unselected],
                "uncollected": list(self.uncollected),
            },
            "files": dict(self.files),
            "retired": [{"contract": name, "claim": claim} for name, claim in self.retired],
            "gates": [dict(gate) for gate in self.gates],
            "items": [record.as_dict() for record in self.records],
            "errors": [asdict(error) for error in self.errors],
        }


def claim_level(records: Iterable[Record]) -> Level:
    """Return the level a claim reached: the lowest among its items that could run here.

    An item that cannot run on this machine says nothing either way.
    """
    levels = [Level(record.level) for record in records if not Verdict(record.verdict).absent]
    return min(levels, default=Level.TYPED)


def write_json(data: Any, path: Path) -> None:
    """Write JSON so that the file is either the old one or the whole new one."""
    write_text(json_text(data), path)


def json_text(data: Any) -> str:
    """Return JSON as the ledger is written; lone surrogates are escaped, since UTF-8 has none."""
    text = json.dumps(data, indent=1, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def text_digest(texts: Sequence[str | None]) -> str:
    """Return the SHA-256 of some texts, order and absence included."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in ("pytest-contracts", "pytest", "hypothesis", "numpy", "numba", "crosshair-tool"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
