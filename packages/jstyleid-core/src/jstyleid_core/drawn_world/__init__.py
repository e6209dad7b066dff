"""A world that is drawn by programme: the pictures the embedded model knows.

Objects are lists of shapes (`objects`), a scene places one on a background (`scene`), and a look
renders a scene as a picture: `plain`, which the model is trained on, or one of `looks`, which it
has never seen and which are therefore styles to transfer. Everything is seeded; nothing here needs
more than NumPy and Pillow.
"""
