"""Synthetic pictures, which the embedded model is trained on and the demo consists of.

Objects are lists of shapes (`objects`), a scene places one on a background (`scene`), and a picture
of it is drawn either plainly (`rendering`), as the model has seen it in training, or in one of the
styles of `looks`, which the model has never seen and which are therefore styles to transfer.
Everything is seeded; nothing here needs more than NumPy and Pillow.
"""
