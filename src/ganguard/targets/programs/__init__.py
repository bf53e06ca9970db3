"""Generators in files that hold their own program: TorchScript, torch.export and ONNX."""
