"""Finds the weeks of a camera that differ from the weeks before by more than chance explains.

A label's share in a week is compared with its share in the weeks before by the test of two proportions, or by Fisher's
exact test where the photos are too few for that, and the mean score by Welch's test. A burst of photos counts once.
Where the weeks before vary more than independent photos would, the variance is multiplied by their dispersion,
Pearson's chi-squared over its degrees of freedom (McCullagh and Nelder, Generalized Linear Models, 1989, section 4.5),
and the statistic has Student's t distribution with one degree of freedom less than there are weeks. Holm's method
(Scandinavian Journal of Statistics 6, 1979) keeps the chance of any false mark among all tests of a report at 5 %.
``tests/tools/report/drift/test_significance.py`` holds that by simulation.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from tools.report.drift.tally import Bursts, Camera, Week

CHANCE = 0.05
"""The chance that a report marks anything although nothing changed."""
MIN_BURSTS = 20
"""A week with fewer bursts is neither tested nor compared with."""
MIN_WEEKS, MAX_WEEKS = 4, 12
"""The weeks before that a week is compared with: at least and at most."""
_MANY = 1_000  # degrees of freedom: Student's t is then the normal distribution
_MIN_EXPECTED = 5.0  # bursts of a label, and of all others, in both parts: the usual bound of the normal approximation


@dataclass(frozen=True, slots=True)
class Change:
    """A week that differs from the weeks before.

    Attributes:
        camera: Of the week.
        monday: The week's first day.
        label: The label whose share changed; ``None`` where the mean score changed.
        before: The share or the mean score of the weeks before, in [0, 1].
        now: That of the week.
        probability: Of a difference this large by chance, times the number of tests that Holm's method counts.
    """

    camera: Camera
    monday: date
    label: str | None
    before: float
    now: float
    probability: float

    @property
    def rises(self) -> bool:
        """Whether it is a label with a larger share than before."""
        return self.label is not None and self.now > self.before


def changes(cameras: Mapping[Camera, Mapping[date, Week]]) -> list[Change]:
    """Return the changes of all cameras, the least probable first."""
    tests = sorted(
        (test for camera, weeks in cameras.items() for test in _tests(camera, weeks)),
        key=lambda test: test.probability,
    )
    found: list[Change] = []
    for place, test in enumerate(tests):
        adjusted = test.probability * (len(tests) - place)
        if adjusted > CHANCE:
            break
        found.append(Change(test.camera, test.monday, test.label, test.before, test.now, max(adjusted, _last(found))))
    return found


def _last(found: Sequence[Change]) -> float:
    return found[-1].probability if found else 0.0


def _tests(camera: Camera, weeks: Mapping[date, Week]) -> Iterator[Change]:
    """Every test of a camera, with its probability before Holm's method."""
    counted = [(monday, weeks[monday].bursts) for monday in sorted(weeks) if weeks[monday].bursts.total >= MIN_BURSTS]
    for place in range(MIN_WEEKS, len(counted)):
        monday, week = counted[place]
        earlier = [each for _, each in counted[max(0, place - MAX_WEEKS) : place]]
        yield from (Change(camera, monday, *test) for test in _label_tests(week, earlier))
        yield Change(camera, monday, None, *_score_test(week, earlier))


def _label_tests(week: Bursts, earlier: Sequence[Bursts]) -> Iterator[tuple[str, float, float, float]]:
    before: Counter[str] = Counter()
    for each in earlier:
        before.update(each.labels)
    bursts, bursts_before = week.total, before.total()
    dispersion, freedom = _dispersion(earlier, before)
    for label in sorted(before.keys() | week.labels.keys()):
        share, share_before = week.labels[label] / bursts, before[label] / bursts_before
        pooled = (week.labels[label] + before[label]) / (bursts + bursts_before)
        if min(pooled, 1 - pooled) * min(bursts, bursts_before) < _MIN_EXPECTED:
            # As many independent photos as these are worth; none is rounded up.
            drawn, marked = int(bursts / dispersion), int(week.labels[label] / dispersion)
            others = math.ceil(bursts_before / dispersion), math.ceil(before[label] / dispersion)
            yield label, share_before, share, exact(drawn, marked, *others)
            continue
        variance = dispersion * pooled * (1 - pooled) * (1 / bursts + 1 / bursts_before)
        yield label, share_before, share, two_sided((share - share_before) / math.sqrt(variance), freedom)


def _dispersion(weeks: Sequence[Bursts], total: Counter[str]) -> tuple[float, int]:
    """How much the weeks vary, compared with independent draws, at least 1; and the degrees of freedom of that.

    Labels that are too rare for the test count as one.
    """
    bursts = total.total()
    least = min(week.total for week in weeks) / bursts
    common = [label for label, number in total.items() if number * least >= _MIN_EXPECTED]
    chi_squared, categories = 0.0, 0
    for labels in [{label} for label in common] + [total.keys() - set(common)]:
        share = sum(total[label] for label in labels) / bursts
        if not share:
            continue
        categories += 1
        for week in weeks:
            expected = week.total * share
            chi_squared += (sum(week.labels[label] for label in labels) - expected) ** 2 / expected
    freedom = (len(weeks) - 1) * max(1, categories - 1)
    excess = chi_squared / freedom
    return (excess, len(weeks) - 1) if excess > 1 else (1.0, _MANY)


def _score_test(week: Bursts, earlier: Sequence[Bursts]) -> tuple[float, float, float]:
    bursts_before = sum(each.total for each in earlier)
    before = sum(each.score_sum for each in earlier) / bursts_before
    within = sum(each.deviation() for each in earlier) / (bursts_before - len(earlier))
    between = sum(each.total * (each.mean_score - before) ** 2 for each in earlier) / (len(earlier) - 1)
    own = week.deviation() / (week.total - 1)
    dispersion, freedom = (between / within, len(earlier) - 1) if between > within > 0 else (1.0, _MANY)
    variance = dispersion * (own / week.total + within / bursts_before)
    if not variance:
        return before, week.mean_score, 1.0 if math.isclose(before, week.mean_score, abs_tol=1e-9) else 0.0
    return before, week.mean_score, two_sided((week.mean_score - before) / math.sqrt(variance), freedom)


def exact(drawn: int, hits: int, other_drawn: int, other_hits: int) -> float:
    """The probability of a share at least as far from the other one: Fisher's exact test, twice its smaller tail.

    Source: Fisher, Statistical Methods for Research Workers, 5th edition 1934, section 21.02.
    """
    all_drawn, all_hits = drawn + other_drawn, hits + other_hits
    ways = math.comb(all_drawn, drawn)

    def tail(counts: range) -> float:
        return (
            sum(math.comb(all_hits, count) * math.comb(all_drawn - all_hits, drawn - count) for count in counts) / ways
        )

    lowest, highest = max(0, drawn - (all_drawn - all_hits)), min(drawn, all_hits)
    return min(1.0, 2 * min(tail(range(lowest, hits + 1)), tail(range(hits, highest + 1))))


def two_sided(statistic: float, freedom: int) -> float:
    """The probability that Student's t is at least as far from 0, by its finite series for whole degrees of freedom.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4.
    """
    angle = math.atan2(abs(statistic), math.sqrt(freedom))
    cosine_squared = math.cos(angle) ** 2
    odd = freedom % 2
    term = total = math.cos(angle) if odd else 1.0
    for number in range(2 + odd, freedom - 1, 2):
        term *= (number - 1) / number * cosine_squared
        total += term
    total *= math.sin(angle)
    within = 2 / math.pi * (angle + (total if freedom > 1 else 0.0)) if odd else total
    return max(0.0, 1.0 - within)
