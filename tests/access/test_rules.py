"""The decision, with a clock that is told what time it is."""

import dataclasses
from collections.abc import Hashable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.access.options import moment, read_options, rules_of
from chunkserve.access.pattern import Pattern, split_path
from chunkserve.access.principal import ACTIONS, ANONYMOUS, Action, Principal, Scope
from chunkserve.access.rules import LEVELS, Rule, Rules
from chunkserve.access.sight import Sight
from chunkserve.errors import BadRequest

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
DATE = NEW_YEAR.timestamp()
ANNA = Principal("anna", frozenset({"p42"}))
BORIS = Principal("boris", frozenset({"p43"}))
CLARA = Principal("clara")

EXAMPLE = rules_of(
    read_options(
        {
            "default": "closed",
            "rule": [
                {"path": "open/**", "level": "anonymous"},
                {"path": "p42/**", "groups": ["p42"], "embargo_until": NEW_YEAR},
                {"path": "p43/**", "groups": ["p43"], "users": ["clara"]},
                {"path": "staff/**", "level": "authenticated"},
                {"path": "later/**", "level": "anonymous", "embargo_until": NEW_YEAR, "after": "authenticated"},
            ],
        },
        "test",
    )
)


@pytest.mark.parametrize(
    ("path", "before", "afterwards"),
    [
        ("open/x.h5", "-abc", "-abc"),
        ("open", "-abc", "-abc"),
        ("p42/x.h5", "a", "-abc"),
        ("p43/x.h5", "bc", "bc"),
        ("staff/x.h5", "abc", "abc"),
        ("later/x.h5", "", "abc"),
        ("elsewhere/x.h5", "", ""),
        ("", "", ""),
    ],
)
def test_who_may_see_what_when(path: str, before: str, afterwards: str) -> None:
    everybody = {"-": ANONYMOUS, "a": ANNA, "b": BORIS, "c": CLARA}
    for now, expected in ((DATE - 1, before), (DATE, afterwards)):
        seen = "".join(
            letter for letter, who in everybody.items() if EXAMPLE.may(who, "data", split_path(path), now).allowed
        )
        assert seen == expected


def test_an_embargo_ends_in_its_very_second() -> None:
    path = ("p42", "x.h5")
    assert not EXAMPLE.may(ANONYMOUS, "data", path, DATE - 1e-6).allowed
    assert EXAMPLE.may(ANONYMOUS, "data", path, DATE).allowed


def test_a_date_that_is_no_number_never_comes() -> None:
    rule = Rule(Pattern.parse("**"), "anonymous", embargo_until=float("nan"))
    assert not Rules((rule,)).may(ANONYMOUS, "data", ("x",), 1e18).allowed


@pytest.mark.parametrize("value", ["soon", "2027-13-01", 5, True, [], datetime(2027, 1, 1)])  # noqa: DTZ001
def test_a_date_that_cannot_be_read_is_an_error_that_shows_a_good_one(value: object) -> None:
    with pytest.raises(BadRequest, match="2027-01-01T00:00:00Z"):
        read_options({"rule": [{"path": "x", "embargo_until": value}]}, "rules.toml")


def test_dates_may_be_written_in_several_ways() -> None:
    for value in (NEW_YEAR, NEW_YEAR.date(), "2027-01-01", "2027-01-01T01:00:00+01:00", "2027-01-01T00:00:00Z"):
        assert moment(value) == DATE


def test_the_first_rule_that_names_a_path_decides() -> None:
    rules = Rules(
        (Rule(Pattern.parse("a/secret/**"), users=frozenset({"anna"})), Rule(Pattern.parse("a/**"), "anonymous")),
        default_open=True,
    )
    assert not rules.may(ANONYMOUS, "data", ("a", "secret", "x"), 0).allowed
    assert rules.may(ANONYMOUS, "data", ("a", "x"), 0).allowed
    assert rules.may(ANONYMOUS, "data", ("b",), 0).allowed


def test_a_rule_for_some_actions_leaves_the_others_to_the_next() -> None:
    rules = Rules(
        (
            Rule(Pattern.parse("**"), "anonymous", actions=frozenset({"metadata"})),
            Rule(Pattern.parse("**"), "authenticated"),
        )
    )
    assert rules.may(ANONYMOUS, "metadata", ("x",), 0).allowed
    assert not rules.may(ANONYMOUS, "data", ("x",), 0).allowed
    assert rules.may(ANNA, "download", ("x",), 0).allowed


