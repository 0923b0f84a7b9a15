"""What of the CUDA wrappers can be shown without a device: arguments, sources, and refusal."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inference.errors import DeviceUnavailableError, UnsupportedTypeError
from inference.kernels.cuda import device
from inference.kernels.cuda.device import launches, like_input, require_device
from inference.kernels.cuda.launch import LaunchDimensions
from inference.kernels.qmatmul.cuda import KERNELS, qmatmul
from inference.kernels.rmsnorm.cuda import KERNEL as RMSNORM_KERNEL
from inference.kernels.rmsnorm.cuda import rmsnorm
from inference.kernels.swiglu.cuda import KERNEL as SWIGLU_KERNEL
from inference.kernels.swiglu.cuda import swiglu
from inference.quant.types import GGMLType

ONES = np.ones((2, 256), np.float32)
Q4K_BYTES = np.zeros((3, 144), np.uint8)
Q4K_KERNEL = KERNELS[GGMLType.Q4_K]


@pytest.fixture
def no_device():
    try:
        require_device()
    except DeviceUnavailableError:
        return
    pytest.skip("this machine has a device")


@pytest.mark.usefixtures("no_device")
@pytest.mark.parametrize(
    "call",
    [
        lambda: rmsnorm(ONES, np.ones(256, np.float32), 1e-6),
        lambda: swiglu(ONES, ONES),
        lambda: qmatmul(Q4K_BYTES, GGMLType.Q4_K, 3, 256, ONES),
        lambda: RMSNORM_KERNEL.launch(LaunchDimensions((1, 1, 1), (32, 1, 1)), []),
    ],
)
def test_without_a_device_nothing_runs_and_nothing_is_counted(call):
    before = launches()
    with pytest.raises(DeviceUnavailableError) as caught:
        call()
    assert caught.value.missing
    assert caught.value.remedy
    assert str(caught.value) == f"{caught.value.missing}; {caught.value.remedy}"
    assert launches() == before


def test_without_cupy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceUnavailableError, match=r"pip install pytest-contracts\[cuda13\]"):
        require_device()


@pytest.mark.parametrize("driver", ["absent", "without devices"])
def test_cupy_without_a_device_is_not_enough(monkeypatch, driver):
    """CuPy is installed on many machines that have no GPU; its answers there, imitated."""

    class CUDARuntimeError(RuntimeError):
        pass

    def count() -> int:
        if driver == "absent":
            raise CUDARuntimeError("cudaErrorInsufficientDriver")
        return 0

    runtime = SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=count)
    cupy = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(DeviceUnavailableError, match=r"no CUDA device .*NVIDIA GPU and driver"):
        require_device()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: rmsnorm(ONES, np.ones(2, np.float32), 1e-6),
            ValueError,
            r"weight.shape\[0\] is 2, but x.shape\[-1\] is 256",
        ),
        (lambda: rmsnorm(ONES, np.ones(256), 1e-6), TypeError, "rmsnorm: weight is float64"),
        (lambda: rmsnorm(ONES[:, :0], ONES[0, :0], 1e-6), ValueError, "last axis is empty"),
        (lambda: rmsnorm(ONES, ONES[0], 0.0), ValueError, "eps is 0.0"),
        (lambda: rmsnorm(ONES, ONES[0], float("nan")), ValueError, "eps is nan"),
        (lambda: swiglu(ONES, ONES[:1]), ValueError, "gate has shape"),
        (lambda: swiglu(ONES, np.ones((2, 256))), TypeError, "swiglu: up is float64"),
        (
            lambda: qmatmul(Q4K_BYTES, GGMLType.Q4_K, 3, 100, ONES[:, :100]),
            ValueError,
            "multiple of 256",
        ),
        (lambda: qmatmul(Q4K_BYTES, GGMLType.Q4_K, 4, 256, ONES), ValueError, "takes 576 bytes"),
        (
            lambda: qmatmul(Q4K_BYTES, GGMLType.Q4_K, 3, 256, ONES[:, :32]),
            ValueError,
            "x has shape",
        ),
        (
            lambda: qmatmul(Q4K_BYTES, GGMLType.Q5_K, 3, 256, ONES),
            UnsupportedTypeError,
            "no CUDA kernel for .*Q5_K.*; supported: Q4_K",
        ),
    ],
)
def test_bad_arguments_are_named_before_any_device_is_needed(call, error, message):
    with pytest.raises(error, match=message):
        call()


class ImitatedCupy:
    """Stands in for CuPy where no device is: arrays stay NumPy's, launches are written down."""

    float32 = np.float32
    ascontiguousarray = staticmethod(np.ascontiguousarray)
    asarray = staticmethod(np.asarray)

    def __init__(self) -> None:
        self.compiled: list[dict[str, Any]] = []
        self.launched: list[tuple[Any, Any, tuple[Any, ...]]] = []
        runtime = SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=RuntimeError)
        self.cuda = SimpleNamespace(runtime=runtime, Device=lambda: SimpleNamespace(id=0))

    class Result(np.ndarray):
        """An array with the method that copies from the device."""

        def get(self) -> Any:
            return np.asarray(self)

    def empty(self, shape: Any, dtype: Any) -> Any:
        return np.zeros(shape, dtype).view(self.Result)

    def empty_like(self, array: Any) -> Any:
        return self.empty(array.shape, array.dtype)

    def RawModule(self, **arguments: Any) -> Any:
        self.compiled.append(arguments)

        def launch(grid: Any, block: Any, passed: Any) -> None:
            self.launched.append((grid, block, passed))

        return SimpleNamespace(get_function=lambda entry: launch)


