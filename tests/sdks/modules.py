"""
Serves npm packages to a browser as its own modules, each name resolved as a bundler would.

Most packages are published for bundlers: their modules name one another
without endings, import package.json and lean on CommonJS. Nothing else is
changed, so what runs in the browser is the code that was published.
"""

import json
import re
from functools import cache, partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "/modules/"
_CONDITIONS = ("browser", "import", "default")
_ENDINGS = ("", ".js", ".mjs", "/index.js", "/index.mjs")
_IMPORT = re.compile(
    r"""((?:^|;)\s*(?:import\s*|(?:import|export)\b[^'"`;()=]*\bfrom\s*))(['"])([^'"]+)\2""",
    re.MULTILINE,
)
_IS_MODULE = re.compile(r"^\s*(?:import|export)\b", re.MULTILINE)
_EXPORT = re.compile(r"\bexports\.(?!default\b)([A-Za-z_]\w*)\s*=[^=]")
_REQUIRE = re.compile(r"""\brequire\((['"])([^'"]+)\1\)""")


@cache
def module(file: Path, node_modules: Path) -> str:
    """Write a file as a module of the browser's."""
    text = file.read_text()
    if file.suffix == ".json":
        return f"export default {text};"
    if _IS_MODULE.search(text):
        return linked(text, file, node_modules)
    return _from_common_js(text, file, node_modules)


def linked(text: str, file: Path, node_modules: Path) -> str:
    """Write an address in place of each name that a module or a page imports."""

    def replace(found: re.Match[str]) -> str:
        start, _, name = found.groups()
        return f"{start}{json.dumps(_address(name, file, node_modules))}"

    return _IMPORT.sub(replace, text)


def _from_common_js(text: str, file: Path, node_modules: Path) -> str:
    names = sorted({name for _, name in _REQUIRE.findall(text)})
    imports = [
        f"import required{number} from {json.dumps(_address(name, file, node_modules))};"
        for number, name in enumerate(names)
    ]
    exported = sorted(set(_EXPORT.findall(text)))
    required = ", ".join(f"{json.dumps(name)}: required{n}" for n, name in enumerate(names))
    return "\n".join(
        [
            *imports,
            "const module = { exports: {} };",
            "((module, exports, require) => {",
            text,
            f"}})(module, module.exports, (name) => ({{ {required} }})[name]);",
            "export default module.exports;",
            *(f"export const {name} = module.exports.{name};" for name in exported),
        ]
    )


def _address(name: str, importer: Path, node_modules: Path) -> str:
    if name.startswith("."):
        file = _file(importer.parent / name)
    else:
        parts = name.split("/")
        size = 2 if name.startswith("@") else 1
        package = node_modules.joinpath(*parts[:size])
        file = _file(package / _entry(package, "/".join([".", *parts[size:]])))
    return PREFIX + file.relative_to(node_modules).as_posix()


def _entry(package: Path, subpath: str) -> str:
    """Say which file of a package is meant by a name, as its package.json has it."""
    about = json.loads((package / "package.json").read_text())
    if exports := about.get("exports"):
        return _chosen(exports.get(subpath, exports if subpath == "." else None))
    if subpath != ".":
        return subpath
    fields = (about.get("browser"), about.get("module"), about.get("main"), "index.js")
    return next(field for field in fields if isinstance(field, str))


def _chosen(target: Any) -> str:
    while isinstance(target, dict):
        target = next(target[name] for name in _CONDITIONS if name in target)
    return str(target)


def _file(path: Path) -> Path:
    candidates = [Path(f"{path}{ending}") for ending in _ENDINGS]
    return next(candidate.resolve() for candidate in candidates if candidate.is_file())


class PageHandler(BaseHTTPRequestHandler):
    """
    Serves one page at every address but those of modules, and of scripts in the page's folder.

    Says nothing on the console.
    """

    # A page of two hundred modules keeps its connections, and gets each answer in one piece.
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def __init__(self, *args: Any, page: Path, node_modules: Path) -> None:
        self.page = page
        self.node_modules = node_modules.resolve()
        super().__init__(*args)

    @classmethod
    def of(cls, page: Path, node_modules: Path) -> partial["PageHandler"]:
        """Bind the page and the packages; a server makes a handler for each connection."""
        return partial(cls, page=page, node_modules=node_modules)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith(PREFIX):
            file = self.node_modules / path.removeprefix(PREFIX)
            self._answer("text/javascript", module(file, self.node_modules))
        elif path.endswith(".js"):
            self._answer("text/javascript", (self.page.parent / path[1:]).read_text())
        else:
            text = linked(self.page.read_text(), self.page, self.node_modules)
            self._answer("text/html", text)

    def _answer(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if kind == "text/javascript":
            self.send_header("Cache-Control", "max-age=3600")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass
