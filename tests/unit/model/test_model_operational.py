"""The operational event types: schemas that are schemas, and examples that fit them."""

from __future__ import annotations

import jsonschema_rs
import pytest

from hookline.model.event_types import is_event_type
from hookline.model.operational import OPERATIONAL_TYPES


@pytest.mark.parametrize("event_type", OPERATIONAL_TYPES, ids=lambda event_type: event_type.name)
def test_each_type_has_a_schema_and_an_example_that_fits(event_type):
    assert is_event_type(event_type.name)
    validator = jsonschema_rs.Draft7Validator(event_type.schema)
    validator.validate(event_type.example)
    assert event_type.example["type"] == event_type.name
    other = {**event_type.example, "type": "something.else"}
    assert not validator.is_valid(other)
    assert not validator.is_valid({**event_type.example, "data": {}})