@pytest.fixture
def imitation(monkeypatch) -> ImitatedCupy:
    cupy = ImitatedCupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(device, "_functions", {})
    return cupy


WRAPPERS = [
    (RMSNORM_KERNEL, lambda: rmsnorm(ONES, ONES[0], 1e-6), (2, 256)),
    (SWIGLU_KERNEL, lambda: swiglu(ONES, ONES), (2, 256)),
    (Q4K_KERNEL, lambda: qmatmul(Q4K_BYTES, GGMLType.Q4_K, 3, 256, ONES), (2, 3)),
]


@pytest.mark.parametrize(("kernel", "call", "shape"), WRAPPERS)
def test_arguments_are_those_that_the_source_declares(imitation, kernel, call, shape):
    before = launches().get(kernel.entry, 0)
    result = call()
    assert launches()[kernel.entry] == before + 1
    assert type(result) is np.ndarray
    assert result.shape == shape
    (grid, block, passed) = imitation.launched[0]
    assert grid[1] == 2  # rows of x along y
    assert block[0] * block[1] <= 1024
    declared = re.search(rf"^{kernel.entry}\((.*?)\)", kernel.source, re.DOTALL | re.MULTILINE)
    assert declared is not None
    parameters = [" ".join(part.split()) for part in declared[1].split(",")]
    assert len(parameters) == len(passed)
    for parameter, value in zip(parameters, passed, strict=True):
        if "*" in parameter:
            assert isinstance(value, np.ndarray), parameter
        else:
            expected = {"int": np.int32, "float": np.float32}[parameter.split()[0]]
            assert type(value) is expected, parameter
    sizes = {p.split()[1]: int(v) for p, v in zip(parameters, passed, strict=True) if "int " in p}
    by_kernel = {
        "rmsnorm": {"rows": 2, "n": 256},
        "swiglu": {"rows": 2, "n": 256},
        "q4k_matvec": {"rows": 3, "n_super": 1, "batch": 2},
    }
    assert sizes == by_kernel[kernel.entry]


def test_a_kernel_is_compiled_once_for_a_device_and_for_no_fixed_architecture(imitation):
    rmsnorm(ONES, ONES[0], 1e-6)
    rmsnorm(ONES, ONES[0], 1e-6)
    assert len(imitation.launched) == 2
    (arguments,) = imitation.compiled
    assert arguments["code"] == RMSNORM_KERNEL.source
    assert not [option for option in arguments["options"] if "arch" in option]


def test_nothing_is_launched_for_nothing(imitation):
    assert rmsnorm(ONES[:0], ONES[0], 1e-6).shape == (0, 256)
    assert swiglu(ONES[:0], ONES[:0]).shape == (0, 256)
    assert qmatmul(Q4K_BYTES, GGMLType.Q4_K, 3, 256, ONES[:0]).shape == (0, 3)
    assert imitation.launched == []


def test_headers_are_left_to_cupy_where_the_wheel_is_absent(monkeypatch):
    def absent() -> None:
        raise DeviceUnavailableError("headers", "install them")

    monkeypatch.setattr(device.nvrtc, "installation", absent)
    assert device._header_options() == []


def test_sources_lie_beside_their_wrappers():
    for kernel in (RMSNORM_KERNEL, SWIGLU_KERNEL, Q4K_KERNEL):
        assert f"{kernel.entry}(" in kernel.source
        assert kernel.source.startswith("//")


def test_the_result_is_of_the_kind_of_the_argument():
    device_array = SimpleNamespace(get=lambda: ONES)
    assert like_input(device_array, ONES) is ONES
    assert like_input(device_array, device_array) is device_array


def test_numbers_are_passed_as_the_kernels_declare_them():
    assert type(device._scalar(3)) is np.int32
    assert type(device._scalar(1e-6)) is np.float32
    assert device._scalar(ONES) is ONES
