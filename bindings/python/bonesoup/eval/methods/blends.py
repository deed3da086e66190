"""Methods that are one model per preference: points of a soup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bonesoup.blend import Blend
from bonesoup.eval import solving
from bonesoup.eval.methods.method import Point
from bonesoup.eval.preferences import Preference
from bonesoup.eval.sampling import Row, Sample, sample
from bonesoup.eval.task import Task
from bonesoup.options import BlendKind, MethodChoice
from bonesoup.soup import Soup


class Blended:
    """A soup's own answer to a preference, at strength s: θ₀ + s·Σ λᵢ(μ)Δᵢ.

    Bone Soup, or Rewarded Soup where the matrix is the identity; s ≠ 1 is ExPO's stretch and WARP's way back.
    """

    own = 1.0
    # A "folded" blend is one pass over the weights to make; a live one, the adapters' products at each token.
    kind: BlendKind = "auto"

    def __init__(
        self, name: str, soup: Soup, strengths: Sequence[float] = (1.0,), description: str = "the soup's own blends"
    ) -> None:
        self.name, self.soup, self.strengths, self.description = name, soup, strengths, description

    def preferences(self, grid: Sequence[Preference]) -> list[Preference]:
        """All of them."""
        return list(grid)

    def blend(self, point: Point) -> Blend:
        """Return the blend at a point."""
        coefficients = [point.strength * part for part in self.coefficients(point.preference)]
        return self.soup.blend(coefficients=coefficients, kind=self.kind)

    def coefficients(self, preference: Preference) -> Sequence[float]:
        """Return λ(μ), whatever guard rails the soup has."""
        return solving.coefficients(self.soup, preference)

    def prompt(self, text: str, point: Point) -> str:
        """Return what the model reads for a prompt."""
        return text

    def sample(self, points: Sequence[Point], task: Task) -> Iterator[tuple[int, list[Sample]]]:
        """Write the texts of all points in one stream of rows."""
        rows = self._rows(points, task)
        each = len(task.prompts) * task.samples
        open_points: dict[int, list[Sample | None]] = {}
        missing = dict.fromkeys(range(len(points)), each)
        for index, text in sample(rows, task.sampling):
            number, place = divmod(index, each)
            open_points.setdefault(number, [None] * each)[place] = text
            missing[number] -= 1
            if not missing[number]:
                yield number, [text for text in open_points.pop(number) if text is not None]

    def _rows(self, points: Sequence[Point], task: Task) -> Iterator[Row]:
        read: dict[str, list[int]] = {}
        for point in points:
            blend = self.blend(point)
            for number, text in enumerate(task.prompts):
                prompt = self.prompt(text, point)
                tokens = read[prompt] if prompt in read else read.setdefault(prompt, self.soup.tokenize(prompt))
                for count in range(task.samples):
                    yield Row(blend, tokens, task.seed_of(number, count))


class Uniform(Blended):
    """Model soup: all backbones alike, whatever the preference."""

    def __init__(self, name: str, soup: Soup, strengths: Sequence[float] = (1.0,)) -> None:
        super().__init__(name, soup, strengths, "all backbones in equal parts, whatever the preference")

    def coefficients(self, preference: Preference) -> Sequence[float]:
        """1/m each."""
        count = len(self.soup.backbones)
        return [1 / count] * count


class Merged(Blended):
    """The soup's λ as the weights of a non-linear merge method, folded."""

    def __init__(self, name: str, soup: Soup, method: MethodChoice, strengths: Sequence[float] = (1.0,)) -> None:
        words = ", ".join([method.name, *(f"{setting.name} {setting.value}" for setting in method.settings)])
        super().__init__(name, soup, strengths, f"the soup's λ as the weights of the merge method {words}, folded")
        self._method = method

    def blend(self, point: Point) -> Blend:
        """Fold it."""
        coefficients = [point.strength * part for part in self.coefficients(point.preference)]
        return self.soup.blend(coefficients=coefficients, method=self._method, kind="folded")


class Prompted(Blended):
    """The base, asked in words. A base that was not tuned to follow instructions can't be expected to."""

    def __init__(self, name: str, soup: Soup) -> None:
        super().__init__(name, soup, (1.0,), "the base, asked for the objectives in words before the prompt")
        self._labels = [objective.label or objective.name for objective in soup.objectives]

    def coefficients(self, preference: Preference) -> Sequence[float]:
        """None of any backbone."""
        return [0.0] * len(self.soup.backbones)

    def prompt(self, text: str, point: Point) -> str:
        """Ask first."""
        wishes = [f"{round(100 * part)}% {label}" for part, label in zip(point.preference, self._labels) if part > 0]
        return f"Write a text that is {', '.join(wishes)}.\n\n{text}"


class Trained(Blended):
    """MORLHF, the oracle: a training of its own for each preference. There are only as many points as trainings."""

    def __init__(self, name: str, soups: Mapping[Preference, Soup], strengths: Sequence[float] = (1.0,)) -> None:
        self._soups = dict(soups)
        super().__init__(
            name,
            next(iter(self._soups.values())),
            strengths,
            "one training per preference, on that very mix of rewards (the oracle)",
        )

    def preferences(self, grid: Sequence[Preference]) -> list[Preference]:
        """Those that were trained for, in the grid or not."""
        return list(self._soups)

    def blend(self, point: Point) -> Blend:
        """Return the training's model."""
        return self._soups[point.preference].blend(coefficients=[point.strength], kind=self.kind)
