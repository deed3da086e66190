"""Measures of fronts, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

numpy = pytest.importorskip("numpy")
pytest.importorskip("moocore", reason="the extra eval is not installed")

from bonesoup.eval import calibration, comparison, guard, measures, preferences  # noqa: E402
from bonesoup.eval.collect import Measured  # noqa: E402
from bonesoup.eval.surface import Surface  # noqa: E402

# Two corners and the middle of a line; the last is beaten by the second.
FRONT = numpy.asarray([[0.0, 2.0], [1.0, 1.5], [2.0, 0.0], [0.5, 1.0]])
LINE = numpy.asarray([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])


def test_simplex_has_all_points_once() -> None:
    points = preferences.simplex(3, 10)
    assert len(points) == len(set(points)) == 66
    assert all(math.isclose(sum(point), 1) for point in points)
    assert preferences.simplex(2, 2) == [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)]
    assert preferences.simplex(1, 5) == [(1.0,)]


def test_neighbours_are_one_step_apart() -> None:
    points = preferences.simplex(3, 2)
    pairs = preferences.neighbours(points)
    assert len(pairs) == 9
    assert {round(preferences.distance(points[a], points[b]), 9) for a, b in pairs} == {round(math.sqrt(0.5), 9)}


def test_hypervolume_is_the_area_above_the_reference() -> None:
    # Steps of the staircase above (-1, -1): 1·3 + 1·2.5 + 1·1.
    assert measures.hypervolume(FRONT, (-1.0, -1.0)) == pytest.approx(6.5)
    assert measures.hypervolume(FRONT, (5.0, 5.0)) == 0.0
    # A point that is not above the reference in everything adds nothing.
    assert measures.hypervolume(numpy.asarray([[1.0, 1.0], [9.0, -1.0]]), (0.0, 0.0)) == pytest.approx(1.0)


def test_nondominated_points() -> None:
    assert measures.nondominated(FRONT).tolist() == [True, True, True, False]
    assert measures.nondominated(numpy.asarray([[1.0, 1.0], [1.0, 1.0]])).sum() == 1


def test_inner_product_is_the_mean_of_what_was_asked() -> None:
    rewards = numpy.asarray([[0.0, 2.0], [1.0, 1.0], [4.0, 0.0]])
    assert measures.inner_product(LINE, rewards) == pytest.approx((2 + 1 + 4) / 3)


def test_sparsity_and_spacing() -> None:
    # Sorted by each objective: steps 1, 1 and 1.5, 0.5; over 2 gaps.
    assert measures.sparsity(FRONT) == pytest.approx((1 + 1 + 2.25 + 0.25) / 2)
    # Distances to the nearest in ‖·‖₁: 1.5, 1.5, 2.5.
    assert measures.spacing(FRONT) == pytest.approx(numpy.std([1.5, 1.5, 2.5], ddof=1))
    assert measures.sparsity(FRONT[:1]) == measures.spacing(FRONT[:1]) == 0.0


def test_controllability_counts_pairs_that_go_the_right_way() -> None:
    rising = numpy.asarray([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    assert measures.controllability(LINE, rising) == 1.0
    assert measures.controllability(LINE, -rising) == 0.0
    # The first objective is right in 2 of 3 pairs, the second in all.
    bent = numpy.asarray([[0.0, 2.0], [3.0, 1.0], [2.0, 0.0]])
    assert measures.controllability(LINE, bent) == pytest.approx(5 / 6)
    # What does not move did not follow.
    assert measures.controllability(LINE, numpy.zeros((3, 2))) == 0.0


def test_continuity_is_the_steepest_pair() -> None:
    rewards = numpy.asarray([[0.0, 2.0], [1.0, 1.0], [4.0, 0.0]])
    assert measures.continuity(LINE, rewards) == pytest.approx(math.sqrt(10) / math.sqrt(0.5))


def measured(strengths: tuple[float, ...], gain: float, prompts: int = 40) -> Measured:
    """A method whose reward grows as gain·√KL, with KL = strength²."""
    noise = numpy.random.default_rng(3).normal(0, 0.01, (1, 1, prompts, 1))
    scale = numpy.asarray(strengths)[:, None, None, None]
    rewards = gain * scale * LINE[None, :, None, :] + noise
    kl = numpy.broadcast_to(scale[..., 0] ** 2, rewards.shape[:3]).copy()
    points = tuple(tuple(map(float, point)) for point in LINE)
    empty = numpy.zeros((*rewards.shape[:3], 0))
    return Measured(
        f"gain {gain:g}", strengths, strengths.index(1.0), points, rewards, empty, kl, kl, kl + 1, numpy.empty(0)
    )


def test_a_longer_step_alone_gains_nothing_at_equal_kl() -> None:
    ours, longer = measured((0.5, 1.0, 1.5), 1.0), measured((0.5, 1.0, 1.5), 1.0)
    # The same path, walked further: better as it is, the same at equal KL.
    further = Measured(**{**vars(longer), "name": "further", "own": 2})
    found = comparison.compare([ours, further], beta=0.0, resamples=50)["methods"]["further"]
    assert found["own"]["mu_r"]["value"] > 1.3 * found["equal_kl"]["mu_r"]["value"]
    lead = found["lead"]["equal_kl"]["mu_r"]
    assert lead["value"] == pytest.approx(0, abs=1e-6)
    assert found["out_of_reach"] == 0


def test_between_strengths_rewards_go_with_the_root_of_kl() -> None:
    # r = √KL, measured at KL 1 alone: at KL ¼ it is ½, and above a base at 0.2 it is 0.6.
    one = measured((1.0,), 1.0)
    one = Measured(**{**vars(one), "rewards": numpy.ones_like(one.rewards)})
    weights = comparison.draws(40, 0)
    target = numpy.full((1, 3), 0.25)
    assert comparison.front_at(one, weights, target)[0].rewards == pytest.approx(0.5)
    raised = Measured(**{**vars(one), "base": numpy.full((40, 2), 0.2)})
    assert comparison.front_at(raised, weights, target)[0].rewards == pytest.approx(0.6)


def test_comparison_finds_a_better_direction_and_says_what_is_out_of_reach() -> None:
    ours, worse = measured((0.5, 1.0), 1.0), measured((0.5, 0.8, 1.0), 0.7)
    short = Measured(**{**vars(worse), "kl": worse.kl * 0.5})
    result = comparison.compare([ours, worse], beta=0.1, resamples=50)
    lead = result["methods"][worse.name]["lead"]["equal_kl"]
    assert lead["mu_r"]["low"] > 0.1 and lead["hypervolume"]["low"] > 0
    own = result["methods"][ours.name]["own"]
    assert own["j"]["value"] == pytest.approx(own["mu_r"]["value"] - 0.1)
    # At half the KL, of which it comes to no more, ours would have √½ of its reward.
    found = comparison.compare([ours, short], beta=0.1, resamples=5)["methods"][worse.name]
    assert found["out_of_reach"] == 1
    assert found["lead"]["equal_kl"]["kl"]["value"] == pytest.approx(0, abs=1e-9)
    assert found["lead"]["own"]["kl"]["value"] == pytest.approx(0.5)


def test_bootstrap_begins_with_all_prompts() -> None:
    weights = comparison.draws(7, 20)
    assert weights.shape == (21, 7)
    assert numpy.allclose(weights.sum(axis=1), 1)
    assert numpy.allclose(weights[0], 1 / 7)


def test_surface_gives_back_a_mixture() -> None:
    points = preferences.simplex(3, 4)
    rewards = [[2 * a + b * c, b, a * c - c] for a, b, c in points]
    surface = Surface(points, rewards)
    assert surface.residual.max() < 1e-9
    assert surface((0.2, 0.3, 0.5))[0] == pytest.approx([0.4 + 0.15, 0.3, 0.1 - 0.5])


def test_calibrated_sliders_change_equally() -> None:
    points = preferences.simplex(3, 10)
    rewards = [[a * a * 3, b + a * b, c] for a, b, c in points]
    surface = Surface(points, rewards)
    found = calibration.calibrate(["a", "b", "c"], [1, 1, 1], points, rewards)
    for slider in found["sliders"].values():
        assert slider["preference"][0] == 0 and slider["preference"][-1] == 1
        assert slider["preference"] == sorted(slider["preference"])
    assert max(calibration.evenness(found, surface, [1, 1, 1])) < 1.05
    plain = {"sliders": {name: {"preference": numpy.linspace(0, 1, 21)} for name in "abc"}}
    assert calibration.evenness(plain, surface, [1, 1, 1])[0] > 1.5


def front(points: list[preferences.Preference]) -> dict[str, object]:
    names = ["a", "b", "c"]
    return {
        "objectives": names,
        "points": [
            {
                "preference": dict(zip(names, point)),
                "rewards": dict(zip(names, point)),
                "errors": dict.fromkeys(names, 0),
            }
            for point in points
        ],
    }


def test_guard_finds_the_box_where_all_floors_hold() -> None:
    points = preferences.simplex(3, 10)
    found = guard.find(front(points), {"a": 0.24, "b": 0.09})
    assert found.minimum[0] == pytest.approx(0.25) and found.minimum[1] == pytest.approx(0.1)
    assert found.region == found.box
    with pytest.raises(Exception, match="no preference keeps all floors"):
        guard.find(front(points), {"a": 0.7, "b": 0.7})
    with pytest.raises(LookupError, match="no objective d"):
        guard.find(front(points), {"d": 0.7})


def test_guard_keeps_the_whole_error_of_points_that_share_prompts() -> None:
    points = preferences.simplex(3, 10)
    noisy = front(points)
    for point in noisy["points"]:  # type: ignore[attr-defined]
        point["errors"] = dict.fromkeys("abc", 0.1)
    # 0.24 and 1.96 errors of 0.1, on a grid of fortieths.
    assert guard.find(noisy, {"a": 0.24}).minimum[0] == pytest.approx(0.45)


def test_only_measures_that_noise_does_not_push_have_intervals() -> None:
    found = comparison.compare([measured((0.5, 1.0), 1.0)], beta=0.1, resamples=20)["methods"]["gain 1"]["own"]
    for name, value in found.items():
        if name in comparison.WITHOUT:
            assert set(value) == {"value"}
        else:
            assert value["low"] <= value["value"] + 1e-9 and value["value"] <= value["high"] + 1e-9, name
