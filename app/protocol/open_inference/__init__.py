"""The Open Inference Protocol, version 2: structures and answers as named tensors.

github.com/kserve/open-inference-protocol, with the extension of binary tensors.
"""
