"""What this project's tests and contracts share: profiles, the models under judgement, resources.

Contracts name models, layers and resources in YAML; the hooks below say what those names mean for
this engine. A project that judges other code writes its own in the same place.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from pytest_contracts.errors import Unavailable

if TYPE_CHECKING:
    from gguf import GGUFReader

    from inference import Model

pytest_plugins = ["pytester"]

TINY = "tiny"
REAL_MODEL = "qwen2.5-coder-0.5b-instruct"

# dev and ci draw the same examples on every run, for everybody; explore draws others each time, on
# purpose, and so does deep, for a night. How long an example takes is the machine's affair.
_ANYWHERE = settings(
    settings.get_profile("default"),  # which Hypothesis itself replaces where it sees a CI
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
_SAME = settings(_ANYWHERE, derandomize=True, database=None)
_OTHER = settings(_ANYWHERE, print_blob=True)
settings.register_profile("dev", _SAME, max_examples=50)
settings.register_profile("ci", _SAME, max_examples=100)
settings.register_profile("explore", _OTHER, max_examples=100)
settings.register_profile("deep", _OTHER, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
if settings().derandomize:
    # Hypothesis draws some values from the sources of whatever is imported by now, so that what ran
    # before in the same process would decide what is drawn.
    _none = Constants()
    providers._get_local_constants = lambda: _none


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a ``--contracts-model`` that no contract of this project could judge."""
    chosen = config.getoption("contracts_model", None)
    if chosen:
        _check_model(chosen)
    # BLAS would start a thread for each processor in every worker of pytest-xdist, and its threads
    # wait for each other by spinning: two workers on two processors took up to four times the time.
    workers = len(config.getoption("tx", None) or ())
    if workers > 1:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let a worker that is done take over tests of another, where ``--dist`` says nothing else.

    Each begins with one half of all tests, in their order, so that what the tests of a module share
    is made once and not by every worker.
    """
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def _check_model(chosen: str) -> None:
    from inference.hub.registry import MODELS

    if chosen in (TINY, *MODELS):
        return
    path = Path(chosen)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) == b"GGUF":
                return
        what = "is no GGUF file"
    else:
        what = "is neither a file nor a known id"
    raise pytest.UsageError(
        f"--contracts-model takes a GGUF file or the id of a model; {chosen} {what} "
        f"(known ids: {', '.join((TINY, *MODELS))})"
    )


@cache
def gguf_of(model: str) -> Path:
    """Return the GGUF file behind a model's name: the embedded one, a file, or a pulled one."""
    from inference.data import TINY_MODEL
    from inference.hub import cached

    if model == TINY:
        return TINY_MODEL
    if (path := Path(model)).is_file():
        return path
    if (pulled := cached(model)) is not None:
        return pulled
    raise Unavailable(f"model {model} is not in the cache", f"run `apr pull {model}`")


def _translated(check: Callable[[], object]) -> Callable[[], None]:
    """Turn the engine's word for missing hardware into the plugin's."""

    def resource() -> None:
        from inference.errors import DeviceUnavailableError

        try:
            check()
        except DeviceUnavailableError as error:
            raise Unavailable(error.missing, error.remedy) from error

    return resource


def pytest_contracts_parameters(
    config: pytest.Config,
) -> Mapping[str, Callable[..., Sequence[Any]]]:
    """Give meaning to ``architectures()``, ``models()``, ``layers(model)`` in ``parametrize:``."""

    def architectures() -> list[str]:
        from inference.model.architectures import ARCHITECTURES

        return sorted(ARCHITECTURES)

    def models() -> list[str | Unavailable]:
        chosen = config.getoption("contracts_model")
        found: list[str | Unavailable] = []
        for name in [chosen] if chosen else [TINY, REAL_MODEL]:
            try:
                gguf_of(name)
                found.append(name)
            except Unavailable as missing:
                missing.id = name  # type: ignore[attr-defined]  # the word in the item's node id
                found.append(missing)
        return found

    @cache
    def layers(model: str) -> range:
        from inference.formats import open_model
        from inference.formats.config import model_config

        file = open_model(gguf_of(model))
        try:
            return range(model_config(file).layers)
        finally:
            file.close()

    return {"architectures": architectures, "models": models, "layers": layers}


