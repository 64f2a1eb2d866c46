"""docs/formats.md says what the schemas say."""

from tests import formats


def test_the_page_has_the_fields_that_the_schemas_have() -> None:
    _, _, written = formats.PAGE.read_text(encoding="utf-8").partition(formats.BEGIN)
    assert written == formats.tables(), "run: python -m tests.formats"
    for field in ("inferred_fields", "primer_frames", "from", "held_out_as_long"):
        assert f"| `{field}` |" in written
