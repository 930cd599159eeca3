"""Settings of one model: where it lies, how it is loaded and how it scores."""

import gc
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kdsl.errors import ConfigError
from kdsl.models import checkpoint, int8
from kdsl.models.device import device_of
from kdsl.models.prompt import Listed

_ASIDE = {"path", "allow_download", "device", "batch_tokens", "window", "threads", "weights"}


class ModelSettings(BaseModel):
    """How one model is loaded and how it scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1, description="folder of a checkpoint, or a hub id in the local cache")
    allow_download: bool = Field(False, description="fetch a hub id that is not in the local cache")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: a GPU where there is one")
    max_pixels: int = Field(200_704, ge=784, description="a picture is scaled down to so many pixels (448 x 448)")
    min_pixels: int = Field(3_136, ge=64, description="and up to so many")
    max_image_bytes: int = Field(20_000_000, ge=1, description="a larger file is not decoded")
    max_image_pixels: int = Field(50_000_000, ge=1, description="pictures with more are refused before decoding")
    max_pictures: int = Field(4, ge=0, le=64, description="the last pictures of a dialogue, one sent twice as two")
    own_tokens: int = Field(1_024, ge=32, description="tokens of one item at most; the oldest agent turns go first")
    agent_turns: bool = Field(True, description="false: only the shopper's turns are read, if anything is in them")
    labels: Listed = Field(
        "described", description="how labels stand in the prompt; none: only for models post-trained on them"
    )
    shots: int = Field(
        0, ge=0, le=16, description="examples of each label in the prompt, told in words; none with labels: none"
    )
    permutations: int = Field(1, ge=1, le=26, description="assignments of codes to labels, averaged: see order effects")
    batch_tokens: Literal["auto"] | Annotated[int, Field(ge=64)] = Field(
        "auto", description="tokens of one batch, padding and shared ones counted; auto: by the device's free memory"
    )
    window: int = Field(256, ge=1, le=65_536, description="items in a row that are sorted by length together")
    threads: int = Field(2, ge=1, le=64, description="threads that decode pictures ahead of the model")

    weights: Literal["full", "int8"] = Field(
        "full", description="int8: on a CPU, labels are scored with rounded weights, faster and in less memory"
    )

    @property
    def shown(self) -> dict[str, Any]:
        """All but where the model lies and how fast it runs: what an adapter learns follows from these."""
        # What was begun before there was a choice goes on: the key stands there where it says something new.
        aside = _ASIDE | ({"agent_turns"} if self.agent_turns else set())
        return self.model_dump(mode="json", exclude=aside)

    def loaded(self) -> checkpoint.Loaded:
        """The checkpoint, loaded anew, its weights in full.

        Raises:
            ConfigError: int8 weights are asked for on a GPU, or of a model that has few to round; or see
                `kdsl.models.checkpoint`.
        """
        device = device_of(self.device)
        if device != "cpu":
            gc.collect()  # a model given up refers to itself, by the forwards that replace its modules' own
        if self.weights == "int8" and device != "cpu":
            raise ConfigError(
                f"weights: int8 is for CPUs and device: {self.device} means {device}; set device: cpu or weights: full."
            )
        loaded = checkpoint.load(
            self.path,
            device=device,
            max_pixels=self.max_pixels,
            min_pixels=self.min_pixels,
            allow_download=self.allow_download,
        )
        if self.weights == "int8":
            int8.check(loaded.model)
        return loaded