def pytest_contracts_resources(config: pytest.Config) -> Mapping[str, Callable[[], None]]:
    """Say what ``requires:`` can name; each check says what is missing and how to get it."""

    def cuda() -> object:
        from inference.kernels.cuda.device import require_device

        return require_device()

    def nvrtc() -> object:
        from inference.kernels.cuda.nvrtc import installation

        return installation()

    return {"cuda": _translated(cuda), "nvrtc": _translated(nvrtc)}


def pytest_contracts_device(config: pytest.Config) -> str | None:
    """Name the GPU, where there is one."""
    from inference.errors import DeviceUnavailableError
    from inference.kernels.cuda.device import device_name

    try:
        return device_name()
    except DeviceUnavailableError:
        return None


def pytest_contracts_vocabularies(
    config: pytest.Config,
) -> Mapping[str, Callable[[Mapping[str, Any]], int]]:
    """Give meaning to ``tokens: model``: the vocabulary of the item's model."""

    @cache
    def tokens(model: str) -> int:
        from inference.formats import open_model
        from inference.formats.config import model_config

        file = open_model(gguf_of(model))
        try:
            return model_config(file).vocab
        finally:
            file.close()

    return {"model": lambda known: tokens(known.get("model", TINY))}


@pytest.fixture
def gguf_path(request: pytest.FixtureRequest) -> Path:
    """Return the GGUF file of the contract item's ``model`` parameter."""
    return gguf_of(request.node.case.parameters.values["model"])


@pytest.fixture
def apr_path(request: pytest.FixtureRequest, imported: Callable[[Path], Path]) -> Path:
    """Return the APR file imported in this run from the item's model."""
    return imported(gguf_of(request.node.case.parameters.values["model"]))


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Path]]:
    """Return a function from a GGUF file to the APR file that this very run imported from it."""
    folder = tmp_path_factory.mktemp("imported")
    made: dict[Path, Path] = {}

    def importer(source: Path) -> Path:
        from inference.surgery.importing import import_model

        if source not in made:
            target = folder / f"{len(made)}-{source.stem}.apr"
            import_model(source, target)
            made[source] = target
        return made[source]

    yield importer
    for path in made.values():  # half a gigabyte each is too much to leave lying about
        path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def gguf_reader() -> Callable[[Path], GGUFReader]:
    """Return a function that reads a GGUF file with the gguf package, once a run.

    It takes seconds for a large vocabulary, half of them for the books that `numpy.memmap` keeps
    of every view: the map is shown to it as a plain array.
    """
    from gguf import GGUFReader

    mapped = np.memmap

    @cache
    def read(path: Path) -> GGUFReader:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(np, "memmap", lambda *args, **named: np.asarray(mapped(*args, **named)))
            return GGUFReader(path)

    return read


@pytest.fixture(scope="session")
def printed_trace() -> Callable[[Path], str]:
    """Return a function from a model file to what ``apr trace --payload`` prints, run once."""

    @cache
    def run(path: Path) -> str:
        from inference.cli import main

        said = io.StringIO()
        with redirect_stdout(said):
            code = main(["trace", str(path), "--payload"])
        assert code == 0
        return said.getvalue()

    return run


@pytest.fixture(scope="session")
def load_cached() -> Iterator[Callable[[Path, Any], Model]]:
    """Return a function that opens a model once per numeric path and run, with one tokenizer.

    Expanding half a milliard weights takes longer than most claims about them: the model that was
    asked for last keeps its float32 copies, the others drop theirs, which are gigabytes.
    """
    import inference

    models: dict[tuple[Path, str], Model] = {}
    with ExitStack() as opened:

        def load(path: Path, numerics: Any) -> Model:
            if (path, numerics) not in models:
                model = opened.enter_context(inference.load(path, numerics=numerics))
                twins = [twin for (other, _), twin in models.items() if other == path]
                if twins:  # nobody changes a tokenizer, and it takes seconds to make
                    vars(model)["tokenizer"] = twins[0].tokenizer
                models[path, numerics] = model
            if numerics == "f32":
                for key, model in models.items():
                    if key != (path, numerics):
                        model.release_f32()
            return models[path, numerics]

        yield load
