"""What is audited: something that gives images.

A target is one of the small protocols, and an adapter to it.
"""

from ganguard.base.plugins import PluginTable

TARGETS = PluginTable(
    "target",
    "ganguard.targets",
    {
        "checkpoint": "ganguard.targets.checkpoint:CheckpointTarget",
        "diffusers": "ganguard.targets.diffusion.settings:DiffusersTarget",
        "exported": "ganguard.targets.programs.exported:ExportedTarget",
        "http": "ganguard.targets.api.rest:RestTarget",
        "hub": "ganguard.targets.hub:HubTarget",
        "images": "ganguard.targets.images:ImagesTarget",
        "onnx": "ganguard.targets.programs.onnx:OnnxTarget",
        "openai": "ganguard.targets.api.openai_images:OpenAiTarget",
        "python": "ganguard.targets.python_factory:PythonTarget",
        "state_dict": "ganguard.targets.other_houses.state_dict:StateDictTarget",
        "torchscript": "ganguard.targets.programs.torchscript:TorchScriptTarget",
        "url": "ganguard.targets.http:HttpTarget",
    },
)
