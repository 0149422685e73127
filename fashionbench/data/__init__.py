"""Data: find, fetch, verify, read and split the images.

A picture becomes a training step on this way:

1. ``data/load.py`` finds the images by the name of the data set: ``fashion_mnist.py``, ``published.py``, or ``own/``,
   which decodes a file of the user (``own/picture.py``, ``own/tables/``, ``own/archive.py``).
2. ``data/arrays.py`` brings images and labels to one form, unsigned bytes, and draws test images where there are none.
3. ``data/dataset.py`` splits by the case's seed into training and validation images.
4. ``execution/step.py`` places the images on the device, shuffles them by the seed, and scales batches to [0, 1].
5. ``training/ingredients/augmentation.py`` augments a batch, and ``training/loop.py`` gives it to the training step.

Of the packages it imports options and recipe.
"""
