"""Proofs of what is refuted: what becomes of the records."""

from __future__ import annotations

from pytest_contracts.ledger.contradictions import contradicted, without_contradictions
from pytest_contracts.ledger.records import Record


def record(name: str, verdict: str, *, kind: str = "obligation", **more: object) -> Record:
    plain: dict[str, object] = {
        "nodeid": f"c.yaml::{name}", "contract": "c", "claim": name.partition("[")[0], "kind": kind,
        "implementation": None, "parameters": {}, "verdict": verdict, "level": "L4",
        "examples": 0, "duration_s": 0.0, "where": "c.yaml:1:1", "message": "all", **more,
    }  # fmt: skip
    return Record(**plain)  # type: ignore[arg-type]


def settled(*records: Record) -> dict[str, str]:
    found = without_contradictions({r.nodeid: r for r in records})
    return {nodeid.partition("::")[2]: r.verdict for nodeid, r in found.items() if contradicted(r)}


def proof(name: str = "K", verdict: str = "CONFIRMED", of: str | None = "A") -> Record:
    return record(name, verdict, kind="harness", obligation=of)


def test_a_proof_of_what_is_refuted_is_inconclusive_and_failed():
    refuted = record("A[cpu]", "FALSIFIED", outcome="xfailed")
    found = without_contradictions({r.nodeid: r for r in (proof(), refuted)})["c.yaml::K"]
    assert (found.verdict, found.level, found.outcome) == ("INCONCLUSIVE", "L1", "failed")
    assert found.message.startswith("contradiction: CONFIRMED all, but A[cpu] is FALSIFIED")


def test_two_harnesses_of_one_obligation_contradict_each_other():
    assert settled(proof(), proof("L", "FALSIFIED")) == {"K": "INCONCLUSIVE"}


def test_what_is_no_contradiction():
    falsified = record("A", "FALSIFIED")
    assert not settled(proof(of="B"), falsified)
    assert not settled(proof(of=None), falsified)
    assert not settled(proof(), record("A", "HELD"))
    assert not settled(proof(verdict="INCONCLUSIVE"), falsified)
    assert not settled(proof("K[1]"), proof("K[2]", "FALSIFIED"))
    assert not settled(proof(), record("A", "FALSIFIED", contract="other"))
    assert not settled(proof(), record("A", "FALSIFIED", kind="gate"))
