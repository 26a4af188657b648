"""What swref asks of every gauge, asked of this one."""

from swref_nuclear import WeightedNuclear

from swref.testing import parametrize_with_gauge_checks


@parametrize_with_gauge_checks("weighted-nuclear", WeightedNuclear(decay=2.5))
def test_weighted_nuclear(check):
    check()
