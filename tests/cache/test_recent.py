"""Handles: as many as may be remembered, those used last."""

from chunkserve.cache.recent import Recent


def test_what_was_not_used_for_longest_is_forgotten() -> None:
    recent: Recent[str] = Recent(2)
    recent.put("a", "1")
    recent.put("b", "2")
    assert recent.get("a") == "1"
    recent.put("c", "3")
    assert [recent.get(key) for key in "abc"] == ["1", None, "3"]


def test_a_value_put_again_is_replaced_and_counts_as_used() -> None:
    recent: Recent[str] = Recent(2)
    for key, value in ("a1", "b2", "a3", "c4"):
        recent.put(key, value)
    assert [recent.get(key) for key in "abc"] == ["3", None, "4"]


def test_forgotten_values_are_let_go() -> None:
    class Handle:
        closed = False

        def __del__(self) -> None:
            Handle.closed = True

    recent: Recent[object] = Recent(1)
    recent.put("a", Handle())
    assert not Handle.closed
    recent.put("b", None)
    assert Handle.closed
