"""The forty schemas are schemas; validity and marginals are told by the validator alone."""

from __future__ import annotations

import jsonschema

from benchmarks.grammars import schemas


def test_forty_schemas_of_growing_depth() -> None:
    known = schemas.every()
    assert len(known) == len({schema.name for schema in known}) == 40
    assert [schema.depth for schema in known] == sorted(schema.depth for schema in known)
    for schema in known:
        jsonschema.Draft202012Validator.check_schema(schema.schema)
        # no text is valid by chance
        assert not schemas.valid_documents(schema, ["{}", "[]", "null", "{"])
    assert {schema.depth for schema in schemas.chosen(10)} == {1, 2, 3, 4, 5, 6}


def test_valid_documents_are_those_of_the_validator() -> None:
    [schema] = [one for one in schemas.every() if one.name == "person"]
    good = ['{"name": "Bob", "age": 20}', '{"age": 20, "name": "John"}']
    texts = [good[0], '{"name": "Bob", "age": 17}', '{"name": "Bob"', good[1]]
    assert schemas.valid_documents(schema, texts) == [{"name": "Bob", "age": 20}, {"age": 20, "name": "John"}]
    documents = schemas.valid_documents(schema, texts)
    assert schemas.marginal_distance(documents, documents[:1], "name") == 0.5
    assert schemas.marginal_distance(documents, documents[:1], "age") == 0.0
