"""Data: find, fetch, verify, read and split the images.

How an image becomes a training step:

1. ``data/load.py`` finds the images by the name of the data set: ``fashion_mnist.py``, ``published.py``, or ``own/``,
   which decodes the files of a user (``own/picture.py`` an image, ``own/tables/`` a table, ``own/archive.py`` an NPZ).
2. ``data/arrays.py`` brings images and labels to one form, unsigned bytes, and checks them.
3. ``data/dataset.py`` splits by the case's seed into training and validation images.
4. ``execution/step.py`` places the images on the device, shuffles them by the seed, and scales batches to [0, 1].
5. ``training/ingredients/augmentation.py`` augments a batch, and ``training/loop.py`` gives it to the training step.

Of the packages it imports options and recipe.
"""
