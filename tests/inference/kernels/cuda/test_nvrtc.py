"""CUDA sources compiled to PTX, without a GPU, for architectures from Turing to Blackwell."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.errors import DeviceUnavailableError, KernelCompileError
from inference.kernels.cuda import nvrtc
from inference.kernels.cuda.device import CudaKernel
from inference.kernels.cuda.ptx import parse_ptx
from inference.kernels.qmatmul.cuda import KERNELS
from inference.kernels.rmsnorm.cuda import KERNEL as RMSNORM
from inference.kernels.swiglu.cuda import KERNEL as SWIGLU
from inference.quant.types import GGMLType

Q4K_MATVEC = KERNELS[GGMLType.Q4_K]
ARCHITECTURES = (75, 80, 90, 120)


@pytest.fixture(autouse=True)
def compiler():
    try:
        nvrtc.installation()
    except DeviceUnavailableError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kernel", [RMSNORM, SWIGLU, Q4K_MATVEC], ids=lambda kernel: kernel.entry)
def test_shipped_kernels(kernel: CudaKernel, architecture: int):
    module = parse_ptx(nvrtc.compile_ptx(kernel.source, architecture, name=kernel.entry))
    assert module.target == f"sm_{architecture}"
    assert list(module.entries) == [kernel.entry]
    entry = module.entries[kernel.entry]
    assert entry.reads("%ctaid.y")
    assert entry.wide_shared_accesses == 0
    assert not entry.uses_f64
    assert not entry.uses_local_memory
    assert (entry.count("dp4a") >= 16) == (kernel is Q4K_MATVEC)
    assert entry.count("shfl.sync.bfly") >= {RMSNORM: 10, SWIGLU: 0, Q4K_MATVEC: 5}[kernel]
    assert entry.parameters == {RMSNORM: 6, SWIGLU: 5, Q4K_MATVEC: 7}[kernel]
    assert entry.shared_bytes == (128 if kernel is RMSNORM else 0)


def test_the_architectures_in_use_are_supported():
    assert set(ARCHITECTURES) <= set(nvrtc.supported_architectures())


def test_a_source_that_does_not_compile_shows_the_compilers_log():
    with pytest.raises(KernelCompileError) as caught:
        nvrtc.compile_ptx('extern "C" __global__ void f(float* y) { y[i] = 1; }', 80, name="f.cu")
    assert "f.cu does not compile for compute capability 80" in str(caught.value)
    assert 'identifier "i" is undefined' in str(caught.value)


def test_an_architecture_that_does_not_exist_is_refused():
    with pytest.raises(KernelCompileError, match="compute capability 13"):
        nvrtc.compile_ptx("", 13)


def test_what_the_structure_checks_look_for_is_found():
    """A kernel with every fault that the shipped ones must not have."""
    source = r"""
    extern "C" __global__ void faulty(double* y, int n) {
      __shared__ float shared[16];
      double values[64];
      for (int i = 0; i < 64; i++) values[i] = y[i * threadIdx.x];
      asm volatile("st.shared.f32 [%0], %1;"
                   :: "l"(__cvta_generic_to_shared(shared + n)), "f"(1.0f));
      __syncthreads();
      y[n] = values[(n * 7) & 63] + shared[threadIdx.x];
    }"""
    entry = parse_ptx(nvrtc.compile_ptx(source, 80)).entries["faulty"]
    assert not entry.reads("%ctaid.y")
    assert entry.wide_shared_accesses == 1
    assert entry.uses_f64
    assert entry.uses_local_memory
    assert entry.shared_bytes == 64


@pytest.mark.parametrize("installed", ["nothing", "library only", "headers only"])
def test_without_the_wheels_the_remedy_is_named(monkeypatch, tmp_path: Path, installed: str):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    if installed == "library only":
        (tmp_path / "cu13" / "lib").mkdir(parents=True)
        (tmp_path / "cu13" / "lib" / "libnvrtc.so.13").touch()
    if installed == "headers only":
        (tmp_path / "cu13" / "include").mkdir(parents=True)
        (tmp_path / "cu13" / "include" / "cuda_fp16.h").touch()
    spec = None if installed == "nothing" else Spec()
    monkeypatch.setattr(nvrtc.importlib.util, "find_spec", lambda name: spec)
    nvrtc.installation.cache_clear()
    try:
        with pytest.raises(DeviceUnavailableError, match=r"pip install pytest-contracts\[nvrtc\]"):
            nvrtc.installation()
    finally:
        nvrtc.installation.cache_clear()
