"""A GAN whose weights another package wrote, in a layout that is known here, as a target."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from ganguard.base.cache import content_key, file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import NonNegative, absolute
from ganguard.targets.conditions import Conditions
from ganguard.targets.foreign.settings import ForeignSettings
from ganguard.targets.load import naming
from ganguard.targets.module import ModuleTarget, WhiteBoxModuleTarget
from ganguard.targets.other_houses.layouts import discriminator_of, generator_of, layout_of
from ganguard.targets.other_houses.weights_file import read_weights


class StateDictTarget(ForeignSettings):
    """`state_dict`: a file with the weights of G, .pth or .safetensors, as mimicry or StudioGAN writes it.

    Attributes:
        discriminator: a file with the weights of D, of the same package; without it the target is a black
            box.
        label: the only class whose images a conditional G shall make. None has it asked for any of its
            classes, which `classes` may name.
    """

    state_dict: str
    discriminator: str | None = None
    label: Annotated[NonNegative, Field(lt=1 << 20)] | None = None

    @field_validator("state_dict", "discriminator")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return None if path is None else absolute(path)

    def fingerprint(self) -> str:
        """Return the digest of the files. Raises TargetError if one is absent."""
        files = [Path(path) for path in (self.state_dict, self.discriminator) if path]
        for file in files:
            if not file.is_file():
                raise TargetError(f"{file}: no such file. Give a file of weights, .pth or .safetensors.")
        return content_key(files=[file_digest(file) for file in files], label=self.label)

    def load(self, compute: Compute) -> ModuleTarget:
        """Load the weights.

        Raises TargetError if a file is absent, holds no plain weights, or those of another network.
        """
        identity = f"state_dict:{self.fingerprint()}"
        with naming(self.state_dict):
            weights = read_weights(Path(self.state_dict))
            layout = layout_of(weights)
            G = generator_of(weights, layout, self.label)
            known = self._known(G.classes)
        shape = self.code_shape() or (G.latent_dim,)
        build = ModuleTarget
        if self.discriminator is not None:
            side = min(G.canvas.size)
            with naming(self.discriminator):
                D = discriminator_of(read_weights(Path(self.discriminator)), layout, side, G.classes)
            build = partial(WhiteBoxModuleTarget, discriminator=D)
        with naming(self.state_dict):
            if shape != (G.latent_dim,):
                raise TargetError(
                    f"its codes are rows of {G.latent_dim} numbers; got {list(shape)}. Leave latent_dim and "
                    "latent_shape out."
                )
            return build(
                G,
                latent_dim=G.latent_dim,
                identity=identity,
                compute=compute,
                interface=replace(self.interface(shape), conditions=known),
            )

    def _known(self, classes: int) -> Conditions | None:
        """Return what G is asked for, if it knows any classes; they are numbered if they have no names.

        Raises TargetError if the settings name others.
        """
        if self.classes is None:
            return Conditions(names=tuple(map(str, range(classes)))) if classes else None
        if len(self.classes) != classes:
            one = " beside label" if self.label is not None else ""
            raise TargetError(
                f"classes must be those of its generator, which is asked for {classes}{one}; got "
                f"{len(self.classes)}. Leave classes out, or name {classes or 'none'}."
            )
        return self.classes
