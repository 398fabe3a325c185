"""The offline trainer: labelled frames in, certified store entries out.

The only part that imports torch.
"""
