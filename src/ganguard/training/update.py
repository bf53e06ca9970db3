"""One step of a GAN's training: n_dis updates of D, one update of G, and one of the average of G's
weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ganguard.architectures.drawing import Drawing, undrawn
from ganguard.architectures.networks import GAN, Classifying, Networks, made_by
from ganguard.base.image_rows import Images
from ganguard.base.images import to_float
from ganguard.base.seeds import derived_seed
from ganguard.training.adaptive import AdaptiveAugmentation
from ganguard.training.augment import Augmentation
from ganguard.training.device import Pass, batch
from ganguard.training.differential_privacy import Guarantee, PrivateUpdates, Secret
from ganguard.training.ema import EMA
from ganguard.training.growth import Growth
from ganguard.training.guess import Guess
from ganguard.training.losses import AdversarialLoss
from ganguard.training.pairs import CodedImages
from ganguard.training.penalties import LeCam, PathLength, gradient_penalty, orthogonality, r1
from ganguard.training.processes import Processes
from ganguard.training.projected import ProjectedDiscriminator
from ganguard.training.settings import CompleteTraining

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Batch(NamedTuple):
    """Images (N, C, H, W) float in [-1, 1], and their classes y (N,), or None without classes."""

    images: Tensor
    y: Tensor | None

    def beside(self, other: "Batch") -> "Batch":
        """Return both batches as one."""
        y = None if self.y is None or other.y is None else torch.cat([self.y, other.y])
        return Batch(torch.cat([self.images, other.images]), y)


class Judged(NamedTuple):
    """What D says of a batch: scores (N,), or (N, S) of a projected D, and its weighted cross-entropy of the
    classes, (), or 0."""

    scores: Tensor
    of_classes: Tensor | float


@dataclass
class GANTraining:
    """Everything that a step touches.

    Attributes:
        losses: what `step` returns, in its order.
        networks: G and D.
        G: G, or its compiled form; it is called where a gradient is taken once.
        D: D, or its compiled form; it is called where a gradient is taken once.
        ema: the average of G's weights.
        optimizers: those of "D" and "G".
        loss: the losses of D and G as functions of scores.
        complete: the settings that a recipe may fill, all set.
        images: (N, C, H, W) uint8, wherever `device.placed` left them.
        batch_size: images of all processes together.
        augmentation: changes what D sees at random, or None.
        trained: the parameters of D that are not frozen.
        growth: the growth of the networks.
        generator: the source of the training's random numbers.
        fabric: the devices.
        processes: the processes of the training.
        path_length: StyleGAN2's penalty on G, or None.
        lecam: LeCam's regulariser of D, or None.
        guess: the adversary's guessed defence, or None.
        private: differentially private updates of D, or None.
        labels: (N,) int64, the class of each image; None without classes. Generated images are asked for in
            the proportions of these.
        pairs: the codes of the images, which G learns too, or None.
    """

    losses: ClassVar[tuple[str, ...]] = ("D", "G")
    networks: GAN
    G: Pass
    D: Pass
    ema: EMA
    optimizers: dict[str, Optimizer]
    loss: AdversarialLoss
    complete: CompleteTraining
    images: Images
    batch_size: int
    augmentation: Augmentation | None
    trained: list[nn.Parameter]
    growth: Growth
    generator: torch.Generator
    fabric: "Fabric"
    processes: Processes
    path_length: PathLength | None = None
    lecam: LeCam | None = None
    guess: Guess | None = None
    private: PrivateUpdates | None = None
    secret: Secret | None = None
    labels: Tensor | None = None
    pairs: CodedImages | None = None

    def modules(self) -> dict[str, nn.Module]:
        """Return what a saved state holds, by name."""
        parts = {"path_length": self.path_length, "lecam": self.lecam, "augmentation": self.augmentation}
        parts["secret"] = self.secret
        kept = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
        return {**self.networks.named(), "ema": self.ema.module, **kept}

    def step(self, step: int) -> Tensor:
        """Do n_dis updates of D and one of G. Return D's last loss and G's, (2,), of this process's
        images."""
        n_dis = self.complete.n_dis
        self._restyle()
        if self.growth.go_to(step):
            self.ema.restart()
        self._train_discriminator(True)
        for update in range(step * n_dis, (step + 1) * n_dis - 1):
            with torch.no_grad():
                fake = self._fake()
            self._update_discriminator(fake, update)
        fake = self._fake()  # D's last update and G's update see the same images
        loss_d = self._update_discriminator(Batch(fake.images.detach(), fake.y), (step + 1) * n_dis - 1)
        self._train_discriminator(False)
        judged = self._judged(self._shown(fake))
        loss_g = self.loss.generator(judged.scores) + judged.of_classes
        if self.path_length and step % self.complete.path_length_every == 0:
            weight = self.complete.path_length_weight * self.complete.path_length_every
            loss_g = loss_g + weight * self._path_length(self.path_length, fake.images.shape[1:])
        if self.complete.orthogonal_weight:
            loss_g = loss_g + self.complete.orthogonal_weight * orthogonality(self.networks.generator)
        if self.pairs:
            loss_g = loss_g + self._paired(self.pairs)
        self._descend("G", loss_g)
        self.ema.update(step)
        return torch.stack([loss_d.detach(), loss_g.detach()])

    def published(self) -> Networks:
        """Return the networks that a checkpoint holds: the average of G, and D, unless that is projected and
        cannot score without its feature network."""
        D = self.networks.discriminator
        return Networks(self.ema.module, None if isinstance(D, ProjectedDiscriminator) else D)  # pyright: ignore[reportArgumentType]

    def forget(self, *, at_end: bool) -> None:
        """Forget the secret of a private training at its end, before its last state is saved."""
        if at_end and self.secret:
            self.secret.forget()

    def make_private(self, guarantee: Guarantee, secret: Secret) -> None:
        """Make D's updates differentially private from now on, by the random numbers of a secret."""
        self.secret = secret
        self._train_discriminator(True)
        D, optimizer = self.networks.discriminator, self.optimizers["D"]
        self.private = PrivateUpdates(D, optimizer, guarantee, self.batch_size)

    def _train_discriminator(self, yes: bool) -> None:
        for parameter in self.trained:
            parameter.requires_grad_(yes)

    def _update_discriminator(self, made: Batch, update: int) -> Tensor:
        if self.private and self.secret:
            return self.private.update(self.images, made.images, self.loss, self.secret.generator)
        rows = self.processes.own(
            torch.randint(len(self.images), (self.batch_size,), generator=self.generator)
        )
        images = self.growth.seen(to_float(batch(self.images, rows, self.fabric.device)))
        y = None if self.labels is None else self.labels[rows].to(images.device)
        real, fake = self._shown(Batch(images, y)), self._shown(made)
        loss = self._discriminator_loss(real, fake, update)
        if self.complete.penalty != "none" and update % self.complete.penalty_every == 0:
            # Lazy regularisation: a penalty taken every k updates weighs k times as much.
            weight = self.complete.penalty_weight * self.complete.penalty_every
            loss = loss + weight * self._penalty(real, fake)
        self._descend("D", loss)
        return loss

    def _discriminator_loss(self, real: Batch, fake: Batch, update: int) -> Tensor:
        if self.networks.discriminator.independent_rows:
            both = self._judged(real.beside(fake))
            scores_real, scores_fake = both.scores.chunk(2)
            of_classes = 2 * both.of_classes  # the mean over both kinds counts for each
        else:
            of_real, of_fake = self._judged(real), self._judged(fake)
            scores_real, scores_fake = of_real.scores, of_fake.scores
            of_classes = of_real.of_classes + of_fake.of_classes
        loss = self.loss.discriminator(scores_real, scores_fake) + of_classes
        if self.lecam:
            loss = loss + self.lecam(scores_real, scores_fake, self.processes.mean)
        if isinstance(self.augmentation, AdaptiveAugmentation):
            self.augmentation.note(scores_real, update, self.batch_size, self.processes.mean)
        return loss + self.complete.drift * scores_real.square().mean() if self.complete.drift else loss

    def _judged(self, shown: Batch) -> Judged:
        """Return what D says, in float32 whatever D computes in."""
        D = self.networks.discriminator
        with self.fabric.autocast():
            if isinstance(D, Classifying) and shown.y is not None:
                features = D.features(shown.images)
                scores = D.head(features, shown.y)[:, 0].float()
                return Judged(scores, D.class_weight * F.cross_entropy(D.logits(features).float(), shown.y))
            return Judged(made_by(self.D, shown.images, shown.y).float(), 0.0)

    def _penalty(self, real: Batch, fake: Batch) -> Tensor:
        """Return the penalty on D, in float32 whatever the precision: its gradient is differentiated once
        more."""
        D = self.networks.discriminator
        if self.complete.penalty == "r1":
            return r1(D, real.images, real.y)
        # Each point between a real and a generated image counts as an image of the real one's class.
        return gradient_penalty(D, real.images, fake.images, self._uniform(), real.y)

    def _path_length(self, penalty: PathLength, image_shape: torch.Size) -> Tensor:
        """Return the penalty on G, in float32 like D's penalties."""
        G = self.networks.generator
        z, noise = (
            self.processes.own(torch.randn(self.batch_size, *shape, generator=self.generator))
            for shape in ((G.latent_dim,), image_shape)
        )
        device = self.fabric.device
        return penalty(G, z.to(device), noise.to(device), self.processes.mean, y=self._asked())

    def _asked(self) -> Tensor | None:
        """Draw the classes (N,) of a batch of generated images; None without classes."""
        if self.labels is None:
            return None
        rows = torch.randint(len(self.labels), (self.batch_size,), generator=self.generator)
        return self.labels[self.processes.own(rows)].to(self.fabric.device)

    def _fake(self) -> Batch:
        """Generate a batch of images, as they would come back from the target if the guess were right."""
        z = torch.randn(self.batch_size, self.networks.generator.latent_dim, generator=self.generator)
        z = self._arriving(z)
        return self._returned(z, self._asked())

    def _paired(self, pairs: CodedImages) -> Tensor:
        """Return how far G is from the training images, by their own codes. G draws nothing meanwhile: a
        style that is mixed with another one is that of no code."""
        rows = torch.randint(len(self.images), (self.batch_size,), generator=self.generator)
        own, device, z = self.processes.own(rows), self.fabric.device, self._arriving(pairs.codes[rows])
        y = None if self.labels is None else self.labels[own].to(device)
        with undrawn(self.networks.generator):
            made = self._returned(z, y)
        return pairs.loss(made.images, self.growth.seen(to_float(batch(self.images, own, device))))

    def _arriving(self, z: Tensor) -> Tensor:
        """Return the codes of a whole batch as they would reach the target's G if the guess were right."""
        return self.guess.codes(z, self.generator) if self.guess and self.guess.codes else z

    def _returned(self, z: Tensor, y: Tensor | None) -> Batch:
        """Return this process's images of a whole batch's codes (N, latent_dim), as they would come back.

        y: the classes of this process's images, or None.
        """
        with self.fabric.autocast():
            fake = made_by(self.G, self.processes.own(z).to(self.fabric.device), y).float()
        changed = self.guess.images(fake, self.generator) if self.guess and self.guess.images else fake
        return Batch(changed, y)

    def _shown(self, made: Batch) -> Batch:
        """Return a batch as D sees it."""
        if self.augmentation is None:
            return made
        return Batch(self.augmentation(made.images, self._uniform), made.y)

    def _uniform(self, *shape: int) -> Tensor:
        """Draw numbers of the given shape for each image of a batch, uniform in [0, 1)."""
        numbers = torch.rand(self.batch_size, *shape, generator=self.generator)
        return self.processes.own(numbers).to(self.fabric.device)

    def _restyle(self) -> None:
        """Give this process its own seeds for the numbers that G and D draw themselves: noise, mixed styles,
        dropout. The seeds follow from the training's draws."""
        if self.processes.count == 1:
            return
        for network in (self.networks.generator, self.networks.discriminator):
            if isinstance(network, Drawing) and network.random is not None:
                seed = int(torch.randint(2**62, (), generator=self.generator))
                network.random.manual_seed(derived_seed(seed, f"process {self.processes.index}"))

    def _descend(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.processes.average_gradients(self.optimizers[name])
        self.optimizers[name].step()
