"""What the formats share whose images lie in folders: the folders may be classes, and a folder may hold other
sets besides."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from ganguard.data.dataset import RealImages
from ganguard.data.encoded import EncodedImages
from ganguard.data.folder_classes import ClassFolders
from ganguard.data.held import HeldKind, held
from ganguard.data.stray import stray_files


class FolderImages(EncodedImages):
    """Base of their settings.

    Attributes:
        class_folders: which folder of an image's path is its class: the "first" one, the "last" one, or
            "none". None decides by what the folders hold: splits and shards are no classes.
    """

    class_folders: ClassFolders | None = None

    def described(self, real: RealImages, *decided: str) -> RealImages:
        """Return the images of the folder `path`, with what was left out and decided.

        decided: what was decided about its folders and files; empty texts if nothing was.
        """
        folder = Path(self.path)
        beside = held(folder).beside(cast(HeldKind, self.kind), self.path)
        return replace(
            real, stray=stray_files(folder), decided=(*beside, *filter(None, decided), *real.decided)
        )
