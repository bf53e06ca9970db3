"""Import torch-fidelity without torchvision.

It is installed without its dependencies, since torchvision does not import beside a CPU build of torch. Its
metrics on features do not need torchvision, so empty modules take its place during the import.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

ABSENT = {
    "torchvision": (),
    "torchvision.datasets": ("CIFAR10", "CIFAR100", "STL10"),
    "torchvision.models": ("vgg16",),
    "torchvision.transforms": ("Compose",),
    "torchvision.transforms.functional": (),
}


@contextmanager
def torchvision_in_name() -> Iterator[None]:
    modules = {name: ModuleType(name) for name in ABSENT}
    for name, module in modules.items():
        for attribute in ABSENT[name]:
            setattr(module, attribute, type(attribute, (), {}))
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    sys.modules.update(modules)
    try:
        yield
    finally:  # others ask whether there is a torchvision, and would believe this one
        for name in modules:
            del sys.modules[name]


with torchvision_in_name():
    import torch_fidelity  # noqa: F401
