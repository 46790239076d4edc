"""Nothing of the SDK is forgotten: each method is walked or, being of Svix's cloud, answered with a clean 404."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from svix.exceptions import HttpError

from integration.svix.driven import Driven
from integration.svix.inventory import CLOUD_ONLY, is_offered, list_methods

METHODS = list_methods()
CLOUD = sorted(method for method in METHODS if not is_offered(method))


def walked_methods() -> set[str]:
    """Find every `svix.group.method(...)` in the walks beside this file."""
    return {
        ast.unparse(node.func).partition(".")[2]
        for path in Path(__file__).parent.glob("test_svix_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("svix.", "customer."))
    }


def test_every_offered_method_is_walked() -> None:
    assert {method for method in METHODS if is_offered(method)} - walked_methods() == set()


def test_every_name_of_the_cloud_is_one_of_the_sdk() -> None:
    for prefix in CLOUD_ONLY:
        assert any(method.startswith(prefix) for method in METHODS), prefix


@pytest.mark.filterwarnings("ignore:Call to deprecated method")
def test_what_only_the_cloud_has_is_a_clean_404(svix: Driven) -> None:
    """The SDK reads an error's body as JSON, and breaks on anything else."""
    for method in CLOUD:
        group: Any = svix
        *groups, name = method.split(".")
        for part in groups:
            group = getattr(group, part)
        with pytest.raises(HttpError) as error:
            getattr(group, name)(*_arguments(METHODS[method]))
        assert (method, error.value.status_code, error.value.code) == (method, 404, "not_found")


def test_health(svix: Driven) -> None:
    svix.health.get()


def _arguments(method: Any) -> list[Any]:
    """Something for each parameter that has no default: an identifier, or an empty body."""
    hints = inspect.get_annotations(method, eval_str=True)
    return [
        hints[name].model_construct() if issubclass(hints[name], BaseModel) else "some-id"
        for name, parameter in inspect.signature(method).parameters.items()
        if name != "self" and parameter.default is inspect.Parameter.empty
    ]
