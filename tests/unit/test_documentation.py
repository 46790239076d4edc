"""The pages say what the code does: each setting, route, metric, reason and dialect is there, and nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from fastapi import FastAPI

from hookline.cli.config import _format, show_values
from hookline.dialects import DIALECTS
from hookline.egress import Reason
from hookline.server import metrics
from hookline.server.environment import OTHER_VARIABLES, SECRET_FIELDS, variable_of
from hookline.server.settings import Settings
from hookline.server.surfaces import svix
from support.documents import PAGES, ROOT, find_blocks, find_links, find_section, read_page, read_table

SOURCE = ROOT / "src" / "hookline"


def test_every_setting_is_documented_with_its_default():
    page = read_page("docs/configuration.md")
    documented = read_table(page)
    defaults = show_values(Settings())
    assert set(documented) - OTHER_VARIABLES == {variable_of(name) for name in Settings.model_fields}
    for name, value in defaults.items():
        shown = _format(value)
        assert documented[variable_of(name)][1] == (f"`{shown}`" if shown else "none"), name
        assert len(documented[variable_of(name)]) == 3
        assert documented[variable_of(name)][2].endswith(".")
    for name in SECRET_FIELDS:
        assert f"`{variable_of(name)}`" in page.partition("\n## ")[0], "secrets that may stand in a file"


def test_every_variable_that_a_page_names_exists():
    known = {variable_of(name) for name in Settings.model_fields} | OTHER_VARIABLES
    known |= {f"{variable_of(name)}_FILE" for name in SECRET_FIELDS} | {"HOOKLINE_PYTHON"}
    for page in PAGES:
        named = set(re.findall(r"\bHOOKLINE_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8")))
        unknown = {name for name in named - known if not name.startswith(("HOOKLINE_TEST_", "HOOKLINE_BENCH_"))}
        assert unknown == set(), page.name


def test_every_route_is_documented():
    page = read_page("docs/api.md")
    documented = set(re.findall(r"^\| `([A-Z]+ /api/v1/[^`]+)`", page, re.MULTILINE))
    documented |= {f"GET {path}" for path in re.findall(r"`GET (/api/v1/health[^`]*)`", page)}
    app = FastAPI()
    app.include_router(svix.router)
    operations = {path: methods.keys() - {"head"} for path, methods in app.openapi()["paths"].items()}
    routes = {f"{method.upper()} {path}" for path, methods in operations.items() for method in methods}
    assert documented == routes


def test_every_metric_is_documented():
    written = set(re.findall(r'"(hookline_[a-z_]+)"', Path(metrics.__file__).read_text(encoding="utf-8")))
    documented = read_table(find_section(read_page("docs/operations.md"), "Metrics"))
    assert {name.removesuffix("_total") for name in documented} == written


def test_every_reason_is_documented():
    documented = set(read_table(find_section(read_page("docs/security.md"), "Reasons")))
    assert {reason.value for reason in Reason} <= documented
    for reason in documented - {reason.value for reason in Reason}:  # those of the policy and of the store
        uses = [
            file
            for room in ("model", "store")
            for file in (SOURCE / room).rglob("*.py")
            if f'"{reason}"' in file.read_text()
        ]
        assert uses, reason


def test_every_dialect_is_documented_with_its_options():
    page = read_page("docs/dialects.md")
    overview = read_table(page.partition("\n## ")[0])
    assert set(overview) == set(DIALECTS)
    for name, dialect in DIALECTS.items():
        options = set(read_table(find_section(page, f"`{name}`")))
        dialect.check_options({})
        known = set()
        for option in ("mode", "source", "version", "envelope", "method"):
            try:
                dialect.check_options({option: None})
            except Exception as error:  # which one it is, is the question
                if getattr(error, "code", "") == "invalid_option":
                    known.add(option)
        assert options == known, name
        policy = dialect.default_policy
        if name != "cloudevents":  # «as standard»
            assert f"{policy.attempts} attempts" in overview[name][4]
            assert f"{policy.timeout_s:g} s each" in overview[name][4]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for link in find_links(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = page.parent / target if target else page
        assert file.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_found_from_the_readme():
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in find_links(page.read_text(encoding="utf-8")))
        waiting += [(page.parent / link).resolve() for link in links if link and "://" not in link]
    assert set(PAGES) <= reached


def test_picture_is_drawn_for_light_and_dark():
    picture = ET.parse(ROOT / "docs" / "flow.svg").getroot()
    text = (ROOT / "docs" / "flow.svg").read_text(encoding="utf-8")
    assert picture.attrib["role"] == "img"
    assert "prefers-color-scheme: dark" in text
    assert [element.tag for element in picture[:2]] == [
        f"{{http://www.w3.org/2000/svg}}{name}" for name in ("title", "desc")
    ]


def test_python_blocks_can_be_read():
    for page in PAGES:
        for block in find_blocks(page.read_text(encoding="utf-8"), "python"):
            compile(block, str(page), "exec")
