"""Networks that others wrote: the user's own, those of torchvision and timm, and files of trained weights."""
