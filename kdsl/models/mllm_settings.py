"""Settings of the voters `small` and `large`: which model, how it scores, how it is post-trained."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kdsl.models.augment import AugmentSettings
from kdsl.models.model_settings import ModelSettings


class LoraSettings(BaseModel):
    """How an adapter is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(16, ge=1, le=512)
    alpha: int = Field(32, ge=1, le=1_024)
    dropout: float = Field(0.05, ge=0, lt=1)
    vision: bool = Field(False, description="adapt the vision part too")
    joint: bool = Field(
        False, description="one adapter learns all tasks, whose steps take turns; `seesaw` tells what that costs"
    )
    rate: float = Field(2e-4, gt=0, le=1, description="learning rate at its height")
    steps: int = Field(200, ge=1, le=1_000_000)
    rows: int = Field(8, ge=1, le=4_096, description="examples of one forward pass")
    accumulate: int = Field(1, ge=1, le=1_024, description="forward passes of one step")
    held_out: float = Field(
        0.2, ge=0, lt=1, description="share of each label's examples kept apart to stop by; 0: none"
    )
    average: float = Field(
        0.0, ge=0, lt=1, description="where nothing is held out: share of the last steps whose adapters are averaged"
    )
    evaluate_every: int = Field(20, ge=1, description="steps between two looks at the held-out examples")
    patience: int = Field(5, ge=1, description="looks without a gain after which training stops")
    save_every: int = Field(20, ge=1, description="steps that a kill can cost")
    refit: Literal["anew", "on", "never"] = Field(
        "anew",
        description="once scored on its hold-out: learn all examples anew, or go on with them from there for a quarter "
        "of the steps, or stay as it is, without having seen the hold-out",
    )
    checkpointing: bool = Field(False, description="compute activations twice and keep them never: for small GPUs")
    augment: AugmentSettings = Field(default_factory=AugmentSettings)

    @property
    def going_on(self) -> "LoraSettings":
        """Of a training that goes on from an adapter."""
        return self.model_copy(update={"steps": -(-self.steps // 4)})


class MllmSettings(ModelSettings):
    """One multimodal model. With a path the voter takes part, whatever else is set here or not."""

    path: str = Field("", description="folder of a checkpoint, or a hub id in the local cache; empty: no such voter")
    called: str = Field("", description="what tables call it beside small or large, as Qwen2-VL-2B")
    post_train: bool = Field(True, description="train a LoRA adapter a task; false: label by the descriptions alone")
    lora: LoraSettings = Field(default_factory=LoraSettings)
    unfinished: str = Field(
        "", description="folder where a killed post-training finds its state; empty: it starts anew"
    )

    @property
    def model(self) -> ModelSettings:
        """What a release keeps of it."""
        return ModelSettings.model_validate(self.model_dump(include=set(ModelSettings.model_fields)))
