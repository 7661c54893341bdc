"""Which weeks are marked: no more than chance allows, and every large change."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from scipy import stats

from tools.report.drift.significance import CHANCE, MIN_BURSTS, MIN_WEEKS, changes, exact, two_sided
from tools.report.drift.tally import Week

SHARES = {"empty": 0.5, "fox": 0.25, "deer": 0.15, "badger": 0.1}
CHANGED = SHARES | {"empty": 0.2, "fox": 0.55}
CAMERA = ("H500",)
RUNS = 100


def week(random: Random, images: int, shares: dict[str, float], score: float = 0.8) -> Week:
    made = Week()
    for label in random.choices(list(shares), list(shares.values()), k=images):
        made.add(label, random.triangular(score - 0.2, score + 0.2), starts_burst=True)
    return made


def weeks(random: Random, count: int, images: int, concentration: float = 0.0) -> dict[date, Week]:
    """Weeks of the same shares, or of shares that vary around them (Dirichlet) by ``concentration``."""
    made = {}
    for number in range(count):
        shares = SHARES
        if concentration:
            drawn = {label: random.gammavariate(share * concentration, 1) for label, share in SHARES.items()}
            shares = {label: value / sum(drawn.values()) for label, value in drawn.items()}
        made[date(2026, 1, 5) + timedelta(weeks=number)] = week(random, images, shares)
    return made


@pytest.mark.parametrize("concentration", [0.0, 60.0], ids=["independent photos", "weeks that vary"])
def test_without_a_change_few_reports_mark_anything(concentration: float) -> None:
    random = Random(1)
    marked = sum(
        bool(changes({(str(camera),): weeks(random, 10, 60, concentration) for camera in range(3)}))
        for _ in range(RUNS)
    )
    assert marked <= stats.binom.ppf(0.999, RUNS, CHANCE)


def test_a_large_change_of_a_label_is_marked_with_its_numbers() -> None:
    random = Random(2)
    found = 0
    for _ in range(20):
        made = weeks(random, 10, 100)
        last = max(made)
        made[last] = week(random, 100, CHANGED)
        marked = {change.label: change for change in changes({CAMERA: made})}
        if "fox" in marked:
            found += 1
            change = marked["fox"]
            assert (change.camera, change.monday, change.rises) == (CAMERA, last, True)
            assert change.now == made[last].labels["fox"] / 100
            assert change.before == pytest.approx(0.25, abs=0.06)
            assert 0 <= change.probability <= CHANCE
    assert found >= 15


def test_a_change_of_the_mean_score_is_marked() -> None:
    random = Random(3)
    made = weeks(random, 8, 80)
    last = max(made)
    made[last] = week(random, 80, SHARES, score=0.55)
    assert (last, None) in {(change.monday, change.label) for change in changes({CAMERA: made})}


def test_a_label_that_was_never_there_is_marked() -> None:
    random = Random(4)
    made = weeks(random, 8, 80)
    last = max(made)
    made[last] = week(random, 80, {"wolf": 0.5, "empty": 0.5})
    assert ("wolf", 0.0) in {(change.label, change.before) for change in changes({CAMERA: made})}


def test_few_weeks_and_few_photos_are_not_compared() -> None:
    random = Random(5)
    made = weeks(random, MIN_WEEKS, 60)
    made[max(made)] = week(random, 60, CHANGED)
    assert changes({CAMERA: made}) == []
    made = weeks(random, 10, 60)
    made[max(made)] = week(random, MIN_BURSTS - 1, {"wolf": 1.0})
    assert max(made) not in {change.monday for change in changes({CAMERA: made})}


def test_weeks_of_one_label_and_one_score_are_no_change() -> None:
    made = {date(2026, 1, 5) + timedelta(weeks=number): Week() for number in range(8)}
    for each in made.values():
        for _ in range(40):
            each.add("empty", 1.0, starts_burst=True)
    assert changes({CAMERA: made}) == []


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 11, 40, 1000])
@pytest.mark.parametrize("statistic", [0.0, 0.4, -1.0, 2.5, 6.0, 30.0])
def test_probabilities_are_those_of_scipy(statistic: float, freedom: int) -> None:
    assert two_sided(statistic, freedom) == pytest.approx(2 * stats.t.sf(abs(statistic), freedom), abs=1e-12)


@pytest.mark.parametrize(
    "drawn", [(24, 24, 672, 0), (24, 0, 672, 3), (30, 4, 200, 2), (20, 20, 90, 90), (21, 1, 80, 4)]
)
def test_probabilities_of_few_photos_are_those_of_scipy(drawn: tuple[int, int, int, int]) -> None:
    number, hits, other_number, other_hits = drawn
    hypergeometric = stats.hypergeom(number + other_number, hits + other_hits, number)
    smaller = min(hypergeometric.cdf(hits), hypergeometric.sf(hits - 1))
    assert exact(*drawn) == pytest.approx(min(1.0, 2 * smaller), rel=1e-9)
