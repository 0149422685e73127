"""What a recipe adds to the training loop: the schedule of the learning rate, and augmentation."""
