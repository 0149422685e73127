"""What a recipe keeps of the tuning that it comes from: the search space, and each model's trials. Imports no torch."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

__all__ = ["LONGEST_NAME", "ModelTuning", "Tuning"]

LONGEST_NAME: Final = 80
"""Of a recipe, in characters."""

Accuracy = Annotated[float, Field(ge=0, le=1)]


class ModelTuning(BaseModel):
    """The trials of one model."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    chosen: PositiveInt
    """The number of the trial whose fields the recipe has, counted from 1."""
    minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Of training, all finished trials together."""
    failed: Annotated[int, Field(ge=0)] = 0
    """Trials without a result."""
    validation_accuracies: Annotated[tuple[Accuracy, ...], Field(min_length=1, strict=False)]
    """Of the finished trials, in order, after their last epoch."""

    @model_validator(mode="after")
    def _check_chosen(self) -> Self:
        trials = len(self.validation_accuracies) + self.failed
        if self.chosen > trials:
            message = f"trial {self.chosen} was chosen of {trials}"
            raise ValueError(message)
        return self

    def described(self, model: str) -> str:
        """Return the trials in a sentence."""
        accuracies = self.validation_accuracies
        lowest, highest = (f"{100 * value:.2f}\N{NO-BREAK SPACE}%" for value in (min(accuracies), max(accuracies)))
        number = len(accuracies) + self.failed
        spent = f"{60 * self.minutes:.2g} s" if self.minutes < 1 else f"{self.minutes:.1f} min"
        failures = f", {self.failed} of them failed" if self.failed else ""
        return (
            f"{model}: {number} trial{'s' if number > 1 else ''}{failures}, {spent} of training, "
            f"validation accuracy {lowest if lowest == highest else f'{lowest} to {highest}'}; "
            f"trial {self.chosen} was chosen"
        )


class Tuning(BaseModel):
    """Where a tuned recipe comes from."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    recipe: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    """The name of the recipe that was tuned."""
    space: Annotated[tuple[str, ...], Field(strict=False)]
    """The search space, the same for every model, a line for each field."""
    models: dict[str, ModelTuning]
    """By model."""
