"""A data set of Hugging Face's hub, through the library `datasets` (extra `hub`).

The library downloads it once, into its own cache. Code that comes with a data set is not run: the library
cannot do that any more since version 4, which is the least that the extra takes.
"""

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import Field

from ganguard.base.cache import content_key
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import one_line
from ganguard.data.dataset import RealImages
from ganguard.data.encoded import Encoded, Found, load_encoded
from ganguard.data.pictures import Pictures

if TYPE_CHECKING:
    from datasets import Dataset

NAME = r"^\w[\w.-]{0,95}(/\w[\w.-]{0,95})?$"
Short = Annotated[str, Field(min_length=1, max_length=200)]


class HubImages(Pictures):
    """The images of one split, in its order.

    Attributes:
        name: owner/name of the data set, or its name alone. As the library has it, a folder of that name in
            the current directory comes before the hub.
        config: which of its configurations; None for the one that it takes by default.
        split: which of its splits.
        revision: branch, tag or commit. With a commit, it is the same data on any day.
        image_column: column of the images. None takes the only one.
        label_column: column of the classes: whole numbers (a ClassLabel's have names) or texts. None takes no
            labels.
    """

    kind: Literal["hub"] = "hub"
    name: Annotated[str, Field(pattern=NAME)]
    config: Short | None = None
    split: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=200)] = "train"
    revision: Short = "main"
    image_column: Short | None = None
    label_column: Short | None = None

    def place(self) -> str:
        """Return the name of the data set."""
        return self.name

    def fingerprint(self) -> str:
        """Return a text that changes with what chooses the images, and with the files that the library would
        read. Raises DataError if the library is absent, or finds no such data set."""
        from_hub = ("name", "config", "split", "revision", "image_column", "label_column")
        with self._library():
            from datasets import load_dataset_builder

            files = load_dataset_builder(self.name, self.config, revision=self.revision).hash
        return content_key(files=files, **self.model_dump(mode="json", include=set(from_hub)))

    def load(self, progress: Progress = silent) -> RealImages:
        """Return all images of the split, with labels if a column is named and holds two or more. Raises
        DataError."""
        return load_encoded(self, self.fingerprint(), self._opened, progress)

    @contextmanager
    def _opened(self) -> Generator[Found]:
        with self._library():
            from datasets import load_dataset

            held = load_dataset(self.name, self.config, split=self.split, revision=self.revision)
        features = cast("Mapping[str, object]", held.features)
        column = self._column_of_images(features)
        if self.label_column is not None and self.label_column not in features:
            raise DataError(
                f"{self.name}: has no column {one_line(self.label_column, 80)}; it has {_listed(features)}. "
                "Set `label_column` to one of them."
            )
        if not len(held):
            raise DataError(f"{self.name}: no image in split {self.split}. Set `split` to another.")
        yield Found(self._images(held, column), len(held), self._class_names(features))

    def _column_of_images(self, features: Mapping[str, object]) -> str:
        from datasets import Image

        found = [name for name, feature in features.items() if isinstance(feature, Image)]
        if self.image_column in found:
            return self.image_column
        if self.image_column is None and len(found) == 1:
            return found[0]
        asked = (
            "" if self.image_column is None else f"column {one_line(self.image_column, 80)} holds no images; "
        )
        raise DataError(
            f"{self.name}: {asked}its columns of images are {_listed(found) if found else 'none'}, of "
            f"{_listed(features)}. Set `image_column` to one that holds images."
        )

    def _class_names(self, features: Mapping[str, object]) -> Mapping[int, str]:
        names = getattr(features.get(self.label_column or ""), "names", None)
        return dict(enumerate(cast("list[str]", names or ())))

    def _images(self, held: "Dataset", column: str) -> Iterator[Encoded]:
        """Yield the images of a split. Raises DataError if there is a column of labels, and an image has
        none."""
        from datasets import Image

        wanted = self.label_column
        rows = held.select_columns([column, *([] if wanted is None else [wanted])])
        rows = rows.cast_column(column, Image(decode=False))
        for number, row in enumerate(cast("Iterator[dict[str, Any]]", rows)):
            name, label = f"{self.name}: {self.split} {number}", None if wanted is None else row[wanted]
            if wanted is not None and (isinstance(label, bool) or not isinstance(label, int | str)):
                raise DataError(
                    f"{name}: {one_line(label, 40)} in column {one_line(wanted, 80)}; labels must be whole "
                    "numbers or texts. Set `label_column` to another, or leave it out."
                )
            yield Encoded(name, partial(_content, row[column], name), label, f"{self.split}/{number}")

    @contextmanager
    def _library(self) -> Generator[None]:
        """Raise DataError if the library `datasets` is absent, or what is asked of it fails."""
        if find_spec("datasets") is None:
            raise DataError(
                f"{self.name}: needs the library datasets, which is not installed. Run: pip install "
                "ganguard[hub]"
            )
        from datasets.exceptions import DatasetsError

        try:
            with _quiet():
                yield
        except (DatasetsError, OSError, ValueError, RuntimeError) as problem:
            raise DataError(
                f"{self.name}: cannot be had from the hub ({one_line(problem, 160)}). Check the name, "
                "`config`, `split` and `revision`, and the network."
            ) from None


@contextmanager
def _quiet() -> Generator[None]:
    """Keep the libraries from telling each attempt to reach the hub: what comes of them is told once."""
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _content(cell: Mapping[str, object] | None, name: str) -> bytes | Path:
    """Return the bytes of an image, or its file. Raises DataError if there is neither."""
    content, path = (cell or {}).get("bytes"), (cell or {}).get("path")
    if isinstance(content, bytes):
        return content
    if isinstance(path, str) and Path(path).is_file():
        return Path(path)
    raise DataError(f"{name}: holds no image. Leave it out with `on_bad_image: skip`.")


def _listed(names: object) -> str:
    found = list(cast("list[str]", names))
    return ", ".join(one_line(name, 40) for name in found[:8]) + (", …" if len(found) > 8 else "")
