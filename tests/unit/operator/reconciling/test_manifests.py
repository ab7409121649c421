"""What the manifests of a task say about themselves."""

from __future__ import annotations

from cronwright_operator.reconciling.manifests import spec_hash


def test_the_hash_of_a_cronjob_is_of_what_it_says_in_any_order_and_any_text() -> None:
    assert spec_hash({"suspend": False, "env": "日"}) == spec_hash({"env": "日", "suspend": False})
    assert spec_hash({"env": "\ud800"}) != spec_hash({"env": "\ud801"}), "halves of a character, which kubectl takes"
