"""The wheel, environments that it is installed into, and hosts that run it; all made once."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from tests import services
from tests.packaging import hosts
from tests.packaging.hosts import Host, run

#: Environments: what pip takes today, what we say is enough, and the newest of all, if it is here.
NEWEST_PYTHON = hosts.find_python("python3.13")
ENVIRONMENTS = ["current", "lowest", *(["newest"] if NEWEST_PYTHON else [])]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a release would build it, but with the build tools that are installed."""
    folder = tmp_path_factory.mktemp("wheel")
    root = services.ROOT
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
        *("--outdir", folder, root),
        cwd=root,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make an environment by its name, once; answer its interpreter. Needs a package index."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name) / "venv"
            if name == "lowest":
                made[name] = hosts.install(folder, wheel, also=floors(wheel))
            elif name == "newest":
                assert NEWEST_PYTHON
                also = ["django>=6.1,<6.2"]
                made[name] = hosts.install(folder, wheel, python=NEWEST_PYTHON, also=also)
            elif name == "postgres":
                made[name] = hosts.install(folder, f"{wheel}[postgres]")
            else:
                made[name] = hosts.install(folder, wheel)
        return made[name]

    return make


def floors(wheel: Path) -> list[str]:
    """Name the oldest version of each dependency that the wheel takes without its extras."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        stated = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    required = [requirement for requirement in map(Requirement, stated) if not requirement.marker]
    return [str(requirement).replace(">=", "==") for requirement in required]


@pytest.fixture(scope="session")
def strict_host(
    installed: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Host]:
    """Make, once, the host in which everything is unlike the demo site."""
    made: dict[str, Host] = {}

    def make(environment: str) -> Host:
        if environment not in made:
            folder = tmp_path_factory.mktemp(f"strict-{environment}")
            made[environment] = hosts.build(
                folder, installed(environment), settings=[hosts.STRICT, hosts.INLINE]
            )
        return made[environment]

    return make


@pytest.fixture(params=ENVIRONMENTS)
def host(request: pytest.FixtureRequest, strict_host: Callable[[str], Host]) -> Host:
    """The strange host, in each environment."""
    return strict_host(request.param)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened
