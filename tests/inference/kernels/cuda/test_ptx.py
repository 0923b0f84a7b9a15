from __future__ import annotations

import pytest

from inference.kernels.cuda.ptx import parse_ptx

MODULE = """
.version 8.5
.target sm_90
.address_size 64

.visible .entry one(
\t.param .u64 one_param_0,
\t.param .u32 one_param_1
)
.maxntid 256, 1, 1
{
\t.reg .b32 %r<4>;
\t.shared .align 4 .b8 _ZZ3oneE1s[128];
\tmov.u32 %r1, %ctaid.y;
\tst.shared.f32 [%r2], %f1;
\tdp4a.s32.s32 %r3, %r1, %r2, %r3;
\tret;
}

.visible .entry two()
{
\t.local .align 4 .b8 \t__local_depot0[16];
\tadd.f64 \t%fd1, %fd2, %fd3;
\tst.shared.f32 \t[%rd4+8], %f1;
\tmov.u32 %r1, %ctaid.x;
\tret;
}
"""


def test_module_is_taken_apart():
    module = parse_ptx(MODULE)
    assert (module.target, module.address_size) == ("sm_90", 64)
    assert list(module.entries) == ["one", "two"]


def test_facts_of_a_sound_entry():
    one = parse_ptx(MODULE).entries["one"]
    assert one.parameters == 2
    assert one.reads("%ctaid.y")
    assert not one.reads("%ctaid.x")
    assert one.count("dp4a") == 1
    assert one.count("p4a") == 0
    assert one.shared_bytes == 128
    assert one.wide_shared_accesses == 0
    assert not one.uses_f64
    assert not one.uses_local_memory


def test_facts_of_a_faulty_entry():
    two = parse_ptx(MODULE).entries["two"]
    assert two.parameters == 0
    assert not two.reads("%ctaid.y")
    assert two.wide_shared_accesses == 1
    assert two.uses_f64
    assert two.uses_local_memory
    assert two.shared_bytes == 0


@pytest.mark.parametrize("text", ["", ".target sm_80", ".address_size 64"])
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="not a PTX module"):
        parse_ptx(text)