def test_a_scope_takes_away_and_a_grant_gives() -> None:
    narrow = dataclasses.replace(ANNA, scope=Scope(frozenset({"data"}), (Pattern.parse("p42/a.h5"),)))
    assert EXAMPLE.may(narrow, "data", ("p42", "a.h5"), 0).allowed
    assert not EXAMPLE.may(narrow, "download", ("p42", "a.h5"), 0).allowed
    assert not EXAMPLE.may(narrow, "data", ("open", "a.h5"), 0).allowed
    holder = Principal(way="link", grant=Scope(frozenset({"data"}), (Pattern.parse("p43/**"),)), expires=100)
    assert EXAMPLE.may(holder, "data", ("p43", "a.h5"), 99).allowed
    assert not EXAMPLE.may(holder, "data", ("p43", "a.h5"), 100).allowed
    assert not EXAMPLE.may(holder, "download", ("p43", "a.h5"), 99).allowed
    assert not EXAMPLE.may(holder, "data", ("p42", "a.h5"), 99).allowed
    assert not EXAMPLE.may(holder, "data", ("staff", "a.h5"), 99).allowed


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"rule": [{"path": "x"}]}, "needs users, groups or a resolver"),
        ({"rule": [{"path": "x", "level": "public"}]}, "public"),
        ({"rule": [{"path": "../x", "level": "anonymous"}]}, "no pattern"),
        ({"rule": [{"path": "x", "level": "anonymous", "actions": []}]}, "no actions"),
        ({"rule": [{"level": "anonymous"}]}, "path"),
        ({"rule": [{"path": "x", "level": "anonymous", "group": ["p42"]}]}, "group"),
        ({"default": "maybe"}, "maybe"),
        ({"rules": []}, "rules"),
        ("closed", "Expected"),
    ],
)
def test_what_is_not_understood_is_refused(section: object, complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint):
        read_options(section, "rules.toml")


# ------------------------------------------------------------------- properties

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=3).map(tuple).map(Pattern)
WORDS = st.frozensets(NAMES, max_size=2)
RULES = st.builds(
    Rule,
    PATTERNS,
    st.sampled_from(LEVELS),
    WORDS,
    WORDS,
    st.frozensets(st.sampled_from(sorted(ACTIONS)), min_size=1),
    st.none() | st.integers(0, 10).map(float),
    st.sampled_from(LEVELS),
)
MANY = st.builds(Rules, st.lists(RULES, max_size=5).map(tuple), st.booleans())
SCOPES = st.builds(Scope, st.frozensets(st.sampled_from(sorted(ACTIONS))), st.none() | st.tuples(PATTERNS))
PEOPLE = st.builds(Principal, NAMES | st.just(""), WORDS, st.just(""), SCOPES, st.none() | SCOPES)
ACTIONS_ASKED = st.sampled_from(sorted(ACTIONS))


@given(MANY, PEOPLE, ACTIONS_ASKED, PATHS, st.integers(0, 11))
def test_a_sight_sees_what_the_rules_allow(
    rules: Rules, who: Principal, action: Action, path: tuple[str, ...], now: int
) -> None:
    sight = Sight(rules, who, action, now)
    assert sight.may(path) == rules.may(who, action, path, now).allowed


@given(MANY, PEOPLE, ACTIONS_ASKED, PATHS, st.integers(0, 11))
def test_a_sight_holds_until_it_says(
    rules: Rules, who: Principal, action: Action, path: tuple[str, ...], now: int
) -> None:
    sight = Sight(rules, who, action, now)
    for later in range(now, 12):
        if later < sight.until:
            assert rules.may(who, action, path, later).allowed == sight.may(path)
    for earlier in range(now):
        if earlier >= sight.since:
            assert rules.may(who, action, path, earlier).allowed == sight.may(path)


@given(MANY, st.lists(PEOPLE, min_size=2, max_size=5), PATHS)
def test_those_whose_sights_are_equal_see_the_same(
    rules: Rules, people: list[Principal], path: tuple[str, ...]
) -> None:
    seen: dict[Hashable, bool] = {}
    for who in people:
        for action in sorted(ACTIONS):
            for now in (0, 5, 11):
                sight = Sight(rules, who, action, now)
                assert seen.setdefault(sight.key, sight.may(path)) == sight.may(path)


@given(MANY, PEOPLE, ACTIONS_ASKED, PATHS)
def test_the_way_to_what_may_be_seen_is_open(
    rules: Rules, who: Principal, action: Action, path: tuple[str, ...]
) -> None:
    sight = Sight(rules, who, action, 5)
    if sight.may(path):
        assert all(sight.leads_below(path[:n]) for n in range(len(path)))


@given(MANY, PEOPLE, PATHS, st.integers(0, 11))
def test_without_a_rule_an_open_embargo_only_opens(
    rules: Rules, who: Principal, path: tuple[str, ...], now: int
) -> None:
    softer = Rules(tuple(dataclasses.replace(r, after="anonymous", level="authorised") for r in rules.rules))
    if softer.may(who, "data", path, now).allowed:
        assert softer.may(who, "data", path, now + 1).allowed
